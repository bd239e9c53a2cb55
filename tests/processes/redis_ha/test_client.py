"""The client on a real cluster through every fault: in time, nothing lost by it, clear errors."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

import pytest
import redis

from redis_ha import Client
from redis_ha.connection import Credentials
from redis_ha.discovery import Access
from redis_ha.errors import (
    AccessDenied,
    CallTimedOut,
    OutcomeUnknown,
)
from redis_ha.switchover import OldMaster, switch_over
from tests.patience import at_best, sleeper
from tests.processes.cluster import Cluster, Process
from tests.processes.ports import free_ports
from tests.processes.redis_ha.client_load import Load, get_key, set_key
from tests.processes.redis_ha.strangers import paper
from tests.processes.redis_ha.witnessed import promotion_seconds

# When bare Sentinel acts on a busy machine is its own affair (s); to follow it is the client's.
PROMOTED_WITHIN = 15.0
FOLLOWED_WITHIN = 1.5
Figure = Callable[[str], None]


@dataclass(frozen=True)
class Loss:
    """When the master was lost (monotonic s), and after how many seconds there was another.

    `behind` is how long (s) a write took just before to be on every replica.
    """

    moment: float
    promoted: float
    behind: float

    @classmethod
    def by(cls, fault: Callable[[Process], object], cluster: Cluster) -> Self:
        """Inflict a fault on the master and wait for the next one."""
        master = cluster.master
        with master.client(timeout=10.0) as client:
            began = time.monotonic()
            client.set("replicated", "")
            client.wait(2, 9000)
        moment = time.monotonic()
        fault(master)
        promotion_seconds(cluster, master, within=PROMOTED_WITHIN)
        return cls(moment, time.monotonic() - moment, behind=moment - began)

    def explains(self, acknowledged: float, *, late: float) -> bool:
        """Say whether a write that was lost may be: replication is asynchronous.

        What a crash can lose was acknowledged just before it; `late` is what a sleeper was here.
        """
        slack = self.behind + late
        return -1.0 - slack < acknowledged - self.moment < 0.5 + slack


def test_a_crash_under_twenty_threads(cluster: Cluster, client: Client, figure: Figure) -> None:
    with sleeper() as idle, Load.running(client, threads=20) as load:
        load.wait_for_writes(500)
        loss = Loss.by(Process.kill, cluster)
        load.wait_for_writes(1000)
    lost = load.lost(cluster)
    figure(
        f"crash, promoted after {loss.promoted:.2f} s: gap {load.gap:.2f} s, lost {len(lost)} of"
        f" {len(load.acknowledged)}, longest call {load.longest_call:.2f} s"
    )
    assert load.errors == []
    assert load.longest_call < load.timeout
    assert load.gap < loss.promoted + FOLLOWED_WITHIN
    assert all(loss.explains(at, late=idle.late) for at in lost.values()), (loss, idle, lost)
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
        try:
            loss = Loss.by(Process.pause, cluster)
            load.wait_for_writes(500)
        finally:
            hung.resume()
    figure(f"hang, promoted after {loss.promoted:.2f} s: gap {load.gap:.2f} s")
    assert load.errors == []
    assert load.gap < loss.promoted + FOLLOWED_WITHIN


def test_with_everything_hung_each_call_ends_in_its_time(cluster: Cluster, client: Client) -> None:
    def latest() -> float:
        client.execute_with_failover(set_key)
        late = []
        with everything_hung(cluster):
            for timeout, read_only in ((0.3, False), (1.5, True), (0.0, False)):
                began = time.monotonic()
                with pytest.raises(CallTimedOut) as caught:
                    client.execute_with_failover(get_key, read_only=read_only, timeout=timeout)
                late.append(time.monotonic() - began - timeout)
                assert "not done within" in caught.value.cause
        return max(late)

    at_best(latest, under=0.3)
    assert client.execute_with_failover(get_key) == "value"


@contextmanager
def everything_hung(cluster: Cluster) -> Iterator[None]:
    processes = (*cluster.data_nodes, *cluster.sentinels)
    for process in processes:
        process.pause()
    try:
        yield
    finally:
        for process in processes:
            process.resume()


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
    at_best(lambda: seconds_until_denied(access, "REDIS_PASSWORD"), under=1.5)


def seconds_until_denied(access: Access, match: str | None = None) -> float:
    began = time.monotonic()
    with pytest.raises(AccessDenied, match=match):
        Client(access).execute_with_failover(get_key)
    return time.monotonic() - began


def test_a_password_that_only_the_data_nodes_refuse(cluster: Cluster) -> None:
    for node in cluster.data_nodes:
        with node.client() as admin:
            admin.execute_command("ACL", "SETUSER", "app", "resetpass", ">other")
    at_best(lambda: seconds_until_denied(cluster.access("app")), under=1.5)


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
