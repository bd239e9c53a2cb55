"""A snapshot that one thread asks another for, and the bell that wakes the other up."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime


class Demand:
    """Holds the latest reason until a snapshot begun after it was given is published."""

    def __init__(self, wall: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._wall = wall
        self._at = wall()
        self._lock = threading.Lock()
        self._reason = ""
        self._asked = 0
        self.bell = threading.Event()

    def ask(self, reason: str) -> None:
        """Want a snapshot that begins from now on."""
        with self._lock:
            self._reason = reason
            self._asked += 1
            self._at = self._wall()
        self.bell.set()

    @property
    def open(self) -> tuple[int, str]:
        """The number to give to `met`, and the reason; empty when nothing is wanted."""
        with self._lock:
            return self._asked, self._reason

    def met_since(self, moment: datetime) -> None:
        """A snapshot that began then was found, or another worker's log that had come so far.

        Whoever took it: what was asked for before is no longer missing. A moment that is still to
        come was told by a wrong clock and says nothing.
        """
        with self._lock:
            if self._at < moment <= self._wall():
                self._reason = ""

    def met(self, number: int) -> None:
        """A snapshot that began when `number` was the latest is published."""
        with self._lock:
            if number == self._asked:
                self._reason = ""
