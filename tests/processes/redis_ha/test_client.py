"""The client on a real cluster through every fault: in time, nothing lost by it, clear errors."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis

from redis_ha import Client
from redis_ha.connection import Credentials
from redis_ha.errors import (
    AccessDenied,
    CallTimedOut,
    OutcomeUnknown,
)
from redis_ha.switchover import OldMaster, switch_over
from tests.processes.cluster import Cluster
from tests.processes.ports import free_ports
from tests.processes.redis_ha.client_load import Load, get_key, set_key
from tests.processes.redis_ha.strangers import paper

Figure = Callable[[str], None]


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


def test_nobody_there(cluster: Cluster) -> None:
    ports = free_ports(3)
    access = cluster.access("app")
    nowhere = tuple(replace(s, port=port) for s, port in zip(access.sentinels, ports, strict=True))
    with pytest.raises(CallTimedOut, match="no majority"):
        Client(replace(access, sentinels=nowhere)).execute_with_failover(get_key, timeout=0.5)


def _searching() -> list[str]:
    return [thread.name for thread in threading.enumerate() if "redis-ha" in thread.name]
