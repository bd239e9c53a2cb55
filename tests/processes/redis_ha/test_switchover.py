"""Zero-loss switchover on real servers: under load, refused, rolled back, raced."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
import redis

from redis_ha.connection import Address
from redis_ha.discovery import Access, ask_node
from redis_ha.errors import RedisHaError, SwitchoverRefused
from redis_ha.switchover import OldMaster, Switchover, switch_over
from tests.processes.cluster import Cluster
from tests.processes.ledger import Ledger

NOWHERE = Address("", 0)


def is_writable(cluster: Cluster) -> bool:
    with cluster.master.client("app", timeout=1.0) as client:
        return bool(client.set("probe", 1))


def test_under_load_no_acknowledged_write_is_lost(cluster: Cluster) -> None:
    with Ledger.running(cluster) as ledger:
        for _ in range(3):
            ledger.wait_for_writes(300)
            done = switch_over(cluster.access("operator"), old_master=OldMaster.DEMOTE)
            assert done.new_offset >= done.old_offset
            cluster.wait_until_healthy()
        ledger.wait_for_writes(300)
    assert ledger.lost(cluster) == []
    cluster.wait_until_healthy()
    assert len(set(cluster.digests())) == 1


def test_the_node_user_may_do_all_that_a_handover_needs(cluster: Cluster) -> None:
    old = cluster.master
    done = switch_over(cluster.access("node"), old_master=OldMaster.LEAVE, expected=old.address)
    old.stop()
    assert cluster.wait_for_master(other_than=old).address == done.new
    for node in (*cluster.replicas, *cluster.sentinels):
        if node.running:
            with node.client() as client:
                assert client.acl_log() == []


def test_a_node_that_is_not_the_master_is_refused(cluster: Cluster) -> None:
    other = cluster.replicas[0].address
    with pytest.raises(SwitchoverRefused, match="not " + str(other)):
        switch_over(cluster.access("node"), old_master=OldMaster.LEAVE, expected=other)
    assert is_writable(cluster)


def test_without_a_sentinel_majority_nothing_is_touched(cluster: Cluster) -> None:
    old = cluster.master
    for sentinel in cluster.sentinels[1:]:
        sentinel.stop()
    with pytest.raises(SwitchoverRefused, match="no majority"):
        switch_over(cluster.access("node"), old_master=OldMaster.LEAVE, deadline_seconds=2.0)
    with old.client("app") as client:
        assert client.set("probe", 1)


def test_a_hung_replica_is_no_candidate_until_sentinel_says_so(cluster: Cluster) -> None:
    hung = cluster.replicas[0].pause()
    try:
        with pytest.raises(SwitchoverRefused, match="doesn't answer"):
            switch_over(cluster.access("node"), old_master=OldMaster.LEAVE, deadline_seconds=1.0)
        assert is_writable(cluster)
        done = switch_over(cluster.access("operator"), old_master=OldMaster.DEMOTE)
        assert done.new != hung.address
    finally:
        hung.resume()
    cluster.wait_until_healthy()


def test_when_no_sentinel_promotes_writes_go_on(cluster: Cluster) -> None:
    """The failover is refused after the pause: all replicas vanish for the sentinels only."""
    master = cluster.master
    for sentinel in cluster.sentinels:
        with sentinel.client() as client:
            # May look, may not ask for a failover: as if each had refused.
            client.execute_command("ACL", "SETUSER", "node", "-sentinel|failover")
    with pytest.raises(SwitchoverRefused, match="no replica was promoted"):
        switch_over(cluster.access("node"), old_master=OldMaster.LEAVE)
    assert cluster.master is master
    assert is_writable(cluster)


@dataclass(frozen=True)
class HangingReplica(Access):
    """Freezes a replica between the preconditions and the pause: when `old` is claimed."""

    old: Address = NOWHERE
    hang: Callable[[], object] = print
    made: list[int] = field(default_factory=list)

    def connect(self, address: Address, **options: Any) -> redis.Redis:
        client = super().connect(address, **options)
        if address == self.old:
            pool: Any = client.connection_pool
            pool.make_connection = partial(self._make, pool.make_connection)
        return client

    def _make(self, make: Callable[[], object]) -> object:
        """Make a connection to `old`: the first asks it, the second is the claim's."""
        self.made.append(1)
        if len(self.made) == 2:
            self.hang()
        return make()


def test_a_replica_that_does_not_catch_up_rolls_the_pause_back(cluster: Cluster) -> None:
    hung, base = cluster.replicas[0], cluster.access("node")
    master = cluster.master
    access = HangingReplica(
        base.sentinels,
        base.master_name,
        base.credentials,
        base.ca,
        timeout=0.5,
        old=master.address,
        hang=hung.pause,
    )
    try:
        with pytest.raises(SwitchoverRefused, match="doesn't answer"):
            switch_over(access, old_master=OldMaster.LEAVE)
        assert is_writable(cluster)
        assert cluster.master is master
    finally:
        hung.resume()
    cluster.wait_until_healthy()


def test_two_switchovers_at_once_promote_one_replica(cluster: Cluster) -> None:
    access = cluster.access("operator")

    def attempt() -> Switchover | RedisHaError:
        try:
            return switch_over(access, old_master=OldMaster.DEMOTE)
        except RedisHaError as error:
            return error

    with Ledger.running(cluster, threads=2) as ledger, ThreadPoolExecutor(2) as pool:
        ledger.wait_for_writes(200)
        results = [future.result() for future in [pool.submit(attempt) for _ in range(2)]]
        cluster.wait_until_healthy()
        ledger.wait_for_writes(200)
    assert any(isinstance(result, Switchover) for result in results), results
    assert ledger.lost(cluster) == []
    masters = [n for n in cluster.data_nodes if ask_node(access, n.address).role == "master"]
    assert masters == [cluster.master]
