"""How calls and clients end: closed under way, on other servers' errors, for want of a setting."""

import asyncio
import math
import os
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import redis
import redis.asyncio

from redis_ha import AsyncClient, Client
from redis_ha.connection import Address
from redis_ha.errors import CallTimedOut, ClientClosed, OutcomeUnknown
from tests.processes.cluster import Cluster
from tests.processes.ports import free_ports
from tests.processes.redis_ha.client_load import get_key, set_key

# Calls that don't end by themselves in a test.
LONG = 120.0
# For what is a matter of moments (s), whatever else the machine does.
SOON = 30.0
CROWD = 20
KEPT = 10


async def aget(connection: Any) -> Any:
    return await connection.get("key")


def in_thread(work: Callable[[], Any]) -> "Future[Any]":
    """Do it in a thread that ends with it."""
    done: Future[Any] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except Exception as error:  # noqa: BLE001 - whoever waits shall see it
            done.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return done


@contextmanager
def all_stopped(cluster: Cluster) -> Iterator[None]:
    for process in (*cluster.sentinels, *cluster.data_nodes):
        process.kill()
    yield


# What is wrong is said.


def test_a_wrong_master_name_is_said(cluster: Cluster) -> None:
    client = Client(replace(cluster.access("app"), master_name="nobody"))
    with pytest.raises(CallTimedOut, match=r"no majority.*No such master"):
        client.execute_with_failover(get_key, timeout=2.0)


def test_sentinels_that_refuse_connections_are_said(cluster: Cluster) -> None:
    access = cluster.access("app")
    nowhere = tuple(Address("127.0.0.1", port) for port in free_ports(3))
    with pytest.raises(CallTimedOut, match=r"no majority.*refused"):
        Client(replace(access, sentinels=nowhere)).execute_with_failover(get_key, timeout=2.0)


# Connections beyond the pool's size go by themselves.


def crowd(client: Client) -> None:
    """Have so many connections idle at once."""
    together = threading.Barrier(CROWD)

    def work(connection: Any) -> None:
        with connection.pipeline() as pipeline:
            pipeline.watch("key")
            together.wait(SOON)

    with ThreadPoolExecutor(CROWD) as pool:
        for call in [
            pool.submit(client.execute_with_failover, work, timeout=LONG) for _ in range(CROWD)
        ]:
            call.result()
    assert counts(client) == (CROWD, 0)


def counts(client: Client | AsyncClient) -> tuple[int, int]:
    (found,) = client.connections().values()
    return found


def trimmers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]


def test_surplus_connections_are_closed_without_another_call(
    cluster: Cluster, client: Client
) -> None:
    crowd(client)
    assert len(trimmers()) == 1
    cluster.wait_for(lambda: counts(client) == (KEPT, 0), timeout=SOON)
    cluster.wait_for(lambda: not trimmers(), timeout=SOON)
    crowd(client)
    cluster.wait_for(lambda: counts(client) == (KEPT, 0), timeout=SOON)


def test_a_closed_client_leaves_no_timer(cluster: Cluster) -> None:
    with Client(cluster.access("app")) as client:
        crowd(client)
        assert trimmers()
    cluster.wait_for(lambda: not trimmers(), timeout=2.0)


def test_a_forked_child_closes_its_own_surplus(client: Client) -> None:
    crowd(client)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            crowd(client)
            deadline = time.monotonic() + SOON
            while counts(client) != (KEPT, 0) and time.monotonic() < deadline:
                time.sleep(0.1)
            status = counts(client) != (KEPT, 0)
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    assert client.execute_with_failover(set_key)


def test_surplus_connections_are_closed_in_asyncio_too(cluster: Cluster) -> None:
    async def run() -> None:
        async with AsyncClient(cluster.access("app")) as client:
            together = asyncio.Barrier(CROWD)

            async def work(connection: Any) -> None:
                async with connection.pipeline() as pipeline:
                    await pipeline.watch("key")
                    await together.wait()

            calls = (client.execute_with_failover(work, timeout=LONG) for _ in range(CROWD))
            await asyncio.gather(*calls)
            assert counts(client) == (CROWD, 0)
            async with asyncio.timeout(SOON):
                while counts(client) != (KEPT, 0):
                    await asyncio.sleep(0.1)
            assert await client.execute_with_failover(aget) is None

    asyncio.run(run())


# A call under way ends when its client is closed.


def test_a_call_that_looks_for_a_master_ends_with_its_client(
    cluster: Cluster, client: Client
) -> None:
    client.execute_with_failover(set_key)
    with all_stopped(cluster):
        known = in_thread(lambda: client.execute_with_failover(get_key, timeout=LONG))
        other = Client(cluster.access("app"))
        unknown = in_thread(lambda: other.execute_with_failover(get_key, timeout=LONG))
        time.sleep(1.0)
        assert not known.done()
        assert not unknown.done()
        for closing, call in ((client, known), (other, unknown)):
            closing.close()
            with pytest.raises(ClientClosed, match="the client was closed"):
                call.result(SOON)


def test_a_call_that_waits_for_a_reply_ends_with_its_client(
    cluster: Cluster, client: Client
) -> None:
    calls = [
        in_thread(lambda command=command: client.execute_with_failover(command, timeout=LONG))
        for command in (
            lambda connection: connection.xread({"stream": "$"}, block=0),
            lambda connection: connection.blpop("nothing", timeout=0),
        )
    ]
    cluster.wait_for(lambda: counts(client)[1] == len(calls), timeout=SOON)
    time.sleep(0.5)
    client.close()
    with pytest.raises(ClientClosed):
        calls[0].result(SOON)
    # A write that was under way may have been applied: that is more to know.
    with pytest.raises(OutcomeUnknown):
        calls[1].result(SOON)


def test_a_call_ends_with_its_client_in_asyncio_too(cluster: Cluster) -> None:
    async def run() -> None:
        access = cluster.access("app")
        client, other = await AsyncClient(access).open(), AsyncClient(access)
        with all_stopped(cluster):
            calls = [
                asyncio.create_task(one.execute_with_failover(aget, timeout=LONG))
                for one in (client, other)
            ]
            await asyncio.sleep(1.0)
            assert not any(call.done() for call in calls)
            for closing, call in zip((client, other), calls, strict=True):
                await closing.close()
                with pytest.raises(ClientClosed):
                    await asyncio.wait_for(call, SOON)

    asyncio.run(run())


# What another server's client raises is the caller's own.


@pytest.fixture
def elsewhere(cluster: Cluster) -> Iterator[redis.Redis]:
    """Give a plain client of another server, one that serves and refuses writes."""
    with cluster.replicas[0].client() as other:
        yield other


def refused(_: Any) -> None:
    redis.Redis(port=free_ports(1)[0]).get("key")


def used_before(connection: Any) -> None:
    connection.get("key")
    refused(connection)


def written_before(connection: Any) -> None:
    connection.pipeline().set("key", "value").execute()
    refused(connection)


@pytest.mark.parametrize("use", [refused, used_before, written_before])
@pytest.mark.parametrize("idempotent", [False, True])
def test_another_servers_error_is_raised_as_it_is(
    client: Client, use: Callable[[Any], None], idempotent: bool
) -> None:
    attempts = []

    def attempt(connection: Any) -> None:
        attempts.append(1)
        use(connection)

    with pytest.raises(redis.ConnectionError):
        client.execute_with_failover(attempt, timeout=LONG, idempotent=idempotent)
    assert attempts == [1]
    assert counts(client)[1] == 0


def test_a_function_may_ask_for_another_try(client: Client) -> None:
    attempts = []

    def hesitant(connection: Any) -> bool:
        attempts.append(1)
        if len(attempts) == 1:
            raise redis.ConnectionError("not now")
        return bool(connection.ping())

    assert client.execute_with_failover(hesitant) is True


def test_a_refusal_of_another_server_is_not_taken_for_ours(
    client: Client, elsewhere: redis.Redis
) -> None:
    attempts = []

    def write_there(connection: Any) -> None:
        attempts.append(connection.set("key", "value"))
        elsewhere.set("key", "value")

    with pytest.raises(redis.ReadOnlyError):
        client.execute_with_failover(write_there, idempotent=True)
    assert attempts == [True]


def test_an_error_of_ours_counts_whatever_else_was_used(
    cluster: Cluster, client: Client, elsewhere: redis.Redis
) -> None:
    client.execute_with_failover(set_key)
    attempts = []

    def use_both(connection: Any) -> Any:
        attempts.append(elsewhere.ping())
        if len(attempts) == 1:
            with cluster.master.client() as admin:
                admin.config_set("min-replicas-to-write", 9)
                pipeline = connection.pipeline()
                try:
                    pipeline.set("key", "other").execute()
                finally:
                    admin.config_set("min-replicas-to-write", 0)
        return connection.get("key")

    assert client.execute_with_failover(use_both, timeout=LONG) == "value"
    assert len(attempts) > 1


def broken_while(cluster: Cluster, command: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Have our connection broken at the first attempt, in a command that waits."""
    attempts: list[int] = []

    def attempt(connection: Any) -> Any:
        attempts.append(1)
        if len(attempts) == 1:
            threading.Timer(0.5, lambda: break_connections(cluster)).start()
            return command(connection)
        return len(attempts)

    return attempt


def break_connections(cluster: Cluster) -> None:
    with cluster.master.client() as admin:
        for kind in ("normal", "pubsub"):
            admin.client_kill_filter(_type=kind, skipme=True)


def blocked(connection: Any) -> Any:
    return connection.xread({"stream": "$"}, block=0)


def listening(connection: Any) -> Any:
    with connection.pubsub(ignore_subscribe_messages=True) as subscription:
        subscription.subscribe("news")
        while True:
            subscription.get_message(timeout=None)


def in_a_thread(connection: Any) -> Any:
    return in_thread(lambda: blocked(connection)).result(SOON)


def wrapped(connection: Any) -> Any:
    try:
        return blocked(connection)
    except redis.RedisError as error:
        raise redis.ConnectionError("the shop is closed") from error


@pytest.mark.parametrize("command", [blocked, listening, in_a_thread, wrapped])
def test_a_connection_of_ours_that_breaks_is_tried_again(
    cluster: Cluster, client: Client, command: Callable[[Any], Any]
) -> None:
    attempt = broken_while(cluster, command)
    assert client.execute_with_failover(attempt, timeout=LONG) == 2


def test_a_write_in_a_call_inside_counts_for_the_call_around_it(
    cluster: Cluster, client: Client
) -> None:
    def around(connection: Any) -> None:
        client.execute_with_failover(lambda inside: inside.incr("counter"))
        threading.Timer(0.5, lambda: break_connections(cluster)).start()
        blocked(connection)

    with pytest.raises(OutcomeUnknown):
        client.execute_with_failover(around, timeout=LONG)
    assert client.execute_with_failover(lambda connection: connection.get("counter")) == "1"


async def arefused(_: Any) -> None:
    await redis.asyncio.Redis(port=free_ports(1)[0]).get("key")


async def aused_before(connection: Any) -> None:
    await connection.set("key", "value")
    await arefused(connection)


async def in_a_task(connection: Any) -> None:
    await asyncio.gather(aget(connection), aused_before(connection))


@pytest.mark.parametrize("use", [arefused, aused_before, in_a_task])
def test_another_servers_error_is_raised_as_it_is_in_asyncio_too(
    cluster: Cluster, use: Callable[[Any], Awaitable[Any]]
) -> None:
    async def run() -> int:
        attempts = []

        async def attempt(connection: Any) -> None:
            attempts.append(1)
            await use(connection)

        async with AsyncClient(cluster.access("app")) as client:
            with pytest.raises(redis.ConnectionError, match="connecting to localhost"):
                await client.execute_with_failover(attempt, timeout=LONG, idempotent=True)
        return len(attempts)

    assert asyncio.run(run()) == 1


def test_a_connection_of_ours_that_breaks_is_tried_again_in_asyncio_too(cluster: Cluster) -> None:
    async def run() -> int:
        attempts = []

        async def attempt(connection: Any) -> int:
            attempts.append(1)
            if len(attempts) == 1:
                threading.Timer(0.5, lambda: break_connections(cluster)).start()
                await asyncio.gather(connection.xread({"stream": "$"}, block=0))
            return len(attempts)

        async with AsyncClient(cluster.access("app")) as client:
            return await client.execute_with_failover(attempt, timeout=LONG)

    assert asyncio.run(run()) == 2


def test_a_function_that_waits_for_something_else_does_not_accuse_the_master(
    cluster: Cluster,
) -> None:
    async def run() -> str:
        async with AsyncClient(cluster.access("app")) as client:
            with pytest.raises(CallTimedOut) as caught:
                await client.execute_with_failover(lambda _: asyncio.sleep(LONG), timeout=1.0)
            return str(caught.value)

    assert "by itself" in (said := asyncio.run(run()))
    assert "no master" not in said


# As much time as somebody wants.


@pytest.mark.parametrize("timeout", [math.inf, 1e10])
def test_a_call_without_end(cluster: Cluster, timeout: float) -> None:
    with Client(cluster.access("app"), timeout=timeout) as client:
        assert client.execute_with_failover(set_key)
        assert client.execute_with_failover(set_key, timeout=timeout)
        assert client.execute_with_failover(get_key, read_only=True) == "value"

    async def run() -> Any:
        async with AsyncClient(cluster.access("app"), timeout=timeout) as other:
            return await other.execute_with_failover(aget, timeout=timeout)

    assert asyncio.run(run()) == "value"


def test_waiting_for_a_connection_without_end(cluster: Cluster) -> None:
    # More at once than there may be.
    with Client(cluster.access("app"), timeout=math.inf) as client, ThreadPoolExecutor(60) as pool:
        calls = [
            pool.submit(client.execute_with_failover, lambda c: c.blpop("nothing", timeout=1))
            for _ in range(60)
        ]
        assert [call.result(SOON) for call in calls] == [None] * 60
