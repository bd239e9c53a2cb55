"""How calls and clients end: closed under way, for want of a setting, or not at all."""

import asyncio
import math
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from redis_ha import AsyncClient, Client
from redis_ha.connection import Address
from redis_ha.errors import CallTimedOut, ClientClosed, OutcomeUnknown
from tests.processes.cluster import Cluster
from tests.processes.ports import free_ports
from tests.processes.redis_ha.client_calls import LONG, SOON, aget, counts, in_thread
from tests.processes.redis_ha.client_load import get_key, set_key

CROWD = 20
KEPT = 10


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
