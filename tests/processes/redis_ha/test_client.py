"""The client on a real cluster through every fault: in time, nothing lost by it, clear errors."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis

from redis_ha import Client
from redis_ha.connection import Credentials
from redis_ha.environment import PoolSettings
from redis_ha.errors import (
    AccessDenied,
    BadSetting,
    CallTimedOut,
    ClientClosed,
    OutcomeUnknown,
    PoolExhausted,
)
from redis_ha.switchover import OldMaster, switch_over
from tests.processes.cluster import Cluster, free_ports
from tests.processes.cluster_files import PASSWORDS
from tests.processes.redis_ha.client_load import Load
from tests.processes.redis_ha.strangers import paper

Figure = Callable[[str], None]


@pytest.fixture
def client(cluster: Cluster) -> Iterator[Client]:
    with Client(cluster.access("app")) as opened:
        yield opened


def set_key(connection: Any) -> Any:
    return connection.set("key", "value")


def get_key(connection: Any) -> Any:
    return connection.get("key")


def app_connections(cluster: Cluster) -> int:
    """Return how many connections of user app the master has."""
    with cluster.master.client() as admin:
        return sum(row["user"] == "app" for row in admin.client_list())


def test_a_crash_under_twenty_threads(cluster: Cluster, client: Client, figure: Figure) -> None:
    with Load.running(client, threads=20) as load:
        load.wait_for_writes(500)
        old = cluster.master
        killed = time.monotonic()
        old.kill()
        cluster.wait_for_master(other_than=old)
        load.wait_for_writes(1000)
    lost = load.lost(cluster)
    figure(
        f"crash, down-after 2 s: gap {load.gap:.2f} s, lost {len(lost)} of"
        f" {len(load.acknowledged)}, longest call {load.longest_call:.2f} s"
    )
    assert load.errors == []
    assert load.longest_call < load.timeout
    assert load.gap < 2.0 + 1.5
    # Replication is asynchronous: what a crash can lose was acknowledged just before it.
    assert all(killed - 1.0 < at < killed + 0.5 for at in lost.values()), (killed, lost)
    cluster.wait_for(lambda: not _searching(), timeout=5.0, explain=_searching)


def test_a_switchover_under_load_loses_nothing(
    cluster: Cluster, client: Client, figure: Figure
) -> None:
    with Load.running(client, threads=4, idempotent=False) as load:
        for _ in range(2):
            load.wait_for_writes(500)
            switch_over(cluster.access("operator"), old_master=OldMaster.DEMOTE)
            load.wait_for_writes(200)
            cluster.wait_until_healthy()
    lost = load.lost(cluster)
    figure(f"switchover: gap {load.gap:.2f} s, lost {len(lost)} of {len(load.acknowledged)}")
    # Not one of them was uncertain, though none was said to be idempotent.
    assert (lost, load.errors) == ({}, [])
    assert load.gap < 1.5


def test_a_hung_master(cluster: Cluster, client: Client, figure: Figure) -> None:
    hung = cluster.master
    with Load.running(client, threads=4, timeout=15.0) as load:
        load.wait_for_writes(200)
        hung.pause()
        try:
            load.wait_for_writes(500)
        finally:
            hung.resume()
    figure(f"hang, down-after 2 s: gap {load.gap:.2f} s")
    assert load.errors == []
    assert load.gap < 2.0 + 4.0


def test_with_everything_hung_each_call_ends_in_its_time(cluster: Cluster, client: Client) -> None:
    client.execute_with_failover(set_key)
    for process in (*cluster.data_nodes, *cluster.sentinels):
        process.pause()
    try:
        for timeout, read_only in ((0.3, False), (1.5, True), (0.0, False)):
            began = time.monotonic()
            with pytest.raises(CallTimedOut) as caught:
                client.execute_with_failover(get_key, read_only=read_only, timeout=timeout)
            assert time.monotonic() - began < timeout + 0.3
            assert "not done within" in caught.value.cause
    finally:
        for process in (*cluster.data_nodes, *cluster.sentinels):
            process.resume()
    assert client.execute_with_failover(get_key) == "value"


def test_a_write_whose_reply_never_came_is_not_repeated_unasked(
    cluster: Cluster, client: Client
) -> None:
    client.execute_with_failover(set_key)
    master = cluster.master.pause()
    seen: list[str] = []

    def count(connection: Any) -> None:
        seen.append(str(connection.connection_pool.address))
        connection.incr("counter")

    threading.Timer(0.5, master.kill).start()
    with pytest.raises(OutcomeUnknown) as caught:
        client.execute_with_failover(count)
    assert len(seen) == 1
    assert isinstance(caught.value.__cause__, redis.ConnectionError)
    assert "idempotent=True" in caught.value.hint


def test_an_idempotent_write_is_repeated_on_the_new_master(
    cluster: Cluster, client: Client
) -> None:
    client.execute_with_failover(set_key)
    master = cluster.master.pause()
    threading.Timer(0.5, master.kill).start()
    assert client.execute_with_failover(set_key, idempotent=True, timeout=20.0)
    assert cluster.settled_master() is not master


def test_a_restart_of_all_nodes(cluster: Cluster, client: Client) -> None:
    client.execute_with_failover(set_key)
    for process in (*cluster.data_nodes, *cluster.sentinels):
        process.stop()
    with pytest.raises(CallTimedOut, match=r"no master|refused"):
        client.execute_with_failover(get_key, timeout=1.0)
    waiting = threading.Timer(
        0.5, lambda: [p.start() for p in (*cluster.data_nodes, *cluster.sentinels)]
    )
    waiting.start()
    assert client.execute_with_failover(get_key, timeout=20.0) == "value"
    waiting.join()


def test_a_wrong_password_is_said_at_once(cluster: Cluster) -> None:
    access = replace(cluster.access("app"), credentials=Credentials("app", "wrong"))
    began = time.monotonic()
    with pytest.raises(AccessDenied, match="REDIS_PASSWORD"):
        Client(access).execute_with_failover(get_key)
    assert time.monotonic() - began < 1.5


def test_a_password_that_only_the_data_nodes_refuse(cluster: Cluster) -> None:
    for node in cluster.data_nodes:
        with node.client() as admin:
            admin.execute_command("ACL", "SETUSER", "app", "resetpass", ">other")
    began = time.monotonic()
    with pytest.raises(AccessDenied):
        Client(cluster.access("app")).execute_with_failover(get_key)
    assert time.monotonic() - began < 1.5


def test_a_foreign_certificate_is_said_at_once(cluster: Cluster, tmp_path: Path) -> None:
    stranger, _ = paper(tmp_path / "stranger", valid_for=timedelta(days=9))
    with pytest.raises(AccessDenied, match="CERTIFICATE_VERIFY_FAILED"):
        Client(replace(cluster.access("app"), ca=stranger)).execute_with_failover(get_key)


def test_the_callers_own_errors_are_left_alone(client: Client) -> None:
    client.execute_with_failover(set_key)
    attempts = []

    def wrong_type(connection: Any) -> Any:
        attempts.append(1)
        return connection.lpush("key", 1)

    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        client.execute_with_failover(wrong_type, idempotent=True)
    with pytest.raises(ZeroDivisionError):
        client.execute_with_failover(lambda _: 1 / 0)
    assert len(attempts) == 1


def test_a_command_that_the_user_may_not_run(client: Client) -> None:
    with pytest.raises(AccessDenied, match="flushall") as caught:
        client.execute_with_failover(lambda connection: connection.flushall(), idempotent=True)
    assert isinstance(caught.value.__cause__, redis.exceptions.NoPermissionError)


def test_without_sentinels_a_client_goes_on_and_a_new_one_says_why_not(
    cluster: Cluster, client: Client
) -> None:
    client.execute_with_failover(set_key)
    master = cluster.master
    for sentinel in cluster.sentinels[1:]:
        sentinel.stop()
    with master.client() as admin:
        admin.client_kill_filter(_type="normal", skipme=True)
    assert client.execute_with_failover(get_key) == "value"
    with pytest.raises(CallTimedOut, match="no majority of the sentinels"):
        Client(cluster.access("app")).execute_with_failover(get_key, timeout=1.0)


def test_a_sentinel_that_is_none_does_not_matter(cluster: Cluster) -> None:
    access = cluster.access("app")
    # A data node: it knows no SENTINEL command.
    wrong = replace(access, sentinels=(cluster.replicas[0].address, *access.sentinels[1:]))
    with Client(wrong) as client:
        assert client.execute_with_failover(set_key)


def test_connections_closed_by_the_server_are_replaced_unnoticed(
    cluster: Cluster, client: Client
) -> None:
    for _ in range(3):
        with cluster.master.client() as admin:
            admin.client_kill_filter(_type="normal", skipme=True)
        assert client.execute_with_failover(set_key)


def test_reads_go_to_replicas_and_writes_there_are_refused(
    cluster: Cluster, client: Client
) -> None:
    client.execute_with_failover(set_key)
    cluster.wait_until_healthy()

    def place(connection: Any) -> Any:
        assert connection.get("key") == "value"
        return connection.connection_pool.address

    replicas = {node.address for node in cluster.replicas}
    assert {client.execute_with_failover(place, read_only=True) for _ in range(4)} == replicas
    with pytest.raises(redis.ReadOnlyError):
        client.execute_with_failover(set_key, read_only=True)


def test_reads_survive_replicas_that_hang_and_die(cluster: Cluster, client: Client) -> None:
    client.execute_with_failover(set_key)
    client.execute_with_failover(get_key, read_only=True)
    first, second = cluster.replicas
    first.pause()
    second.kill()
    try:
        deadline = time.monotonic() + 4
        while time.monotonic() < deadline:
            began = time.monotonic()
            assert client.execute_with_failover(get_key, read_only=True) == "value"
            assert time.monotonic() - began < 4
    finally:
        first.resume()


def test_a_replica_that_lags_is_not_read(cluster: Cluster) -> None:
    lagging, other = cluster.replicas
    with lagging.client() as admin, Client(cluster.access("app"), max_lag_seconds=2.0) as client:
        # It answers, but applies nothing any more.
        admin.config_set("masterauth", "wrong")
        admin.client_kill_filter(_type="master", skipme=True)

        def only_the_other() -> bool:
            client.execute_with_failover(set_key)
            places = {
                client.execute_with_failover(
                    lambda connection: connection.connection_pool.address, read_only=True
                )
                for _ in range(4)
            }
            return places == {other.address}

        cluster.wait_for(only_the_other, timeout=10.0)


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
        cluster.wait_for(lambda: app_connections(cluster) == before + idle, timeout=5.0)
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
        block = threading.Thread(
            target=client.execute_with_failover,
            args=(lambda connection: connection.blpop("nothing", timeout=2),),
        )
        block.start()
        cluster.wait_for(lambda: (0, 1) in client.connections().values(), timeout=5.0)
        began = time.monotonic()
        with pytest.raises(PoolExhausted, match="REDIS_MAX_CONNECTIONS"):
            client.execute_with_failover(get_key, timeout=0.5)
        assert 0.4 < time.monotonic() - began < 0.8
        block.join()
        # It comes free for one who waits.
        assert client.execute_with_failover(set_key, timeout=5.0)


def test_a_blocking_command_may_take_as_long_as_the_call(client: Client) -> None:
    began = time.monotonic()
    assert client.execute_with_failover(lambda c: c.blpop("nothing", timeout=2)) is None
    assert 1.9 < time.monotonic() - began < 3
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


def test_nobody_there(cluster: Cluster) -> None:
    ports = free_ports(3)
    access = cluster.access("app")
    nowhere = tuple(replace(s, port=port) for s, port in zip(access.sentinels, ports, strict=True))
    with pytest.raises(CallTimedOut, match="no majority"):
        Client(replace(access, sentinels=nowhere)).execute_with_failover(get_key, timeout=0.5)


def _searching() -> list[str]:
    return [thread.name for thread in threading.enumerate() if "redis-ha" in thread.name]


def _rows(cluster: Cluster) -> list[dict[str, str]]:
    with cluster.master.client() as admin:
        return list(admin.client_list())
