"""What speaks against taking a server over, one reason at a time; and when it may be taken back."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from backup_worker.adopt.conditions import Bridge, Cluster, Level, findings
from backup_worker.adopt.live import is_switched, may_be_closed, may_reopen
from backup_worker.adopt.source import NOWHERE, SourceState, is_closed
from backup_worker.proving.scratch import Binary
from backup_worker.restore import journal as journals
from backup_worker.restore.journal import Journal, NodeBefore, SourceBefore, Stage
from backup_worker.restore.survey import NodeState, Seen
from redis_ha.connection import Address
from redis_ha.discovery import NodeView

MASTER = Address("10.0.0.1", 6379)
OLD = Address("10.9.9.9", 6379)
NODE = NodeState(NodeView(MASTER, role="master", run_id="n"), "redis", "8.0.2", maxmemory=1000)
CLUSTER = Cluster((NODE,), NODE, "allkeys-lru", frozenset({"vectorset"}), 0)
BRIDGE = Bridge(Binary("redis-server", "redis", "8.0.2"), memory=10_000)
SOURCE = SourceState(
    "redis", "7.2.4", "master", "s", keys={"db0": 5}, used_memory=500, policy="allkeys-lru"
)


def levels(
    source: SourceState = SOURCE,
    cluster: Cluster = CLUSTER,
    bridge: Bridge = BRIDGE,
    **options: bool,
) -> dict[str, Level]:
    found = findings(source, cluster, bridge, **{"replace": False} | options)
    return {one.name: one.level for one in found}


def refused(*args: Any, **options: bool) -> set[str]:
    return {name for name, level in levels(*args, **options).items() if level is Level.REFUSED}


def test_an_ordinary_redis_is_taken_over_without_a_warning() -> None:
    assert set(levels().values()) == {Level.OK}


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"run_id": "n"}, "kind"),
        ({"role": "slave"}, "kind"),
        ({"closed": True, "role": "slave"}, "kind"),
        ({"cluster_mode": True}, "kind"),
        ({"loading": True}, "kind"),
        ({"watched": True}, "kind"),
        ({"version": "6.0.16"}, "data format"),
        ({"engine": "valkey", "version": "9.0.0"}, "data format"),
        ({"used_memory": 1001}, "memory"),
        ({"keys": {"db0": 1, "db16": 1}}, "databases"),
        ({"modules": frozenset({"search"})}, "modules"),
        ({"denied": ("psync ? -1",)}, "permissions"),
        ({"writable_replica": True, "may_forbid": False}, "closing"),
    ],
)
def test_each_reason_is_found_alone(change: dict[str, Any], name: str) -> None:
    assert refused(replace(SOURCE, **change)) == {name}


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"used_memory": 900}, "memory"),
        ({"watched": None}, "kind"),
        ({"modules": None}, "modules"),
        ({"denied": None}, "permissions"),
        ({"writable_replica": None}, "closing"),
        ({"policy": "noeviction"}, "eviction"),
        ({"replicas": 2}, "replicas"),
        ({"users": 3}, "users"),
        ({"latency": 0.2}, "distance"),
        ({"skew": -3.0}, "distance"),
    ],
)
def test_what_only_needs_a_look_is_a_warning(change: dict[str, Any], name: str) -> None:
    found = levels(replace(SOURCE, **change))
    assert {each for each, level in found.items() if level is not Level.OK} == {name}
    assert found[name] is Level.WARNING


def test_a_replica_that_takes_writes_is_closed_where_the_user_may_change_that() -> None:
    found = findings(replace(SOURCE, writable_replica=True), CLUSTER, BRIDGE, replace=False)
    closing = next(one for one in found if one.name == "closing")
    assert closing.level is Level.OK
    assert "changed when it is closed" in closing.text


def test_an_older_node_refuses_and_so_does_little_memory_beside_the_worker() -> None:
    old = replace(CLUSTER, nodes=(replace(NODE, version="7.0.15"),))
    assert refused(SOURCE, old) == {"data format"}
    assert refused(SOURCE, CLUSTER, replace(BRIDGE, memory=599)) == {"memory"}


def test_what_the_copy_takes_already_is_not_asked_for_again() -> None:
    full = replace(BRIDGE, memory=150)
    assert refused(SOURCE, CLUSTER, replace(full, copied=500)) == set()
    # The source has grown meanwhile.
    assert refused(replace(SOURCE, used_memory=600), CLUSTER, replace(full, copied=500)) == {
        "memory"
    }


@pytest.mark.parametrize(
    "held", [{"master": replace(NODE, keys=1)}, {"functions": 1}], ids=["keys", "functions"]
)
def test_what_the_cluster_holds_is_replaced_only_on_request(held: dict[str, Any]) -> None:
    full = replace(CLUSTER, **held)
    assert refused(SOURCE, full) == {"cluster"}
    assert levels(SOURCE, full, replace=True)["cluster"] is Level.WARNING


def journal(stage: Stage) -> Journal:
    return Journal(
        "source 10.9.9.9:6379",
        None,
        datetime(2026, 1, 1, tzinfo=UTC),
        stage,
        MASTER,
        (NodeBefore(MASTER, "n", "before", 1),),
        (),
        config_epoch=0,
        hold=1,
        scratch_replids=("theirs",),
        source=SourceBefore(OLD, "s", True, "admin"),
        empty=True,
    )


@pytest.mark.parametrize(
    ("stage", "role", "replid", "switched", "reopens"),
    [
        (Stage.HOLD, "master", "before", False, True),
        (Stage.ATTACH, "slave", "theirs", False, True),
        (Stage.ATTACH, None, "", False, True),
        (Stage.PROMOTE, "slave", "theirs", False, True),
        (Stage.PROMOTE, None, "", False, False),
        (Stage.PROMOTE, "master", "theirs", True, False),
        (Stage.RELEASE, "master", "theirs", True, False),
        (Stage.RELEASE, "master", "unknown", False, False),
    ],
)
def test_the_source_is_opened_only_while_the_cluster_surely_has_not_taken_over(
    stage: Stage, role: Any, replid: str, switched: bool, reopens: bool
) -> None:
    seen = Seen((replace(NODE, view=NodeView(MASTER, role=role, replid2=replid)),), ())
    assert is_switched(journal(stage), seen) == switched
    assert may_reopen(journal(stage), seen) == reopens


@pytest.mark.parametrize("stage", list(Stage))
def test_what_may_have_closed_the_source_stays_written_down(stage: Stage) -> None:
    """A sentinel or a node that has to be told again doesn't open it."""
    again = journals.entered(journals.entered(journal(stage), Stage.HOLD), Stage.ATTACH)
    assert may_be_closed(again) == may_be_closed(journal(stage))
    assert may_be_closed(again) == (stage in {Stage.PROMOTE, Stage.RELEASE})
    assert may_be_closed(journals.entered(again, Stage.PROMOTE))


def test_a_journal_of_an_adoption_comes_back_as_it_was() -> None:
    assert journals.decode(journals.encode(journal(Stage.ATTACH))) == journal(Stage.ATTACH)


def test_a_journal_of_before_says_nothing_of_writable_replicas() -> None:
    old = json.loads(journals.encode(journal(Stage.ATTACH)))
    del old["source"]["writable_replica"]
    assert journals.decode(json.dumps(old).encode()) == journal(Stage.ATTACH)


def test_only_a_replica_of_nowhere_was_closed() -> None:
    closed = {"role": "slave", "master_host": NOWHERE.host, "master_port": str(NOWHERE.port)}
    assert is_closed(closed)
    assert not is_closed(closed | {"master_port": "6379"})
    assert not is_closed({"role": "master"})
