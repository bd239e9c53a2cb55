"""A snapshot that one thread asks another for, and the bell that wakes the other up."""

import threading


class Demand:
    """Holds the latest reason until a snapshot begun after it was given is published."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reason = ""
        self._asked = 0
        self.bell = threading.Event()

    def ask(self, reason: str) -> None:
        """Want a snapshot that begins from now on."""
        with self._lock:
            self._reason = reason
            self._asked += 1
        self.bell.set()

    @property
    def open(self) -> tuple[int, str]:
        """The number to give to `met`, and the reason; empty when nothing is wanted."""
        with self._lock:
            return self._asked, self._reason

    def met(self, number: int) -> None:
        """A snapshot that began when `number` was the latest is published."""
        with self._lock:
            if number == self._asked:
                self._reason = ""
