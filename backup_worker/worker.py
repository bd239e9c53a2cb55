"""The worker: a snapshot at start if one is due, then one each interval, pruning after each."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NoReturn

from backup_worker.catalog import Catalog
from backup_worker.errors import BackupError
from backup_worker.eventlog import emit
from backup_worker.health import BEAT_SECONDS, Heartbeat
from backup_worker.manifest import Manifest
from backup_worker.restore.progress import Report
from backup_worker.retention import plan_retention, prune
from backup_worker.schedule import Standing, health_line, pause_after, seconds_until_due
from redis_ha.errors import RedisHaError


def steady_clock() -> float:
    """Seconds on a clock that never jumps and goes on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(frozen=True)
class Clocks:
    """Time as the worker sees it."""

    steady: Callable[[], float] = steady_clock
    wall: Callable[[], datetime] = lambda: datetime.now(UTC)
    sleep: Callable[[float], None] = time.sleep


@dataclass
class Worker:
    """Runs until an exception that is no Exception ends it (SIGTERM), unwinding what is open.

    `catalog` opens the catalogue, `take` takes a snapshot: both may fail and are tried again.
    """

    catalog: Callable[[], Catalog]
    take: Callable[[Report], Manifest]
    interval: timedelta
    retention: timedelta
    health_file: Path
    clocks: Clocks = field(default_factory=Clocks)
    _standing: Standing = field(default=Standing(), init=False)
    _own_success: float | None = field(default=None, init=False)
    _failures: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._heart = Heartbeat(self.health_file, self._line, monotonic=self.clocks.steady)

    def run(self) -> NoReturn:
        """Go round for ever."""
        with self._heart.beating():
            while True:
                self._wait(self.round())

    def round(self) -> float:
        """Take a snapshot if one is due; return the seconds until the next look."""
        self._heart.sign_of_life()
        try:
            wait = self._round()
        except (BackupError, RedisHaError) as error:
            return self._failed(str(error), trace=False)
        except Exception as error:  # noqa: BLE001 - a worker that dies takes no backups
            return self._failed(f"unexpected {type(error).__name__}: {error}", trace=True)
        self._failures = 0
        return wait

    def _round(self) -> float:
        catalog = self.catalog()
        wait = self._look(catalog)
        self._heart.write()
        if wait > 0:
            return wait
        began = self.clocks.steady()
        manifest = self.take(lambda _progress: self._heart.sign_of_life())
        self._own_success = began
        self._standing = Standing(manifest.id, began)
        self._heart.sign_of_life()
        emit(
            "snapshot taken",
            snapshot=manifest.id,
            source=manifest.source,
            size=manifest.stored.size,
            rdb_size=manifest.rdb.size,
            offset=manifest.replication.offset,
            seconds=manifest.seconds,
        )
        self._heart.write()
        self._prune(catalog)
        return max(0.0, began + self.interval.total_seconds() - self.clocks.steady())

    def _look(self, catalog: Catalog) -> float:
        """Read the store's newest snapshot; return the seconds until one is due."""
        latest = catalog.list().latest
        age = None
        if latest is not None:
            age = (self.clocks.wall() - latest.taken_at).total_seconds()
            self._standing = Standing(latest.id, self.clocks.steady() - max(0.0, age))
        own = self._own_success
        return seconds_until_due(
            interval=self.interval.total_seconds(),
            since_own=None if own is None else self.clocks.steady() - own,
            wall_age=age,
        )

    def _prune(self, catalog: Catalog) -> None:
        verdicts = plan_retention(catalog.list(), now=self.clocks.wall(), window=self.retention)
        pruned = prune(catalog.store, verdicts)
        if pruned.deleted:
            emit("snapshots pruned", deleted=pruned.deleted)
        if pruned.refused:
            emit("prune refused", level=logging.WARNING, refused=dict(pruned.refused))

    def _failed(self, problem: str, *, trace: bool) -> float:
        self._failures += 1
        pause = pause_after(self._failures, interval=self.interval.total_seconds())
        emit(
            "round failed",
            level=logging.ERROR,
            trace=trace,
            error=problem,
            failures=self._failures,
            retry_in=pause,
        )
        self._standing = replace(self._standing, problem=problem)
        self._heart.sign_of_life()
        self._heart.write()
        return pause

    def _wait(self, seconds: float) -> None:
        until = self.clocks.steady() + seconds
        while (left := until - self.clocks.steady()) > 0:
            self._heart.sign_of_life()
            self.clocks.sleep(min(left, BEAT_SECONDS))

    def _line(self) -> str:
        seconds = self.interval.total_seconds()
        return health_line(self._standing, now=self.clocks.steady(), interval=seconds)
