"""A snapshot that one thread asks another for, and the bell that wakes the other up."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime

from backup_worker.manifest import ReplicationPoint


class Demand:
    """Holds the latest reason until a snapshot begun after it was given is published."""

    def __init__(self, wall: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._wall = wall
        self._at = wall()
        self._lock = threading.Lock()
        self._reason = ""
        self._begins: ReplicationPoint | None = None
        self._asked = 0
        self.bell = threading.Event()

    def ask(self, reason: str, begins: ReplicationPoint | None = None) -> None:
        """Want a snapshot that begins from now on, and that reaches to where the log `begins`."""
        with self._lock:
            self._reason, self._begins = reason, begins
            self._asked += 1
            self._at = self._wall()
        self.bell.set()

    @property
    def open(self) -> tuple[int, str]:
        """The number to give to `met`, and the reason; empty when nothing is wanted."""
        with self._lock:
            return self._asked, self._reason

    def met_since(self, moment: datetime, point: ReplicationPoint | None = None) -> None:
        """A snapshot that began then was found, or another worker's log that had come so far.

        Whoever took it: what was asked for before is no longer missing. A moment that is still to
        come was told by a wrong clock and says nothing. `point` is where the snapshot stands.
        """
        with self._lock:
            if self._at < moment <= self._wall() and self._reached(point):
                self._reason = ""

    def met(self, number: int, point: ReplicationPoint) -> None:
        """A snapshot that began when `number` was the latest is published."""
        with self._lock:
            if number == self._asked and self._reached(point):
                self._reason = ""

    def _reached(self, point: ReplicationPoint | None) -> bool:
        """Say whether the log follows on a snapshot: its replica may have lagged behind.

        Offsets of two histories tell nothing: then a snapshot that began later will do.
        """
        begins = self._begins
        if begins is None or point is None or point.replid != begins.replid:
            return True
        return point.offset >= begins.offset
