"""Whose an error of redis-py is: a function may use other Redis servers beside ours."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
import redis.asyncio

from redis_ha.client.async_pools import AsyncPool
from redis_ha.client.call import Call
from redis_ha.client.origin import comes_from_elsewhere
from redis_ha.client.pools import Pool
from redis_ha.connection import Address
from redis_ha.environment import PoolSettings


@pytest.fixture
def nobody() -> Iterator[Address]:
    """Give an address that refuses connections: bound, and nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield Address("127.0.0.1", taken.getsockname()[1])


def pool_of(address: Address) -> Pool:
    return Pool(address, PoolSettings(), host=address.host, port=address.port, ca="none")


def raised_by(command: Callable[[], Any]) -> redis.RedisError:
    with pytest.raises(redis.RedisError) as caught:
        command()
    return caught.value


def pipelined(client: Any) -> None:
    client.pipeline().set("key", 1).execute()


def subscribed(client: Any) -> None:
    client.pubsub().subscribe("news")


def wrapped(client: Any) -> None:
    try:
        client.get("key")
    except redis.RedisError as error:
        raise redis.TimeoutError("the shop is closed") from error


def bare(client: Any) -> None:
    client.connection_pool.get_connection()


@pytest.mark.parametrize("use", [pipelined, subscribed, wrapped, bare])
def test_an_error_of_our_pool_is_told_from_another_servers(
    nobody: Address, use: Callable[[Any], None]
) -> None:
    ours, other = pool_of(nobody), pool_of(nobody)
    error = raised_by(lambda: use(redis.Redis(connection_pool=ours)))
    assert not comes_from_elsewhere(error, ours)
    assert comes_from_elsewhere(error, other)
    stranger = redis.Redis(host=nobody.host, port=nobody.port)
    assert comes_from_elsewhere(raised_by(lambda: wrapped(stranger)), ours)


def test_the_same_for_asyncio(nobody: Address) -> None:
    async def failing(client: Any) -> redis.RedisError:
        with pytest.raises(redis.RedisError) as caught:
            await client.pipeline().set("key", 1).execute()
        return caught.value

    async def run() -> None:
        pool = AsyncPool(nobody, PoolSettings(), host=nobody.host, port=nobody.port, ca="none")
        assert not comes_from_elsewhere(
            await failing(redis.asyncio.Redis(connection_pool=pool)), pool
        )
        stranger = redis.asyncio.Redis(host=nobody.host, port=nobody.port)
        assert comes_from_elsewhere(await failing(stranger), pool)

    asyncio.run(run())


def test_an_error_that_is_its_own_cause() -> None:
    error = redis.ConnectionError("of itself")
    error.__cause__ = error
    assert not comes_from_elsewhere(error, object())


@pytest.mark.parametrize("use", [pipelined, subscribed, wrapped, bare])
def test_a_call_leaves_an_error_that_is_not_its_nodes_alone(
    nobody: Address, use: Callable[[Any], None]
) -> None:
    error = raised_by(lambda: use(redis.Redis(host=nobody.host, port=nobody.port)))
    call = Call(5.0, repeatable=True)
    call.begin(pool_of(nobody))
    with pytest.raises(type(error)) as caught:
        call.failed(error)
    assert caught.value is error
    assert call.last_error is None


def test_what_a_function_raises_by_itself_asks_for_another_try(nobody: Address) -> None:
    def busy() -> None:
        raise redis.ConnectionError("not now")

    call = Call(5.0, repeatable=True)
    call.begin(pool_of(nobody))
    call.failed(raised_by(busy))
    assert str(call.last_error) == "not now"


def test_a_timeout_names_the_last_error_once() -> None:
    call = Call(5.0)
    assert "last error" not in str(call.timed_out("no master", effects=0))
    call.broke(redis.ConnectionError("it broke"))
    assert str(call.timed_out("no master", effects=0)).count("it broke") == 1
    assert str(call.timed_out("it broke", effects=0)).count("it broke") == 1
