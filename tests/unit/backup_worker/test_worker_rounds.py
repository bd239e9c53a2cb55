"""The worker's rounds: what it takes, what it waits for, what it says of itself."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from backup_worker.catalog import Catalog
from backup_worker.errors import BackupError, ClusterUnreachable, StoreUnreachable
from backup_worker.health import STUCK_SECONDS, Heartbeat
from backup_worker.manifest import Manifest
from backup_worker.store.memory import MemoryStore
from backup_worker.transform.signing import Signer
from backup_worker.worker import Clocks, Worker
from tests.unit.backup_worker.snapshots import NOW, made, publish

HOUR = timedelta(hours=1)


@dataclass
class Times:
    """Clocks that move when someone sleeps."""

    steady: float = 1000.0
    wall: datetime = NOW

    def sleep(self, seconds: float) -> None:
        self.steady += seconds
        self.wall += timedelta(seconds=seconds)


@dataclass
class Stage:
    """A worker on a store in memory, whose snapshots take ten seconds or fail."""

    health_file: Path
    times: Times = field(default_factory=Times)
    store: MemoryStore = field(default_factory=MemoryStore)
    signer: Signer = field(default_factory=Signer.generate)
    failure: Exception | None = None
    taken: list[Manifest] = field(default_factory=list)

    def worker(self) -> Worker:
        catalog = Catalog(self.store, (self.signer.public_key,))
        return Worker(
            catalog=lambda: catalog,
            take=lambda _report: self.take(),
            interval=HOUR,
            retention=timedelta(hours=168),
            health_file=self.health_file,
            clocks=Clocks(lambda: self.times.steady, lambda: self.times.wall, self.times.sleep),
        )

    def take(self) -> Manifest:
        if self.failure is not None:
            raise self.failure
        age = (NOW - self.times.wall).total_seconds() / 3600
        manifest = made(age, nonce=len(self.taken) + 1)
        self.times.sleep(10)
        self.taken.append(publish(self.store, self.signer, manifest))
        return manifest

    @property
    def health(self) -> str:
        return self.health_file.read_text()


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path / "health")


def unreachable(kind: type[BackupError]) -> BackupError:
    return kind(operation="reach", subject="it", cause="it is away", hint="wait")


def test_the_first_snapshot_is_taken_at_once_and_the_next_an_interval_after_it_began(
    stage: Stage,
) -> None:
    assert stage.worker().round() == 3590
    assert len(stage.taken) == 1
    assert stage.health.startswith("ok last snapshot")


def test_a_restart_shortly_after_a_snapshot_takes_none(stage: Stage) -> None:
    publish(stage.store, stage.signer, made(0.25))
    assert stage.worker().round() == 2700
    assert stage.taken == []
    assert stage.health.startswith("ok last snapshot")


def test_a_restart_after_the_interval_takes_one(stage: Stage) -> None:
    publish(stage.store, stage.signer, made(1.1))
    stage.worker().round()
    assert len(stage.taken) == 1


def test_a_snapshot_that_cannot_be_trusted_does_not_count(stage: Stage) -> None:
    publish(stage.store, Signer.generate(), made(0.25))
    stage.worker().round()
    assert len(stage.taken) == 1


def test_a_day_of_rounds_takes_one_each_hour(stage: Stage) -> None:
    worker, end = stage.worker(), stage.times.steady + 24 * 3600
    while stage.times.steady < end:
        stage.times.sleep(worker.round())
    assert len(stage.taken) == 24
    gaps = {b.taken_at - a.taken_at for a, b in zip(stage.taken, stage.taken[1:], strict=False)}
    assert gaps == {HOUR}


@pytest.mark.parametrize("jump", [timedelta(days=-30), timedelta(days=30)])
def test_a_jump_of_the_wall_clock_neither_stops_nor_hurries_it(
    stage: Stage, jump: timedelta
) -> None:
    worker = stage.worker()
    wait = worker.round()
    stage.times.wall += jump
    stage.times.sleep(wait / 2)
    assert worker.round() == pytest.approx(wait / 2, abs=1)
    stage.times.sleep(wait / 2 + 1)
    worker.round()
    assert len(stage.taken) == 2


def test_what_is_past_its_retention_goes_after_a_snapshot(stage: Stage) -> None:
    old = publish(stage.store, stage.signer, made(500))
    stage.worker().round()
    keys = [found.key for found in stage.store.list()]
    assert not any(old.id in key for key in keys)
    assert len(keys) == 2


@pytest.mark.parametrize("kind", [ClusterUnreachable, StoreUnreachable])
def test_a_failure_is_told_waited_on_and_tried_again(stage: Stage, kind: type[BackupError]) -> None:
    worker = stage.worker()
    stage.failure = unreachable(kind)
    assert [worker.round() for _ in range(3)] == [2, 4, 8]
    assert stage.health == "no snapshot yet: reach it: it is away; wait\n"
    stage.failure = None
    worker.round()
    assert stage.health.startswith("ok last snapshot")
    stage.times.sleep(3600)
    stage.failure = unreachable(kind)
    assert worker.round() == 2
    assert stage.health.startswith("ok last snapshot")
    assert stage.health.endswith("the next failed: reach it: it is away; wait\n")


def test_even_a_bug_does_not_end_it(stage: Stage) -> None:
    stage.failure = ZeroDivisionError("division by zero")
    assert stage.worker().round() == 2
    assert stage.health == "no snapshot yet: unexpected ZeroDivisionError: division by zero\n"


def test_sigterm_passes_through_it(stage: Stage) -> None:
    class Stopped(BaseException):
        pass

    stage.failure = Stopped()  # type: ignore[assignment]
    with pytest.raises(Stopped):
        stage.worker().run()


def heartbeat(path: Path, times: Times, line: Callable[[], str] = lambda: "ok") -> Heartbeat:
    return Heartbeat(path, line, monotonic=lambda: times.steady)


def test_the_health_file_goes_stale_when_the_work_hangs(tmp_path: Path) -> None:
    path, times, words = tmp_path / "health", Times(), iter(["ok 1", "ok 2", "ok 3"])
    heart = heartbeat(path, times, lambda: next(words))
    heart.write()
    times.sleep(STUCK_SECONDS + 1)
    heart.write()
    assert path.read_text() == "ok 1\n"
    heart.sign_of_life()
    heart.write()
    assert path.read_text() == "ok 2\n"


def test_a_health_file_that_cannot_be_written_ends_nothing(tmp_path: Path) -> None:
    heartbeat(tmp_path / "missing" / "health", Times()).write()
    assert list(tmp_path.iterdir()) == []


def test_the_health_file_is_one_line(tmp_path: Path) -> None:
    heartbeat(tmp_path / "health", Times(), lambda: "bad:\ntwo lines").write()
    assert (tmp_path / "health").read_text() == "bad: two lines\n"
