"""A write whose reply never came: made once, unless the caller says that twice is no harm."""

from pathlib import Path

from tests.processes.cluster import Process
from tests.processes.laravel.application import Actor, ClusterApplication

PATIENCE = {"REDIS_READ_TIMEOUT": "0.5"}


def test_a_write_that_may_have_been_applied_is_not_made_twice(
    application: ClusterApplication, tmp_path: Path
) -> None:
    actor, master = _sent_to_a_hanging_master(application, tmp_path, "strict")
    application.cluster.wait_for(lambda: len(actor.lines) == 2)
    master.resume()
    assert actor.lines[1]["runs"] == 1
    assert actor.lines[1]["error"].endswith("OutcomeUnknown")
    assert _writes(application) <= 1


def test_one_that_is_declared_idempotent_is(
    application: ClusterApplication, tmp_path: Path
) -> None:
    actor, master = _sent_to_a_hanging_master(application, tmp_path, "idempotent")
    application.cluster.wait_for(lambda: "redis-ha: call repeated" in application.log)
    master.resume()
    application.cluster.wait_for(lambda: len(actor.lines) == 2)
    assert actor.lines[1]["error"] is None
    assert actor.lines[1]["runs"] >= 2
    assert _writes(application) >= 1


def _sent_to_a_hanging_master(
    application: ClusterApplication, directory: Path, name: str
) -> tuple[Actor, Process]:
    go = directory / "go"
    actor = application.act("once", 30, name, TEST_APP_GO=str(go), **PATIENCE)
    application.cluster.wait_for(lambda: bool(actor.lines))
    master = application.cluster.master.pause()
    go.touch()
    return actor, master


def _writes(application: ClusterApplication) -> int:
    with application.cluster.settled_master().client(timeout=5.0) as client:
        return int(client.llen("test:once"))
