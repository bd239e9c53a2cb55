"""Brings sealed segments from the spool into the store, in order, for as long as it takes."""

import hashlib
import logging
import random
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import replace

from backup_worker.errors import AlreadyExists, BackupError, LeaseLost
from backup_worker.log.catalog import LogCatalog
from backup_worker.log.segment import SegmentName, last_of_each
from backup_worker.log.spool import Chunks, Sealed, Spool
from backup_worker.log.target import covered, missing_before
from backup_worker.log.timeline import Gap
from backup_worker.log.writer import Sealing
from backup_worker.store.contract import Store
from redis_ha.eventlog import emit

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 15.0


class Shipper:
    """A thread that empties the spool: a segment's object, then its manifest, then the next.

    `may_publish` raises where this worker may not (its lease); that too is tried again. Before the
    first segment, and after each `look_again`, what the store has already is dropped; `on_hole`
    is called for each place where the rest does not follow what the store holds, or what waits
    before it. `shipped` is the last offset that
    it brought into the store.
    """

    def __init__(
        self,
        spool: Spool,
        store: Store,
        sealing: Sealing,
        may_publish: Callable[[], None],
        on_hole: Callable[[Gap], None],
    ) -> None:
        self._spool = spool
        self._store = store
        self._sealing = sealing
        self._may_publish = may_publish
        self._on_hole = on_hole
        self._stop = threading.Event()
        self._unseen = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log-shipper", daemon=True)
        self._told: set[tuple[str, int]] = set()
        self.shipped = 0
        self.problem = ""
        self._failures = 0

    def start(self) -> None:
        """Begin."""
        self.look_again()
        self._thread.start()

    def begins(self, replid: str, offset: int) -> None:
        """The log begins anew after `offset`: that is told already."""
        self._told.add((replid, offset + 1))
        self.shipped = offset

    def look_again(self) -> None:
        """Another worker may have written to the store: drop what it wrote before going on."""
        self._unseen.set()
        self._spool.changed.set()

    def finish(self, patience: float) -> None:
        """Ship what waits while that succeeds, for so many seconds at most."""
        self._stop.set()
        self._spool.changed.set()
        if self._thread.ident is not None:
            self._thread.join(patience)

    def _run(self) -> None:
        while True:
            self._spool.changed.clear()
            waiting = self._spool.sealed
            if waiting:
                self._try(waiting[0])
            if self._stop.is_set() and (self._failures or not waiting):
                return
            if self._failures:
                self._spool.changed.wait(_pause_after(self._failures))
            elif not waiting:
                self._spool.changed.wait()

    def _try(self, sealed: Sealed) -> None:
        try:
            self._may_publish()
            self._drop_stored()
            if sealed in self._spool.sealed:
                self._ship(sealed)
        except LeaseLost as error:
            # Standing by is no failure, and the lease may come at any time.
            self.problem, self._failures = error.cause, 1
        except BackupError as error:
            self._failed(sealed, str(error), trace=False)
        except Exception as error:  # noqa: BLE001 - without this thread no segment gets out
            self._failed(sealed, f"unexpected {type(error).__name__}: {error}", trace=True)
        else:
            self.problem, self._failures = "", 0

    def _drop_stored(self) -> None:
        if not self._unseen.is_set():
            return
        self._unseen.clear()
        try:
            stored = LogCatalog(self._store, ()).list().names
        except BaseException:
            self._unseen.set()
            raise
        waiting = list(self._spool.sealed)
        while waiting and covered(waiting[0].name, stored):
            self._spool.remove(waiting.pop(0))
        self._tell_holes(waiting, last_of_each(stored))

    def _tell_holes(self, waiting: Sequence[Sealed], before: Iterable[SegmentName]) -> None:
        """Tell once of each place where what waits does not follow what comes before it."""
        last = {name.replid: name for name in before}
        for sealed in waiting:
            name = sealed.name
            hole = missing_before(name, sealed.timeline, list(last.values()))
            if hole is not None and (name.replid, name.start) not in self._told:
                self._told.add((name.replid, name.start))
                self._on_hole(hole)
            last[name.replid] = name

    def _ship(self, sealed: Sealed) -> None:
        segment = replace(self._spool.read(sealed), term=self._sealing.term())
        self._put(segment.name.object_key, self._spool.object_chunks(sealed))
        self._put(segment.name.manifest_key, [self._sealing.sign(segment)])
        self._spool.remove(sealed)
        self.shipped = segment.end

    def _put(self, key: str, chunks: Chunks | list[bytes]) -> None:
        self._may_publish()
        try:
            self._store.put(key, chunks, if_absent=True)
        except AlreadyExists:
            with closing(self._store.get(key)) as stored:
                if _digest(stored) != _digest(chunks):
                    raise

    def _failed(self, sealed: Sealed, problem: str, *, trace: bool) -> None:
        if problem != self.problem:
            emit(
                "segment-not-shipped",
                level=logging.WARNING,
                trace=trace,
                segment=sealed.name.stem,
                error=problem,
            )
        self.problem = problem
        self._failures += 1


def _pause_after(failures: int) -> float:
    longest: float = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(failures - 1, 10))
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, keeps no secret


def _digest(chunks: Iterable[bytes]) -> bytes:
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    return digest.digest()
