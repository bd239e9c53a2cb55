"""An adoption killed anywhere: the source can be written, the cluster is put in order."""

import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backup_worker.adopt.source import Source
from backup_worker.restore import journal as journals
from redis_ha.connection import Address
from tests.processes.adopt.conftest import Shared
from tests.processes.adopt.source import OldRedis, Writer, old_redis
from tests.processes.ports import HOST
from tests.processes.restore.conftest import Finished, Worker
from tests.processes.restore.test_live import assert_calm

# The journal names what is about to be done: right then, or while it is under way.
UNDONE = [("attach", 0.0), ("attach", 0.5), ("held back", 0.0)]
RESUMED = [("hold", 0.0), ("attach", 0.5), ("held back", 0.0), ("promote", 0.0)]


def kill_at(worker: Worker, old: OldRedis, stage: str, later: float = 0.0, *options: str) -> None:
    """Begin an adoption and kill -9 it when its journal says that stage, or some seconds later."""
    worker.killed_at(stage, "adopt", "--yes", *options, old.name, later=later)


@pytest.mark.parametrize(("stage", "later"), UNDONE)
def test_it_is_undone_and_begun_again_and_nothing_is_lost(
    empty: Shared, old: OldRedis, stage: str, later: float
) -> None:
    cluster, worker = empty
    with Writer(old).writing() as writer:
        kill_at(worker, old, stage, later)
        written = len(writer.acknowledged)

        undone = worker.run("adopt", "--undo", "--json")
        assert undone.code == 0, undone.stderr
        cluster.wait_for(lambda: len(writer.acknowledged) > written + 50)
        assert cluster.digests() == ["0" * 40] * 3
        assert_calm(cluster, worker)

        again = worker.run("adopt", "--yes", "--json", old.name)
        assert again.code == 0, again.stderr
    with cluster.master.client(timeout=30.0) as client:
        assert writer.lost(client) == []
    assert cluster.digests() == [old.digest()] * 3
    assert_calm(cluster, worker)


@pytest.mark.parametrize(("stage", "later"), RESUMED)
def test_it_is_resumed_and_nothing_is_lost(
    empty: Shared, old: OldRedis, stage: str, later: float
) -> None:
    cluster, worker = empty
    with Writer(old).writing() as writer:
        kill_at(worker, old, stage, later)
        refused = worker.run("adopt", "--yes", old.name)
        assert refused.code == 7
        assert "adopt --resume" in refused.complaint
        assert "adopt --resume" in worker.restore("--resume").complaint

        finished = worker.run("adopt", "--resume", "--json")
        assert finished.code == 0, finished.stderr
    assert not old.is_writable()
    with cluster.master.client(timeout=30.0) as client:
        assert writer.lost(client) == []
    assert cluster.digests() == [old.digest()] * 3
    assert_calm(cluster, worker)


def test_killed_before_the_switch_the_source_is_writable_again_by_itself(
    empty: Shared, old: OldRedis
) -> None:
    cluster, worker = empty
    kill_at(worker, old, "held back")
    assert old.is_writable()
    assert worker.run("adopt", "--undo").code == 0
    assert_calm(cluster, worker)


@pytest.mark.parametrize("way", ["--undo", "--resume"])
def test_killed_between_the_source_being_closed_and_the_switch(
    empty: Shared, old: OldRedis, way: str
) -> None:
    """The journal and both sides are then as here, where the test closes the source itself."""
    cluster, worker = empty
    with Writer(old).writing() as writer:
        kill_at(worker, old, "attach", 0.2)
        Source(Address(HOST, old.port)).close()
        time.sleep(0.2)

        finished = worker.run("adopt", way)

        assert finished.code == 0, finished.stderr
        assert old.is_writable() == (way == "--undo")
    if way == "--resume":
        with cluster.master.client(timeout=30.0) as client:
            assert writer.lost(client) == []
        assert cluster.digests() == [old.digest()] * 3
    assert_calm(cluster, worker)


def test_an_undo_lets_it_be_written_as_a_replica_again(empty: Shared, tmp_path: Path) -> None:
    cluster, worker = empty
    with old_redis(tmp_path / "old", ("replica-read-only no",)) as old:
        kill_at(worker, old, "attach", 0.2)
        Source(Address(HOST, old.port)).close()
        assert not old.is_writable()
        assert worker.run("adopt", "--undo").code == 0
        assert old.is_writable()
        with old.client() as client:
            assert client.config_get("replica-read-only") == {"replica-read-only": "no"}
    assert_calm(cluster, worker)


def test_after_the_switch_it_is_finished_but_not_undone(empty: Shared, old: OldRedis) -> None:
    cluster, worker = empty
    kill_at(worker, old, "release")
    refused = worker.run("adopt", "--undo")
    assert refused.code == 7
    assert "--resume" in refused.complaint
    assert worker.run("adopt", "--resume").code == 0
    assert cluster.digests() == [old.digest()] * 3
    assert_calm(cluster, worker)


def test_what_the_cluster_held_comes_back_from_the_safety_snapshot(
    empty: Shared, old: OldRedis
) -> None:
    """An undo opens the source and leaves the rest, which needs a key, to a restore."""
    cluster, worker = empty
    with cluster.master.client() as client:
        client.set("precious", "1")
    cluster.wait_until_healthy()
    before = cluster.digest()
    kill_at(worker, old, "held back", 0.0, "--replace")

    undone = worker.run("adopt", "--undo")
    assert undone.code == 1
    assert "source is writable again" in undone.complaint
    assert "restore --resume --identity FILE" in undone.complaint
    assert old.is_writable()

    restored = worker.restore("--resume")
    assert restored.code == 0, restored.stderr
    assert cluster.digests() == [before] * 3
    assert_calm(cluster, worker)


def test_terminated_it_takes_everything_back(empty: Shared, old: OldRedis) -> None:
    cluster, worker = empty
    ended = disturbed(worker, old, lambda process: process.terminate())
    assert ended.code == 143
    assert old.is_writable()
    assert cluster.digests() == ["0" * 40] * 3
    assert_calm(cluster, worker)


def test_a_source_that_comes_back_empty_is_not_taken_over(empty: Shared, old: OldRedis) -> None:
    """It holds less than it acknowledged: the cluster must not take that for the whole."""
    cluster, worker = empty
    ended = disturbed(worker, old, lambda _: (old.stop(), old.start()))
    assert ended.code == 1
    assert "restarted meanwhile" in ended.stderr
    assert "taken back" in ended.stderr
    assert worker.stage() is None
    assert old.is_writable()
    assert cluster.digests() == ["0" * 40] * 3
    assert_calm(cluster, worker)


def test_a_source_that_dies_on_the_way_takes_nothing_with_it(empty: Shared, old: OldRedis) -> None:
    cluster, worker = empty
    ended = disturbed(worker, old, lambda _: old.stop(), "--timeout", "4")
    assert ended.code == 1
    assert "taken back: the source was not closed" in ended.stderr
    assert worker.stage() is None
    assert cluster.digests() == ["0" * 40] * 3
    assert_calm(cluster, worker)


def test_it_is_undone_although_the_source_died(empty: Shared, old: OldRedis) -> None:
    cluster, worker = empty
    kill_at(worker, old, "attach", 0.2)
    old.stop()
    undone = worker.run("adopt", "--undo")
    assert undone.code == 0, undone.stderr
    assert "the source was not closed" in undone.stdout
    assert cluster.digests() == ["0" * 40] * 3
    assert_calm(cluster, worker)


def test_a_source_that_died_when_it_may_have_been_closed_is_left_out_by_force(
    empty: Shared, old: OldRedis
) -> None:
    """The journal is then as here, where the test writes it."""
    cluster, worker = empty
    kill_at(worker, old, "attach", 0.2)
    journal = journals.load(worker.state)
    assert journal is not None
    journals.save(replace(journal, stage=journals.Stage.PROMOTE), worker.state)
    old.stop()
    refused = worker.run("adopt", "--undo")
    assert refused.code == 1
    assert "redis-ha adopt --undo --force" in refused.complaint
    undone = worker.run("adopt", "--undo", "--force")
    assert undone.code == 0, undone.stderr
    assert "may refuse writes until it is restarted" in undone.stdout
    assert cluster.digests() == ["0" * 40] * 3
    assert_calm(cluster, worker)


def test_a_lost_replica_is_left_out_by_force(empty: Shared, old: OldRedis) -> None:
    cluster, worker = empty
    lost = cluster.replicas[0]
    kill_at(worker, old, "attach", 0.2)
    lost.kill()
    stuck = worker.run("adopt", "--undo", "--timeout", "3")
    assert stuck.code == 1
    assert f"--force without {lost.address}" in stuck.complaint
    assert worker.run("adopt", "--undo", "--force").code == 0
    lost.start()
    assert old.is_writable()
    assert_calm(cluster, worker)
    assert cluster.digests() == ["0" * 40] * 3


def disturbed(
    worker: Worker,
    old: OldRedis,
    deed: Callable[["subprocess.Popen[Any]"], object],
    *options: str,
) -> Finished:
    """Adopt, with something done to it when it is about to touch the cluster."""
    return worker.disturbed_at("hold", deed, "adopt", "--yes", *options, old.name)


def test_it_needs_an_open_one_to_go_on(empty: Shared, tmp_path: Path) -> None:
    _, worker = empty
    refused = worker.run("adopt", "--resume")
    assert refused.code == 7
    assert "none is open" in refused.complaint
    assert worker.run("adopt", "--yes", str(tmp_path)).code == 2
    assert worker.run("adopt", "--yes", "--force", "127.0.0.1:1").code == 2
