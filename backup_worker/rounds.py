"""Snapshots on schedule and on demand, pruning after each; one round at a time."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from backup_worker.catalog import Catalog, Listing
from backup_worker.clock import Clocks
from backup_worker.demand import Demand
from backup_worker.errors import BackupError, StoreFull
from backup_worker.manifest import Kind
from backup_worker.progress import Report
from backup_worker.schedule import Standing, pause_after, seconds_until_due
from backup_worker.snapshot import Taken
from backup_worker.store.contract import StoredObject
from redis_ha.errors import RedisHaError
from redis_ha.eventlog import emit

# How long (s) between two looks at the store: `verify` may have found a snapshot to be bad. A look
# is one LIST for each thousand objects; what they hold is read only when they are others.
LOOK_SECONDS = 60.0


@dataclass(frozen=True)
class _Read:
    """What was read of a store, what lay there, and when (steady clock)."""

    listing: Listing
    objects: frozenset[StoredObject]
    at: float


@dataclass
class Rounds:
    """`catalog` opens the catalogue, `take` takes a snapshot: both may fail and are tried again.

    `prune` removes what is past its retention and says how much that was. `alive` is called while
    work gets on.
    """

    catalog: Callable[[], Catalog]
    take: Callable[[Kind, Report], Taken]
    prune: Callable[[Catalog], int]
    interval: timedelta
    demand: Demand = field(default_factory=Demand)
    clocks: Clocks = field(default_factory=Clocks)
    alive: Callable[[], None] = lambda: None
    standing: Standing = field(default=Standing(), init=False)
    _own_success: float | None = field(default=None, init=False)
    _failures: int = field(default=0, init=False)
    _read: _Read | None = field(default=None, init=False)

    def round(self) -> float:
        """Take a snapshot if one is due or wanted; return the seconds until the next look."""
        self.alive()
        try:
            wait = self._round()
        except (BackupError, RedisHaError) as error:
            return self._failed(str(error), trace=False)
        except Exception as error:  # noqa: BLE001 - a worker that dies takes no backups
            return self._failed(f"unexpected {type(error).__name__}: {error}", trace=True)
        self._failures = 0
        return min(wait, LOOK_SECONDS)

    def _round(self) -> float:
        catalog = self.catalog()
        wait = self._look(catalog)
        number, reason = self.demand.open
        if wait > 0 and not reason:
            return wait
        began = self.clocks.steady()
        kind = Kind.GAP if wait > 0 else Kind.SCHEDULED
        taken = self._taken(kind, catalog)
        self._own_success = began
        self.demand.met(number, taken.manifest.replication)
        self._note(taken, began)
        self.prune(catalog)
        if self.demand.open[1]:
            return 0.0
        return max(0.0, began + self.interval.total_seconds() - self.clocks.steady())

    def _taken(self, kind: Kind, catalog: Catalog) -> Taken:
        """Take a snapshot; in a full store once more if what is past its retention made room."""
        try:
            return self.take(kind, lambda _progress: self.alive())
        except StoreFull:
            if not self.prune(catalog):
                raise
        return self.take(kind, lambda _progress: self.alive())

    def _note(self, taken: Taken, began: float) -> None:
        manifest, proof = taken.manifest, taken.proof
        proven_at = self.standing.proven_at
        if proof is not None and proof.proven:
            proven_at = self.clocks.steady()
        self.standing = Standing(
            manifest.id,
            began,
            proven_at=proven_at,
            seconds=manifest.seconds,
            drill_seconds=None if proof is None else proof.seconds,
            proof_failed=self.standing.proof_failed if proof is None else not proof.proven,
        )
        emit(
            "snapshot-taken",
            snapshot=manifest.id,
            kind=manifest.kind,
            source=manifest.source,
            size=manifest.stored.size,
            rdb_size=manifest.rdb.size,
            offset=manifest.replication.offset,
            seconds=manifest.seconds,
            proven=proof is not None and proof.proven,
        )
        if reason := taken.unproven if proof is None else proof.cause:
            level = logging.WARNING if proof is None else logging.ERROR
            emit("snapshot-not-proven", level=level, snapshot=manifest.id, reason=reason)

    def _look(self, catalog: Catalog) -> float:
        """Read the store's newest snapshot; return the seconds until one is due."""
        listing = self._listing(catalog)
        now, wall = self.clocks.steady(), self.clocks.wall()
        self.standing = _seen(self.standing, listing, now=now, wall=wall)
        age = None
        if (latest := listing.latest) is not None:
            age = (wall - latest.taken_at).total_seconds()
            point = None if latest.manifest is None else latest.manifest.replication
            self.demand.met_since(latest.taken_at, point)
        own = self._own_success
        return seconds_until_due(
            interval=self.interval.total_seconds(),
            since_own=None if own is None else now - own,
            wall_age=age,
        )

    def _listing(self, catalog: Catalog) -> Listing:
        """Read what the store holds, or take the last word while it names the same objects.

        Not for longer than an interval: a clock that was set makes other snapshots the newest.
        """
        objects, now, last = catalog.objects(), self.clocks.steady(), self._read
        if last and last.objects == objects and now - last.at < self.interval.total_seconds():
            return last.listing
        self._read = _Read(catalog.list(), objects, now)
        return self._read.listing

    def _failed(self, problem: str, *, trace: bool) -> float:
        self._failures += 1
        pause = pause_after(self._failures, interval=self.interval.total_seconds())
        emit(
            "round-failed",
            level=logging.ERROR,
            trace=trace,
            error=problem,
            failures=self._failures,
            retry_in=pause,
        )
        self.standing = replace(self.standing, problem=problem)
        self.alive()
        return pause


def _seen(standing: Standing, listing: Listing, *, now: float, wall: datetime) -> Standing:
    """Take in what a store holds; `now` is of the steady clock.

    A snapshot that is known keeps its age: the wall clock may have jumped since.
    """
    dated = [entry for entry in listing.entries if entry.good and not entry.ahead]
    # One that nobody has tried doesn't clear an older one.
    tried = next((entry for entry in dated if entry.failed or entry.proven), None)
    standing = replace(standing, proof_failed=tried is not None and tried.failed)
    if (latest := listing.latest) is None:
        return standing
    proof = next((entry.proof for entry in dated if entry.proven), None)
    known = latest.id == standing.snapshot
    return replace(
        standing,
        snapshot=latest.id,
        taken=standing.taken if known else _since(latest.taken_at, now=now, wall=wall),
        proven_at=None if proof is None else _since(proof.at, now=now, wall=wall),
    )


def _since(moment: datetime, *, now: float, wall: datetime) -> float:
    """Return a moment of the wall clock on the steady one."""
    return now - max(0.0, (wall - moment).total_seconds())
