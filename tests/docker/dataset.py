"""A dataset of every kind: all types, expiries, binary values, functions, several databases."""

import random

import redis

LIBRARY = """#!lua name=arithmetic
redis.register_function('triple', function(keys, args) return 3 * tonumber(args[1]) end)
"""
EVERY_KIND = 7
FAR = 86_400


def load(client: redis.Redis, *, keys: int, databases: int = 4, seed: int = 7) -> None:
    """Replace `databases` databases by `keys` keys; the same seed writes the same data."""
    chance = random.Random(seed)
    client.function_load(LIBRARY, replace=True)
    for database in range(databases):
        client.execute_command("SELECT", database)
        client.flushdb()
        _fill(client, database, keys // databases, chance)
    client.execute_command("SELECT", 0)


def _fill(client: redis.Redis, database: int, keys: int, chance: random.Random) -> None:
    with client.pipeline(transaction=False) as pipe:
        for number in range(keys):
            _write(pipe, f"{database}:{number}", number % EVERY_KIND, chance)
            if number % 500 == 499:
                pipe.execute()
        pipe.execute()


def _write(pipe: redis.Redis, key: str, kind: int, chance: random.Random) -> None:
    score = chance.randrange(10_000)
    if kind == 0:
        pipe.set(f"string:{key}", f"value {score}", ex=FAR + score)
    elif kind == 1:
        pipe.hset(f"hash:{key}", mapping={f"field {n}": score + n for n in range(3)})
    elif kind == 2:
        pipe.rpush(f"list:{key}", *range(score % 5 + 1))
    elif kind == 3:
        pipe.sadd(f"set:{key}", "a", "b", score)
    elif kind == 4:
        pipe.zadd(f"zset:{key}", {"low": 1, "high": score + 0.5})
    elif kind == 5:
        pipe.xadd(f"stream:{key}", {"score": score}, id=f"{score + 1}-1")
    else:
        pipe.set(f"binary:{key}".encode() + b"\x00\xff", chance.randbytes(40))
