"""A live restore is refused with every reason, before anything is touched."""

from dataclasses import replace

import pytest

from backup_worker.errors import RefusedForSafety
from backup_worker.manifest import Engine
from backup_worker.proving.scratch import Binary
from backup_worker.restore.compatibility import can_read
from backup_worker.restore.conditions import Place, memory_trouble, reasons_against, require_none
from backup_worker.restore.survey import NodeState, ScratchState, Seen
from redis_ha.discovery import NodeView
from tests.unit.restore.model import MASTER, NODES, SCRATCH, SENTINELS, Model
from tests.unit.restore.test_opening import MANIFEST

PLACE = Place(Binary("/usr/bin/redis-server", "redis", "7.0.15"), free=10**9)
SILENT = NodeState(NodeView(NODES[1], problem="Connection refused"))


def healthy() -> Seen:
    seen = Model().seen()
    nodes = tuple(replace(node, engine="redis", version="7.0.15") for node in seen.nodes)
    sentinels = tuple(replace(one, flags=frozenset({"master"})) for one in seen.sentinels)
    return Seen(nodes, sentinels)


def with_node(index: int, **changes: object) -> Seen:
    seen = healthy()
    nodes = list(seen.nodes)
    nodes[index] = replace(nodes[index], **changes)  # type: ignore[arg-type]
    return replace(seen, nodes=tuple(nodes))


def with_sentinel(**changes: object) -> Seen:
    seen = healthy()
    changed = replace(seen.sentinels[1], **changes)  # type: ignore[arg-type]
    return replace(seen, sentinels=(seen.sentinels[0], changed, seen.sentinels[2]))


def reasons(seen: Seen, *, force: bool = False, place: Place = PLACE) -> list[str]:
    return reasons_against(seen, MANIFEST, master=MASTER, place=place, force=force)


def test_a_healthy_cluster_may_be_restored() -> None:
    assert reasons(healthy()) == []


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        (with_sentinel(master=None, problem="timed out"), f"{SENTINELS[1]} does not answer"),
        (with_sentinel(master=NODES[2]), "names another master"),
        (with_sentinel(flags=frozenset({"master", "o_down"})), "sees the master as o_down"),
        (
            with_sentinel(flags=frozenset({"master", "failover_in_progress"})),
            "failover_in_progress",
        ),
        (with_sentinel(config_epoch=9), "not yet agreed"),
        (with_node(1, view=SILENT.view), f"{NODES[1]} does not answer"),
        (with_node(1, view=NodeView(NODES[1], "slave", loading=True)), "is loading"),
        (with_node(0, view=NodeView(NODES[0], "slave")), "sentinels expect master"),
        (with_node(2, version="6.2.1"), f"{NODES[2]} runs redis 6.2.1"),
        (with_sentinel(down_after=3_600_128), "another restore holds this cluster"),
        (
            with_node(2, view=NodeView(NODES[2], "slave", master=SCRATCH)),
            f"{NODES[2]} follows {SCRATCH}",
        ),
    ],
)
def test_what_is_wrong_is_named(seen: Seen, reason: str) -> None:
    assert [text for text in reasons(seen) if reason in text]
    with pytest.raises(RefusedForSafety):
        require_none(reasons(seen), snapshot=MANIFEST.id)


def test_all_reasons_are_told_at_once() -> None:
    seen = with_node(1, view=SILENT.view)
    assert len(reasons(seen, place=replace(PLACE, free=1000))) == 2


def test_the_log_needs_its_room_on_the_disk_too() -> None:
    needed = MANIFEST.rdb.size + 16 * 1024 * 1024
    place = replace(PLACE, free=needed + 1000)
    for size, expected in ((0, 0), (1000, 0), (1001, 1)):
        found = reasons_against(
            healthy(), MANIFEST, master=MASTER, place=place, force=False, log_bytes=size
        )
        assert len([text for text in found if "bytes free" in text]) == expected


def test_force_leaves_a_silent_replica_out_but_never_the_master() -> None:
    assert reasons(with_node(1, view=SILENT.view), force=True) == []
    assert reasons(with_node(0, view=NodeView(MASTER, problem="refused")), force=True)


def test_a_node_that_would_evict_the_data_is_named() -> None:
    scratch = ScratchState(SCRATCH, "replid", 0, 10, used_memory=300)
    nodes = with_node(2, maxmemory=256).nodes
    assert [text for text in memory_trouble(scratch, nodes) if str(NODES[2]) in text]
    assert memory_trouble(scratch, with_node(2, maxmemory=300).nodes) == []


@pytest.mark.parametrize(
    ("engine", "version", "rdb_version", "expected"),
    [
        ("redis", "7.0.15", 10, True),
        ("redis", "7.0.15", 11, False),
        ("redis", "7.2.4", 11, True),
        ("redis", "8.0.2", 12, True),
        ("redis", "10.1", 12, True),
        ("redis", "4.0", 9, False),
        ("valkey", "8.1.1", 11, True),
        ("valkey", "8.1.1", 12, False),
        ("valkey", "9.0.0", 80, True),
        ("valkey", "9.0.0", 12, False),
        ("redis", "8.0.2", 80, False),
    ],
)
def test_who_reads_which_rdb(engine: str, version: str, rdb_version: int, expected: bool) -> None:
    assert can_read(engine, version, rdb_version) is expected


def test_an_engine_older_than_the_snapshot_is_named_with_both_versions() -> None:
    manifest = replace(MANIFEST, engine=Engine("redis", "8.0.2", 12))
    found = reasons_against(healthy(), manifest, master=MASTER, place=PLACE, force=False)
    assert len(found) == 4
    assert all("runs redis 7.0.15" in text and "redis 8.0.2" in text for text in found)
