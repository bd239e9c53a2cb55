"""How the follower stands: written by its threads, read by whoever shows it."""

import threading
from dataclasses import dataclass, replace

from backup_worker.clock import steady_clock
from backup_worker.log.spool import Spool
from backup_worker.status import LogState
from redis_ha.connection import Address


@dataclass(frozen=True)
class Standing:
    """How receiving stands; times are steady seconds.

    `since` is when the oldest byte of the open segment came, None while it holds no data;
    `silent_since` is when the source was lost, None while there is one.
    """

    source: Address | None = None
    timeline: str = ""
    source_offset: int = 0
    received: int = 0
    sealed: int = 0
    since: float | None = None
    silent_since: float | None = None
    gaps: int = 0
    problem: str = ""


class Board:
    """Holds the latest standing, for any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._standing = Standing(silent_since=steady_clock())

    @property
    def standing(self) -> Standing:
        with self._lock:
            return self._standing

    def note(self, **changes: object) -> None:
        """Change fields of the standing."""
        with self._lock:
            self._standing = replace(self._standing, **changes)  # type: ignore[arg-type]

    def count_gap(self) -> None:
        """One more gap."""
        with self._lock:
            self._standing = replace(self._standing, gaps=self._standing.gaps + 1)

    def state(
        self, spool: Spool, shipped: int, *, shipping_problem: str, open_gap: str
    ) -> LogState:
        """Describe it together with what waits in the spool; see LogState."""
        waiting, standing = spool.sealed, self.standing
        moments = (standing.since, standing.silent_since, *(sealed.since for sealed in waiting))
        oldest = min((moment for moment in moments if moment is not None), default=None)
        return LogState(
            source=str(standing.source or ""),
            timeline=standing.timeline,
            source_offset=max(standing.source_offset, standing.received),
            received=standing.received,
            sealed=standing.sealed,
            shipped=shipped,
            behind_seconds=0.0 if oldest is None else max(0.0, steady_clock() - oldest),
            spool_bytes=spool.size,
            spool_segments=len(waiting),
            gaps=standing.gaps,
            open_gap=open_gap,
            problem=standing.problem or shipping_problem,
            spool_limit=spool.limit,
        )
