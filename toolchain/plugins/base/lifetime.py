"""When to stop: the engine asked for it, or it is gone."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Lifetime:
    """Shared by all operations of one plugin process."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._quit = threading.Event()
        self._parent = os.getppid()
        self._running = 0
        self._changed = threading.Condition()

    @property
    def stopping(self) -> bool:
        """True once the run is cancelled or the engine is gone."""
        return self._stop.is_set() or self.orphaned

    @property
    def orphaned(self) -> bool:
        """True when the process that started this one no longer exists."""
        return os.getppid() != self._parent

    def stop(self) -> None:
        """Cancel: every pause ends at once."""
        self._stop.set()

    def pause(self, seconds: float) -> bool:
        """Wait; True when the wait was cut short, or is not worth beginning, because of a stop."""
        return self._stop.wait(seconds) or self.orphaned

    @contextmanager
    def operation(self) -> Iterator[None]:
        """Count an operation as running, so that the process does not end in the middle of it."""
        self._count(1)
        try:
            yield
        finally:
            self._count(-1)

    def _count(self, step: int) -> None:
        with self._changed:
            self._running += step
            self._changed.notify_all()

    def quit(self) -> None:
        """End the process once running operations have tidied up."""
        self._quit.set()

    def await_end(self, *, every: float = 0.2, grace: float = 15.0) -> None:
        """Return after `quit`, or when the parent is gone.

        Running operations are stopped and get `grace` seconds to tidy up.
        """
        while not (self.orphaned or self._quit.wait(every)):
            pass
        self.stop()
        with self._changed:
            self._changed.wait_for(lambda: self._running == 0, timeout=grace)
