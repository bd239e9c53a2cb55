"""Every type of data, functions, TTLs, binary, several databases."""

import random
from typing import Any

import redis

from tests.processes.cluster import Cluster

LIBRARY = """#!lua name={name}
redis.register_function('{name}_answer', function(keys, args) return {answer} end)
"""
MONTH = 30 * 24 * 3600
FUNCTION = "before_answer"


def load(cluster: Cluster, *, keys: int = 2000, seed: int = 1) -> None:
    """Fill databases 0, 3 and 15 of the master."""
    generator = random.Random(seed)
    for database in (0, 3, 15):
        with cluster.master.client(db=database, decode=False, timeout=30.0) as client:
            _fill(client, keys, generator)
    with cluster.master.client() as client:
        client.execute_command("FUNCTION", "LOAD", LIBRARY.format(name="before", answer=42))
    cluster.wait_until_healthy()


def _fill(client: redis.Redis, keys: int, generator: random.Random) -> None:
    pipeline = client.pipeline(transaction=False)
    for number in range(keys):
        name = f"{number}:".encode() + generator.randbytes(8)
        _WRITERS[number % len(_WRITERS)](pipeline, name, generator)
        if number % 5 == 0:
            pipeline.expire(name, MONTH + number)
        if number % 500 == 0:
            pipeline.execute()
    pipeline.execute()


def _write_string(pipeline: Any, name: bytes, generator: random.Random) -> None:
    pipeline.set(name, generator.randbytes(200))


def _write_hash(pipeline: Any, name: bytes, generator: random.Random) -> None:
    pipeline.hset(name, mapping={generator.randbytes(4): generator.randbytes(70) for _ in range(9)})


def _write_list(pipeline: Any, name: bytes, generator: random.Random) -> None:
    pipeline.rpush(name, *(generator.randbytes(20) for _ in range(9)))


def _write_set(pipeline: Any, name: bytes, generator: random.Random) -> None:
    pipeline.sadd(name, *(generator.randrange(10**6) for _ in range(9)))


def _write_sorted_set(pipeline: Any, name: bytes, generator: random.Random) -> None:
    pipeline.zadd(name, {generator.randbytes(5): generator.random() for _ in range(9)})


def _write_stream(pipeline: Any, name: bytes, generator: random.Random) -> None:
    for number in range(3):
        pipeline.xadd(name, {b"field": generator.randbytes(9)}, id=f"{number + 1}-1")
    pipeline.xgroup_create(name, b"group", id="0")


def _write_hyperloglog(pipeline: Any, name: bytes, generator: random.Random) -> None:
    pipeline.pfadd(name, *(generator.randbytes(8) for _ in range(9)))


_WRITERS = (
    _write_string,
    _write_hash,
    _write_list,
    _write_set,
    _write_sorted_set,
    _write_stream,
    _write_hyperloglog,
)


def replace(cluster: Cluster) -> None:
    """Delete everything and write something else, another function included."""
    with cluster.master.client(timeout=30.0) as client:
        client.flushall()
        client.execute_command("FUNCTION", "FLUSH")
        client.execute_command("FUNCTION", "LOAD", LIBRARY.format(name="after", answer=1))
        for number in range(100):
            client.set(f"after:{number}", number)
    cluster.wait_until_healthy()


def functions(cluster: Cluster) -> list[set[str]]:
    """Return the names of the function libraries on each node."""
    found = []
    for node in cluster.data_nodes:
        with node.client() as client:
            rows = client.execute_command("FUNCTION", "LIST")
        found.append({row[row.index("library_name") + 1] for row in rows})
    return found


def ttls(cluster: Cluster) -> list[int]:
    """Return the sum of the expiry times (ms, absolute) on each node: DIGEST leaves them out."""
    script = (
        "local total = 0; for _, key in ipairs(redis.call('KEYS', '*')) do"
        " total = total + math.max(0, redis.call('PEXPIRETIME', key)) end; return total"
    )
    sums = []
    for node in cluster.data_nodes:
        with node.client(timeout=30.0) as client:
            sums.append(int(client.execute_command("EVAL_RO", script, "0")))
    return sums
