"""What callers do with a client on a real cluster: its pool, every kind of command, forks."""

import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis

from redis_ha import Client
from redis_ha.client.call import Call
from redis_ha.client.pools import Pool
from redis_ha.client.wires import options
from redis_ha.environment import PoolSettings
from redis_ha.errors import (
    BadSetting,
    CallTimedOut,
    ClientClosed,
    OutcomeUnknown,
    PoolExhausted,
)
from tests.patience import at_best
from tests.processes.cluster import Cluster
from tests.processes.cluster_files import PASSWORDS
from tests.processes.redis_ha.client_load import app_connections, get_key, set_key

Figure = Callable[[str], None]


def test_fifty_threads_leak_no_connection(cluster: Cluster, figure: Figure) -> None:
    before = app_connections(cluster)
    settings = PoolSettings(5, 10, 50)

    def work(thread: int) -> None:
        for number in range(200):
            client.execute_with_failover(
                lambda connection, number=number: connection.set(f"{thread}:{number}", number)
            )

    with Client(cluster.access("app"), settings) as client:
        cluster.wait_for(lambda: app_connections(cluster) == before + 5, timeout=5.0)
        with ThreadPoolExecutor(50) as pool:
            list(pool.map(work, range(50)))
        ((idle, lent),) = client.connections().values()
        figure(f"50 threads: {idle} connections idle, {lent} in use")
        assert lent == 0
        assert idle <= 50
        # One that is too many may go at any time.
        cluster.wait_for(
            lambda: (
                app_connections(cluster) == before + sum(map(sum, client.connections().values()))
            ),
            timeout=5.0,
        )
        time.sleep(5.1)  # as long as SURPLUS_SECONDS lets them stay
        client.execute_with_failover(get_key)
        cluster.wait_for(lambda: app_connections(cluster) == before + 10, timeout=5.0)
    cluster.wait_for(lambda: app_connections(cluster) == before, timeout=5.0)


def test_a_server_that_takes_no_more_connections(cluster: Cluster) -> None:
    with cluster.master.client() as admin:
        connected = int(admin.info("clients")["connected_clients"])
        admin.config_set("maxclients", connected + 3)
        with Client(cluster.access("app")) as client:
            assert client.execute_with_failover(set_key)
            ((idle, lent),) = client.connections().values()
            assert 0 < idle < 5
            assert lent == 0
            with ThreadPoolExecutor(20) as pool:
                calls = [pool.submit(client.execute_with_failover, set_key) for _ in range(100)]
                assert all(call.result() for call in calls)


def test_a_pool_that_stays_empty_says_so_in_time(cluster: Cluster) -> None:
    with Client(cluster.access("app"), PoolSettings(1, 1, 1)) as client:

        def seconds() -> float:
            began = time.monotonic()
            with pytest.raises(PoolExhausted, match="REDIS_MAX_CONNECTIONS"):
                client.execute_with_failover(get_key, timeout=0.5)
            took = time.monotonic() - began
            assert took > 0.4
            return took

        block = threading.Thread(
            target=client.execute_with_failover,
            args=(lambda connection: connection.blpop("nothing", timeout=9),),
        )
        block.start()
        cluster.wait_for(lambda: (0, 1) in client.connections().values(), timeout=5.0)
        at_best(seconds, under=0.8)
        with cluster.master.client("app") as other:
            other.rpush("nothing", "at last")
        block.join()
        # It comes free for one who waits.
        assert client.execute_with_failover(set_key, timeout=5.0)


def test_a_blocking_command_may_take_as_long_as_the_call(client: Client) -> None:
    def seconds() -> float:
        began = time.monotonic()
        assert client.execute_with_failover(lambda c: c.blpop("nothing", timeout=2)) is None
        took = time.monotonic() - began
        assert took > 1.9
        return took

    at_best(seconds, under=3)
    with pytest.raises(CallTimedOut, match="timeout="):
        client.execute_with_failover(lambda c: c.blpop("nothing", timeout=5), timeout=0.5)


def test_pipelines_transactions_locks_and_subscriptions_work(client: Client) -> None:
    def everything(connection: Any) -> Any:
        with connection.pipeline() as pipeline:
            pipeline.watch("key")
            pipeline.multi()
            pipeline.set("key", 1)
            pipeline.incr("key")
            assert pipeline.execute() == [True, 2]
        with connection.lock("lock", timeout=5):
            assert connection.pipeline(transaction=False).get("key").execute() == ["2"]
        with connection.pubsub(ignore_subscribe_messages=True) as subscription:
            subscription.subscribe("news")
            connection.publish("news", "hello")
            began = time.monotonic()
            while (message := subscription.get_message(timeout=0.1)) is None:
                assert time.monotonic() - began < 3
            assert subscription.get_message(timeout=0.1) is None
            return message["data"]

    assert client.execute_with_failover(everything) == "hello"
    assert all(lent == 0 for _, lent in client.connections().values())


def test_a_forked_child_has_connections_of_its_own(cluster: Cluster, client: Client) -> None:
    client.execute_with_failover(set_key)
    parents = {row["id"] for row in _rows(cluster)}
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        answer = b"failed"
        try:
            got = [client.execute_with_failover(get_key) for _ in range(5)]
            own = client.execute_with_failover(lambda c: c.client_id())
            answer = b"ok" if got == ["value"] * 5 and str(own) not in parents else b"shared"
        finally:
            os.write(write, answer)
            os._exit(0)
    got = [client.execute_with_failover(get_key) for _ in range(50)]
    try:
        assert os.read(read, 10) == b"ok"
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert got == ["value"] * 50


def test_a_write_in_a_call_inside_counts_for_the_call_around_it(client: Client) -> None:
    attempts = []

    def around(_: Any) -> None:
        attempts.append(1)
        client.execute_with_failover(lambda connection: connection.incr("counter"))
        raise redis.ConnectionError("the connection broke")

    with pytest.raises(OutcomeUnknown):
        client.execute_with_failover(around)
    assert client.execute_with_failover(lambda connection: connection.get("counter")) == "1"
    with pytest.raises(CallTimedOut):
        client.execute_with_failover(
            lambda _: client.execute_with_failover(
                lambda connection: connection.blpop("nothing", timeout=9), timeout=9.0
            ),
            timeout=0.5,
        )


def test_a_pool_is_opened_with_what_nobody_else_needs(cluster: Cluster) -> None:
    access, address = cluster.access("app"), cluster.master.address
    pool = Pool(address, PoolSettings(5, 5, 5), **options(access, address, decode=True, db=0))
    busy = pool.get_connection()
    call = Call(1.0)
    call.begin(pool)
    pool.open(5, call)
    assert pool.counts == (4, 1)
    pool.release(busy)
    assert pool.counts == (5, 0)
    pool.disconnect()


def lock(connection: Any) -> Any:
    return connection.lock("lock", timeout=5)


def watch(connection: Any) -> Any:
    pipeline = connection.pipeline()
    pipeline.watch("key")
    return pipeline


@pytest.mark.parametrize("hold", [lock, watch])
def test_a_call_whose_time_is_over_gives_its_connections_back(
    cluster: Cluster, client: Client, hold: Callable[[Any], Any]
) -> None:
    def held(connection: Any) -> None:
        with hold(connection):
            cluster.master.pause()
            connection.get("key")

    client.execute_with_failover(set_key)
    try:
        with pytest.raises(CallTimedOut):
            client.execute_with_failover(held, timeout=0.5)
    finally:
        cluster.master.resume()
    assert client.execute_with_failover(get_key) == "value"
    assert all(lent == 0 for _, lent in client.connections().values())


def test_a_closed_client_says_so(cluster: Cluster) -> None:
    client = Client(cluster.access("app"))
    with client:
        client.execute_with_failover(set_key)
    with pytest.raises(ClientClosed):
        client.execute_with_failover(get_key)


def test_from_the_environment_with_another_host(cluster: Cluster, monkeypatch: Any) -> None:
    monkeypatch.chdir(cluster.directory)
    access = cluster.access("app")
    environ = {
        "REDIS_USERNAME": "app",
        "REDIS_PASSWORD": PASSWORDS["app"],
        "REDIS_TLS_CA": str(access.ca),
        "REDIS_HOST_OVERRIDE": "127.0.0.1",
        "REDIS_MIN_CONNECTIONS": "2",
    }
    for number, sentinel in enumerate(access.sentinels, start=1):
        # An address of no machine (RFC 5737): only the override leads anywhere.
        environ[f"REDIS_SENTINEL_HOST_{number}"] = "192.0.2.1"
        environ[f"REDIS_SENTINEL_PORT_{number}"] = str(sentinel.port)
    with Client.from_env(environ, decode=False) as client:
        client.execute_with_failover(set_key)
        assert client.execute_with_failover(get_key) == b"value"
        assert list(client.connections().values()) == [(2, 0)]
    with pytest.raises(BadSetting, match="REDIS_TLS_CA"):
        Client.from_env({})
    with pytest.raises(BadSetting, match="ascend"):
        Client.from_env(environ | {"REDIS_MAX_CONNECTIONS": "1"})


def _rows(cluster: Cluster) -> list[dict[str, str]]:
    with cluster.master.client() as admin:
        return list(admin.client_list())
