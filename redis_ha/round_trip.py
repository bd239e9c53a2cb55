"""Real requests to the cluster as its application makes them: found by Sentinel, as user app."""

import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import redis

from redis_ha.discovery import Access, find_master
from redis_ha.errors import RedisHaError
from redis_ha.explaining import explained
from redis_ha.health import RoundTrip

# Reserved for these checks: one key a try, gone by itself when nobody deletes it.
KEY_PREFIX = "redis-ha:health:"
KEY_SECONDS = 10


def write_and_read(app: Access | None, *, name: Callable[[Any], str] = str) -> RoundTrip:
    """Find the master by the sentinels, write a key there, read it back and delete it."""
    if app is None:
        return RoundTrip(skipped=True, problem="REDIS_USERNAME and REDIS_PASSWORD are not set")
    key, value = KEY_PREFIX + secrets.token_hex(8), secrets.token_hex(8)
    began = time.monotonic()
    try:
        address = find_master(app)
        with app.connect(address) as client:
            client.set(key, value, ex=KEY_SECONDS)
            got = client.get(key)
            client.delete(key)
    except RedisHaError as error:
        return RoundTrip(problem=error.cause)
    except (redis.RedisError, OSError) as error:
        return RoundTrip(problem=f"{name(address)}: {explained(error)}")
    if got != value:
        return RoundTrip(problem=f"{name(address)} gave back {got!r}, not what was written")
    return RoundTrip(time.monotonic() - began, by=name(address))


@dataclass(frozen=True)
class Samples:
    """A run of round trips on one connection: seconds of each that succeeded, and the failures."""

    seconds: tuple[float, ...]
    failures: tuple[str, ...] = ()

    @property
    def tried(self) -> int:
        return len(self.seconds) + len(self.failures)


def sample_pings(
    access: Access,
    *,
    count: int,
    pause: float = 0.002,
    budget: float = 3.0,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Samples:
    """PING the master `count` times, over at most `budget` seconds; failures count too."""
    seconds: list[float] = []
    failures: list[str] = []
    end = clock() + budget
    client = None
    for _ in range(count):
        began = clock()
        if began >= end:
            break
        try:
            if client is None:
                client = access.connect(find_master(access))
                # The connection's own opening is no round trip.
                client.ping()
                began = clock()
            client.ping()
        except (redis.RedisError, RedisHaError, OSError) as error:
            failures.append(error.cause if isinstance(error, RedisHaError) else explained(error))
            client = None
            sleep(10 * pause)
            continue
        seconds.append(clock() - began)
        sleep(pause)
    if client is not None:
        with suppress(redis.RedisError, OSError):
            client.close()
    return Samples(tuple(seconds), tuple(failures))
