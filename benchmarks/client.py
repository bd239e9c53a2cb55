"""`Client` against plain redis-py on the same master: cost per call, and fifty threads at once.

Both use the same TLS and the same user. They take turns in short rounds, so that both see the
machine's moods alike; the ratio is the median of the rounds' ratios.
"""

import asyncio
import statistics
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import redis
import redis.asyncio

from redis_ha import AsyncClient, Client
from redis_ha.client.wires import no_retry
from redis_ha.connection import PLAIN_HANDSHAKE
from tests.processes.cluster import Cluster, Settings

GOAL = 1.05
THREADS = 50
# Calls in a round, and rounds for each of the pairs asked for.
_ROUND = 500
_ROUNDS = 20
_SETTINGS = Settings(data_nodes=2, redis_lines=("appendonly no", 'save ""'))


def measure(*, operations: int = 1_000_000, pairs: int = 5) -> dict[str, Any]:
    """Run all three; times in microseconds a call, rates in calls a second."""
    rounds = pairs * _ROUNDS
    with tempfile.TemporaryDirectory() as name, Cluster.start(Path(name), _SETTINGS) as cluster:
        return {
            "benchmark": "client",
            "goal_ratio": GOAL,
            "threads": overhead(cluster, rounds=rounds),
            "asyncio": asyncio.run(async_overhead(cluster, rounds=rounds)),
            "fifty_threads": fifty_threads(cluster, operations=operations),
        }


def overhead(cluster: Cluster, *, rounds: int) -> dict[str, Any]:
    """Compare GET through the client with GET through redis.Redis."""
    with Client(cluster.access("app")) as client, cluster.master.client("app") as plain:
        client.execute_with_failover(lambda connection: connection.set("key", "value"))

        def ours() -> None:
            for _ in range(_ROUND):
                client.execute_with_failover(lambda connection: connection.get("key"))

        def theirs() -> None:
            for _ in range(_ROUND):
                plain.get("key")

        return compare([(timed(theirs), timed(ours)) for _ in range(rounds)])


async def async_overhead(cluster: Cluster, *, rounds: int) -> dict[str, Any]:
    """Compare GET through the client with GET through redis.asyncio.Redis."""
    access, address = cluster.access("app"), cluster.master.address
    plain = redis.asyncio.Redis(
        host=address.host,
        port=address.port,
        ssl=True,
        ssl_ca_certs=str(access.ca),
        username=access.credentials.username,
        password=access.credentials.password,
        decode_responses=True,
        # What bounds a call for who has nothing else.
        socket_timeout=access.timeout,
        retry=no_retry(),
        **PLAIN_HANDSHAKE,
    )
    pairs = []
    async with AsyncClient(access) as client:

        async def ours() -> None:
            for _ in range(_ROUND):
                await client.execute_with_failover(lambda connection: connection.get("key"))

        async def theirs() -> None:
            for _ in range(_ROUND):
                await plain.get("key")

        for _ in range(rounds):
            pairs.append((await async_timed(theirs), await async_timed(ours)))  # noqa: PERF401
    await plain.connection_pool.disconnect()
    return compare(pairs)


def fifty_threads(cluster: Cluster, *, operations: int) -> dict[str, Any]:
    """Run so many SETs and GETs in fifty threads; count what is left behind."""
    before = app_connections(cluster)
    slowest: list[float] = []

    def work(thread: int) -> None:
        longest = 0.0
        for number in range(operations // THREADS // 2):
            key, began = f"key:{thread}:{number % 100}", time.perf_counter()
            client.execute_with_failover(lambda connection, key=key: connection.set(key, "value"))
            got = client.execute_with_failover(lambda connection, key=key: connection.get(key))
            if got != "value":
                raise RuntimeError(f"{key} holds {got!r}")
            longest = max(longest, time.perf_counter() - began)
        slowest.append(longest)

    with Client(cluster.access("app")) as client:
        began = time.perf_counter()
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(work, range(THREADS)))
        seconds = time.perf_counter() - began
        ((idle, lent),) = client.connections().values()
        during = app_connections(cluster) - before
    return {
        "operations": operations,
        "seconds": round(seconds, 1),
        "calls_per_second": round(operations / seconds),
        "slowest_pair_seconds": round(max(slowest), 3),
        "pool_idle": idle,
        "pool_in_use": lent,
        "connections_on_server": during,
        "connections_after_close": app_connections(cluster) - before,
        "threads_left": threading.active_count() - 1,
    }


def app_connections(cluster: Cluster) -> int:
    """Return how many connections of user app the master has, once it noticed who left."""
    time.sleep(0.5)
    with cluster.master.client() as admin:
        return sum(row["user"] == "app" for row in admin.client_list())


def compare(pairs: list[tuple[float, float]]) -> dict[str, Any]:
    """Sum up rounds of (plain, ours) seconds."""
    plain, ours = zip(*pairs, strict=True)
    ratios = [b / a for a, b in pairs]
    return {
        "rounds": len(pairs),
        "redis_py_us": round(statistics.median(plain) / _ROUND * 1e6, 1),
        "client_us": round(statistics.median(ours) / _ROUND * 1e6, 1),
        "ratio": round(statistics.median(ratios), 3),
        "ratio_of_sums": round(sum(ours) / sum(plain), 3),
    }


def timed(work: Callable[[], None]) -> float:
    """Return the seconds that something takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


async def async_timed(work: Callable[[], Awaitable[None]]) -> float:
    """Return the seconds that something takes."""
    began = time.perf_counter()
    await work()
    return time.perf_counter() - began
