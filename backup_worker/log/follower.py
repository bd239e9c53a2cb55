"""The follower: keeps the log going, from replica to replica, through failovers and restarts.

One thread receives, cuts and encrypts into the spool; another brings the spool into the store.
A store that is away stops only the second; Redis is never made to wait for either.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from backup_worker.clock import steady_clock
from backup_worker.config import LogSettings
from backup_worker.errors import (
    BackupError,
    HistoryLost,
    SnapshotCorrupt,
    SourceLost,
    SpoolFull,
    StoreUnreachable,
)
from backup_worker.log.catalog import LogCatalog
from backup_worker.log.segment import SegmentName, Timeline
from backup_worker.log.shipper import Shipper
from backup_worker.log.spool import Spool
from backup_worker.log.standing import Board
from backup_worker.log.target import Target, choose, newest
from backup_worker.log.timeline import Gap, Position
from backup_worker.log.watch import SourceWatch
from backup_worker.log.writer import LogWriter, Sealing
from backup_worker.manifest import ReplicationPoint
from backup_worker.replication.link import follow
from backup_worker.replication.source import find_candidates
from backup_worker.snapshot import Destination
from backup_worker.status import LogState
from redis_ha.connection import Address
from redis_ha.discovery import Access
from redis_ha.eventlog import emit

# Between two looks at a cluster where no replica can serve: short (s) while a failover may last.
_PAUSE, _LONG_PAUSE, _SHORT_PAUSES = 0.25, 1.0, 60
# A node that takes longer (s) to say what it is can't serve.
_ASK_TIMEOUT = 1.0
# A link that lasted so long (s) was worth something: after its loss the next is sought at once.
_PROVEN_SECONDS = 1.0
# A source that failed is the last choice for so long (s).
_AVOID_SECONDS = 5.0
# A full spool takes the stream up again once no more than this share of it is taken.
_ROOM = 0.75
# So many refusals in a row by sources that should be able to continue make a gap.
_REFUSALS = 8
_FINISH_SECONDS = 5.0
# After a failover the replicas join the new master one by one.
_DOUBT_SECONDS = 10.0


@dataclass(frozen=True)
class Hooks:
    """What the follower asks and tells the rest of the worker.

    `term` is that of the lease, now; `may_publish` is asked before each write to the store and
    raises when this worker may not. `on_gap` is called once the log goes on at a place that does
    not follow what was there before, or begins: only a snapshot taken from then on reaches it.
    These three must return at once. Where there is no log yet it begins at `newest_snapshot`.
    """

    term: Callable[[], int]
    may_publish: Callable[[], None]
    on_gap: Callable[[Gap], None]
    newest_snapshot: Callable[[], ReplicationPoint | None] = lambda: None


class Follower:
    """Follows one cluster into one store; `trusted` are the raw public keys of its segments."""

    def __init__(
        self,
        access: Access,
        destination: Destination,
        *,
        spool: Path,
        settings: LogSettings,
        trusted: tuple[bytes, ...],
        hooks: Hooks,
    ) -> None:
        self._access = access
        self._catalog = LogCatalog(destination.store, trusted)
        self._spool = Spool(spool, limit=settings.spool_bytes, trusted=trusted)
        self._sealing = Sealing(
            destination.recipients,
            destination.signer,
            hooks.term,
            seconds=settings.seal_seconds,
            size=settings.seal_bytes,
        )
        self._shipper = Shipper(
            self._spool, destination.store, self._sealing, hooks.may_publish, self._missed
        )
        self._hooks = hooks
        self._board = Board()
        self._position: Position | None = None
        self._resumed = False
        self._gap: Gap | None = None
        self._avoid: dict[Address, float] = {}
        self._refusals = 0
        self._full = False
        self._doubted: float | None = None

    def state(self, open_gap: str = "") -> LogState:
        """Tell how it stands, from any thread; `open_gap` is why a snapshot is awaited."""
        shipped, problem = self._shipper.shipped, self._shipper.problem
        return self._board.state(self._spool, shipped, shipping_problem=problem, open_gap=open_gap)

    def drop_stored(self) -> None:
        """Another worker may have shipped what waits here: look before shipping any of it."""
        self._shipper.look_again()

    def stored_until(self) -> datetime:
        """Say when the last byte of the store's log had arrived, at whichever worker."""
        with suppress(StoreUnreachable):
            if (last := newest([], self._catalog.list().names)) is not None:
                return datetime.fromtimestamp(last.last_ms / 1000, UTC)
        return datetime.fromtimestamp(0, UTC)

    def drop_superseded(self, before: float) -> None:
        """Forget what began to arrive before then (s, steady) and the store's log went beyond.

        Raises StoreUnreachable.
        """
        old = [sealed for sealed in self._spool.sealed if sealed.since < before]
        latest = {sealed.name.replid: sealed.name for sealed in old}
        reached = {replid: self._catalog.reached(name) for replid, name in latest.items()}
        for sealed in old:
            if sealed.name.end <= reached[sealed.name.replid]:
                self._spool.remove(sealed)

    def run(self, stop: threading.Event) -> None:
        """Go on until `stop` is set; then seal, and ship for up to 5 s what waits."""
        failures = 0
        try:
            while not stop.is_set():
                failures = 0 if self._attempt(stop) else failures + 1
                if failures:
                    stop.wait(_PAUSE if failures <= _SHORT_PAUSES else _LONG_PAUSE)
        finally:
            self._shipper.finish(_FINISH_SECONDS)

    def _attempt(self, stop: threading.Event) -> bool:
        """Go one round; say whether the stream was followed for a while."""
        try:
            self._resume()
            target = self._choose()
            if target is None:
                return False
            return self._follow(target, stop)
        except BackupError as error:
            if not self._board.standing.problem:
                emit("log-waits", level=logging.WARNING, error=str(error))
            self._board.note(problem=str(error))
        except Exception as error:  # noqa: BLE001 - a follower that dies is a gap
            problem = f"unexpected {type(error).__name__}: {error}"
            emit("log-stopped", level=logging.ERROR, trace=True, error=problem)
            self._board.note(problem=problem)
        return False

    def _resume(self) -> None:
        """Find out how far the log has come; once."""
        if self._resumed:
            return
        spooled, stored = self._spool.sealed, self._stored()
        last = newest([sealed.name for sealed in spooled], stored)
        if last is not None:
            self._position = Position(self._timeline_of(last), last.end, time_ms=last.last_ms)
        elif (point := self._hooks.newest_snapshot()) is not None:
            self._position = Position(Timeline(point.replid), point.offset, point.stream_db)
            self._shipper.shipped = point.offset
        if (shipped := newest([], stored)) is not None:
            self._shipper.shipped = shipped.end
        self._resumed = True
        self._shipper.start()

    def _stored(self) -> tuple[SegmentName, ...]:
        try:
            return self._catalog.list().names
        except StoreUnreachable:
            if not self._spool.sealed:
                raise
            return ()  # what this worker sealed last is known without the store

    def _timeline_of(self, name: SegmentName) -> Timeline:
        for sealed in self._spool.sealed:
            if sealed.name == name:
                return sealed.timeline
        try:
            return self._catalog.read(name).timeline
        except SnapshotCorrupt as error:
            emit("segment-unreadable", level=logging.ERROR, error=str(error))
            return Timeline(name.replid)

    def _choose(self) -> Target | None:
        """Ask the cluster where to go on; declare a gap where nobody can."""
        candidates = find_candidates(replace(self._access, timeout=_ASK_TIMEOUT))
        now = steady_clock()
        avoid = {address for address, until in self._avoid.items() if until > now}
        step = choose(self._position, candidates, avoid=avoid)
        if isinstance(step, Gap) and self._is_final(step, candidates.absent, now):
            self._declare(step)
            step = choose(None, candidates, avoid=avoid)
        if not isinstance(step, Target):
            self._board.note(problem=step.reason)
            return None
        if self._full and self._spool.full(_ROOM):
            self._board.note(problem="the spool is full: the store has not taken enough of it yet")
            return None
        self._full, self._doubted = False, None
        return step

    def _is_final(self, gap: Gap, absent: int, now: float) -> bool:
        """A replica that can't serve yet may hold what the others don't: give it some time."""
        self._doubted = now if self._doubted is None else self._doubted
        return gap.everywhere or not absent or now - self._doubted > _DOUBT_SECONDS

    def _declare(self, gap: Gap) -> None:
        """The log can't go on: it begins anew with the next source."""
        self._position, self._gap, self._refusals, self._doubted = None, gap, 0, None
        self._count(gap)

    def _missed(self, gap: Gap) -> None:
        """What waits here does not follow what the store holds: another worker left a hole."""
        self._count(gap)
        self._hooks.on_gap(gap)

    def _count(self, gap: Gap) -> None:
        self._board.count_gap()
        timeline, offset = (gap.lost.timeline.replid, gap.lost.offset) if gap.lost else ("", 0)
        emit(
            "log-gap",
            level=logging.ERROR,
            reason=gap.reason,
            timeline=timeline,
            offset=offset,
        )

    def _follow(self, target: Target, stop: threading.Event) -> bool:
        """Follow one source until it is lost or `stop` is set; say whether that lasted."""
        position, source = target.position, target.source
        silent_since, began = self._board.standing.silent_since, steady_clock()
        pieces = follow(
            self._access, source, replid=position.timeline.replid, offset=position.offset
        )
        try:
            with closing(pieces):
                next(pieces)
                self._attached(target)
                with (
                    self._writing(target, silent_since) as writer,
                    SourceWatch(self._access, source) as watch,
                ):
                    self._receive(pieces, writer, watch, stop)
        except HistoryLost as error:
            self._refused(error, source)
        except SpoolFull as error:
            self._full = True
            emit("spool-full", level=logging.ERROR, error=str(error))
            self._board.note(problem=str(error))
        except BackupError as error:
            self._left(error, source)
        return steady_clock() - began >= _PROVEN_SECONDS

    def _receive(
        self,
        pieces: Iterator[bytes],
        writer: LogWriter,
        watch: SourceWatch,
        stop: threading.Event,
    ) -> None:
        for piece in pieces:
            now = steady_clock()
            if piece:
                watch.heard(now)
                writer.feed(piece, now=now, wall_ms=time.time_ns() // 1_000_000)
            else:
                writer.seal_if_due(now)
            self._board.note(
                received=writer.received,
                sealed=writer.position.offset,
                since=writer.since,
                source_offset=watch.offset,
            )
            if stop.is_set():
                return
            if watch.problem:
                raise SourceLost(
                    operation="follow",
                    subject=str(watch.source),
                    cause=watch.problem,
                    hint="another replica is chosen",
                )

    @contextmanager
    def _writing(self, target: Target, silent_since: float | None) -> Iterator[LogWriter]:
        """Keep what is whole when the link ends, and nothing of what can't be trusted."""
        writer = LogWriter(
            self._spool,
            self._sealing,
            target.position,
            source=str(target.source),
            silent_since=silent_since,
        )
        try:
            yield writer
        except (SourceLost, SpoolFull):
            writer.close()
            raise
        except BaseException:
            writer.abandon()
            raise
        else:
            writer.close()
        finally:
            self._position = writer.position
            self._board.note(
                source=None,
                sealed=writer.position.offset,
                since=None,
                silent_since=steady_clock(),
            )

    def _attached(self, target: Target) -> None:
        position = target.position
        self._refusals = 0
        emit(
            "log-attached",
            source=str(target.source),
            timeline=position.timeline.replid,
            offset=position.offset,
        )
        if target.dead:
            emit("log-rewound", level=logging.WARNING, bytes=target.dead, offset=position.offset)
        self._board.note(
            source=target.source,
            timeline=position.timeline.replid,
            received=position.offset,
            sealed=position.offset,
            silent_since=None,
            problem="",
        )
        begins = self._position is None
        self._position = position
        if begins:
            self._shipper.begins(position.timeline.replid, position.offset)
            gap, self._gap = self._gap or Gap("the log begins here"), None
            self._hooks.on_gap(replace(gap, again=position))

    def _refused(self, error: HistoryLost, source: Address) -> None:
        """A source that should hold the next byte offers a full copy only."""
        self._left(error, source)
        self._refusals += 1
        if self._refusals >= _REFUSALS and self._position is not None:
            self._declare(Gap(str(error), self._position))

    def _left(self, error: BackupError, source: Address) -> None:
        self._avoid[source] = steady_clock() + _AVOID_SECONDS
        emit("log-link-lost", level=logging.WARNING, source=str(source), error=str(error))
        self._board.note(problem=str(error))
