"""The asyncio client on a real cluster: the same promises as the threaded one."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import redis

from redis_ha import AsyncClient
from redis_ha.client.async_pools import AsyncPool
from redis_ha.client.wires import options
from redis_ha.connection import Credentials
from redis_ha.environment import PoolSettings
from redis_ha.errors import (
    AccessDenied,
    CallTimedOut,
    ClientClosed,
    OutcomeUnknown,
    PoolExhausted,
    RedisHaError,
)
from redis_ha.switchover import OldMaster, switch_over
from tests.patience import at_best, sleeper
from tests.processes.cluster import REPOSITORY, Cluster, Process
from tests.processes.redis_ha.test_client import FOLLOWED_WITHIN, Loss, everything_hung

Figure = Callable[[str], None]


async def set_key(connection: Any) -> Any:
    return await connection.set("key", "value")


async def get_key(connection: Any) -> Any:
    return await connection.get("key")


class Load:
    """Tasks that write `load:<task>:<n>` until they are told to stop."""

    def __init__(self, client: AsyncClient, *, idempotent: bool) -> None:
        self.client = client
        self.idempotent = idempotent
        self.acknowledged: dict[str, float] = {}
        self.errors: list[RedisHaError] = []
        self.longest_call = 0.0
        self.stopped = False

    @property
    def gap(self) -> float:
        return max(b - a for a, b in pairwise(sorted(self.acknowledged.values())))

    async def write(self, task: int) -> None:
        number = 0
        while not self.stopped:
            number += 1
            key, began = f"load:{task}:{number}", time.monotonic()
            try:
                await self.client.execute_with_failover(
                    lambda connection, key=key: connection.set(key, 1),
                    idempotent=self.idempotent,
                    timeout=15.0,
                )
                self.acknowledged[key] = time.monotonic()
            except RedisHaError as error:
                self.errors.append(error)
            self.longest_call = max(self.longest_call, time.monotonic() - began)
            await asyncio.sleep(0.001)

    async def through(self, fault: Callable[[], Any], *, tasks: int = 20) -> Any:
        """Write before, during and after a fault that blocks a thread of its own."""
        writers = [asyncio.create_task(self.write(task)) for task in range(tasks)]
        try:
            await self._more(200)
            found = await asyncio.to_thread(fault)
            await self._more(500)
        finally:
            self.stopped = True
            await asyncio.gather(*writers)
        return found

    async def _more(self, count: int) -> None:
        target, deadline = len(self.acknowledged) + count, time.monotonic() + 20
        while len(self.acknowledged) < target:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)

    def lost(self, cluster: Cluster) -> dict[str, float]:
        """Return the acknowledged keys that the master doesn't hold, with their times."""
        keys = list(self.acknowledged)
        with cluster.settled_master().client(timeout=10.0) as client:
            pairs = zip(keys, client.mget(keys), strict=True)
            return {key: self.acknowledged[key] for key, value in pairs if not value}


def test_a_crash(cluster: Cluster, figure: Figure) -> None:
    async def run() -> tuple[Load, Loss]:
        async with AsyncClient(cluster.access("app")) as client:
            load = Load(client, idempotent=True)
            return load, await load.through(lambda: Loss.by(Process.kill, cluster))

    with sleeper() as idle:
        load, loss = asyncio.run(run())
    lost = load.lost(cluster)
    figure(
        f"crash, promoted after {loss.promoted:.2f} s: gap {load.gap:.2f} s,"
        f" lost {len(lost)} of {len(load.acknowledged)}"
    )
    assert load.errors == []
    assert load.gap < loss.promoted + FOLLOWED_WITHIN
    assert all(loss.explains(at, late=idle.late) for at in lost.values()), (loss, idle, lost)


def test_a_switchover_loses_nothing(cluster: Cluster, figure: Figure) -> None:
    access = cluster.access("operator")

    async def run() -> Load:
        async with AsyncClient(cluster.access("app")) as client:
            load = Load(client, idempotent=False)
            await load.through(lambda: switch_over(access, old_master=OldMaster.DEMOTE), tasks=4)
            return load

    load = asyncio.run(run())
    lost = load.lost(cluster)
    figure(f"switchover: gap {load.gap:.2f} s, lost {len(lost)} of {len(load.acknowledged)}")
    assert (lost, load.errors) == ({}, [])
    assert load.gap < 1.5


def test_a_hung_master(cluster: Cluster, figure: Figure) -> None:
    hung = cluster.master

    async def run() -> tuple[Load, Loss]:
        async with AsyncClient(cluster.access("app")) as client:
            load = Load(client, idempotent=True)
            return load, await load.through(lambda: Loss.by(Process.pause, cluster), tasks=4)

    try:
        load, loss = asyncio.run(run())
    finally:
        hung.resume()
    figure(f"hang, promoted after {loss.promoted:.2f} s: gap {load.gap:.2f} s")
    assert load.errors == []
    assert load.gap < loss.promoted + FOLLOWED_WITHIN


def test_each_call_ends_in_its_time_and_the_loop_never_stands(cluster: Cluster) -> None:
    async def run() -> float:
        """Return how late (s) a call or a tick was at the most."""
        longest, ticking = 0.0, True

        async def tick() -> None:
            nonlocal longest
            while ticking:
                before = time.monotonic()
                await asyncio.sleep(0.01)
                longest = max(longest, time.monotonic() - before)

        async with AsyncClient(cluster.access("app")) as client:
            await client.execute_with_failover(set_key)
            with everything_hung(cluster):
                ticker, late = asyncio.create_task(tick()), []
                for timeout, read_only in ((0.3, False), (1.5, True)):
                    began = time.monotonic()
                    with pytest.raises(CallTimedOut):
                        await client.execute_with_failover(
                            get_key, read_only=read_only, timeout=timeout
                        )
                    late.append(time.monotonic() - began - timeout)
                ticking = False
                await ticker
        return max(longest, *late)

    at_best(lambda: asyncio.run(run()), under=0.3)


def test_a_pool_is_opened_with_what_nobody_else_needs(cluster: Cluster) -> None:
    async def run() -> None:
        access, address = cluster.access("app"), cluster.master.address
        known = options(access, address, decode=True, db=0)
        pool = AsyncPool(address, PoolSettings(5, 5, 5), **known)
        busy = await pool.get_connection()
        await asyncio.wait_for(pool.open(5), 2.0)
        assert pool.counts == (4, 1)
        await pool.release(busy)
        assert pool.counts == (5, 0)
        await pool.disconnect()

    asyncio.run(run())


async def lock(connection: Any) -> Any:
    return connection.lock("lock", timeout=5)


async def watch(connection: Any) -> Any:
    pipeline = connection.pipeline()
    await pipeline.watch("key")
    return pipeline


@pytest.mark.parametrize("hold", [lock, watch])
def test_what_a_call_does_on_its_way_out_waits_for_nobody(
    cluster: Cluster, hold: Callable[[Any], Any]
) -> None:
    master = cluster.master

    async def run() -> float:
        async def held(connection: Any) -> None:
            async with await hold(connection):
                master.pause()
                await connection.get("key")

        async with AsyncClient(cluster.access("app")) as client:
            await client.execute_with_failover(set_key)
            began = time.monotonic()
            try:
                with pytest.raises(CallTimedOut):
                    await client.execute_with_failover(held, timeout=0.5)
                seconds = time.monotonic() - began
            finally:
                master.resume()
            assert await client.execute_with_failover(get_key) == "value"
            assert all(lent == 0 for _, lent in client.connections().values())
        return seconds

    at_best(lambda: asyncio.run(run()), under=0.5 + 0.3)


def test_a_write_whose_reply_never_came_is_not_repeated_unasked(cluster: Cluster) -> None:
    async def run() -> None:
        async with AsyncClient(cluster.access("app")) as client:
            await client.execute_with_failover(set_key)
            master = cluster.master.pause()
            asyncio.get_running_loop().call_later(0.5, master.kill)
            with pytest.raises(OutcomeUnknown) as caught:
                await client.execute_with_failover(lambda connection: connection.incr("counter"))
            assert isinstance(caught.value.__cause__, redis.ConnectionError)

    asyncio.run(run())


def test_what_is_wrong_is_said_at_once(cluster: Cluster) -> None:
    wrong = replace(cluster.access("app"), credentials=Credentials("app", "wrong"))

    async def denied() -> float:
        began = time.monotonic()
        with pytest.raises(AccessDenied):
            await AsyncClient(wrong).execute_with_failover(get_key)
        return time.monotonic() - began

    async def run() -> None:
        client = AsyncClient(cluster.access("app"))
        async with client:
            await client.execute_with_failover(set_key)
            with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
                await client.execute_with_failover(lambda connection: connection.lpush("key", 1))
            with pytest.raises(AccessDenied, match="flushall"):
                await client.execute_with_failover(lambda connection: connection.flushall())
        with pytest.raises(ClientClosed):
            await client.execute_with_failover(get_key)

    at_best(lambda: asyncio.run(denied()), under=1.5)
    asyncio.run(run())


def test_reads_survive_replicas_that_hang_and_die(cluster: Cluster) -> None:
    first, second = cluster.replicas

    async def run() -> None:
        async with AsyncClient(cluster.access("app")) as client:
            await client.execute_with_failover(set_key)
            await asyncio.to_thread(cluster.wait_until_healthy)
            places = set()

            async def place(connection: Any) -> None:
                assert await connection.get("key") == "value"
                places.add(connection.connection_pool.address)

            for _ in range(4):
                await client.execute_with_failover(place, read_only=True)
            assert places == {first.address, second.address}
            first.pause()
            second.kill()
            until = time.monotonic() + 4
            while time.monotonic() < until:
                assert await client.execute_with_failover(get_key, read_only=True) == "value"

    try:
        asyncio.run(run())
    finally:
        first.resume()


def test_five_hundred_tasks_share_fifty_connections(cluster: Cluster, figure: Figure) -> None:
    def connections() -> int:
        with cluster.master.client() as admin:
            return sum(row["user"] == "app" for row in admin.client_list())

    async def reached(count: int) -> None:
        deadline = time.monotonic() + 5
        while connections() != count:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)

    async def run() -> None:
        before = connections()
        async with AsyncClient(cluster.access("app"), PoolSettings(5, 10, 50)) as client:
            await reached(5)
            calls = (
                client.execute_with_failover(lambda c, n=n: c.set(f"key:{n}", n))
                for n in range(500)
            )
            assert all(await asyncio.gather(*calls))
            ((idle, lent),) = client.connections().values()
            figure(f"500 tasks: {connections() - before} connections, {idle} idle, {lent} in use")
            assert lent == 0
            assert idle <= 50
            await reached(before + idle)
        await reached(before)

    asyncio.run(run())


def test_cancelled_calls_leave_no_reply_for_others(cluster: Cluster) -> None:
    async def run() -> None:
        async with AsyncClient(cluster.access("app"), PoolSettings(1, 1, 1)) as client:
            await client.execute_with_failover(set_key)
            for _ in range(5):
                task = asyncio.create_task(
                    client.execute_with_failover(lambda c: c.blpop("nothing", timeout=5))
                )
                await asyncio.sleep(0.05)
                with pytest.raises(PoolExhausted):
                    await client.execute_with_failover(get_key, timeout=0.05)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert await client.execute_with_failover(get_key) == "value"
            assert list(client.connections().values()) == [(1, 0)]

    asyncio.run(run())


TWO_LOOPS = """
import asyncio, os, redis_ha
client = redis_ha.AsyncClient.from_env(os.environ)
asyncio.run(client.execute_with_failover(lambda connection: connection.set("key", "value")))
print(asyncio.run(client.execute_with_failover(lambda connection: connection.get("key"))))
"""


def test_one_client_in_one_event_loop_after_another(cluster: Cluster) -> None:
    access = cluster.access("app")
    environ = {
        "REDIS_USERNAME": access.credentials.username,
        "REDIS_PASSWORD": access.credentials.password,
        "REDIS_TLS_CA": str(access.ca),
        "PYTHONPATH": str(REPOSITORY),
    }
    for number, sentinel in enumerate(access.sentinels, start=1):
        environ[f"REDIS_SENTINEL_HOST_{number}"] = sentinel.host
        environ[f"REDIS_SENTINEL_PORT_{number}"] = str(sentinel.port)
    # A process of its own: asyncio complains, whenever it likes, of connections that outlive
    # their loop.
    command = [sys.executable, "-W", "ignore", "-c", TWO_LOOPS]
    done = subprocess.run(
        command,
        env=environ,
        cwd=cluster.directory,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("value\n", "")
