"""Whose error it is: another server's is raised as it is, one of ours is tried again."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
import redis
import redis.asyncio

from redis_ha import AsyncClient, Client
from redis_ha.errors import CallTimedOut, OutcomeUnknown
from tests.processes.cluster import Cluster
from tests.processes.ports import free_ports
from tests.processes.redis_ha.client_calls import LONG, SOON, aget, counts, in_thread
from tests.processes.redis_ha.client_load import set_key


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
