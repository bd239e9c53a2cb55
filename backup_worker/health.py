"""The files by which a worker says how it goes; their age shows that it still does.

One is the health file: a line that the container's health check reads.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

# The check calls a file of more than ten seconds stale.
BEAT_SECONDS = 4.0
# Longer than any bounded wait of a round (a silent replica, a store that is tried again).
STUCK_SECONDS = 300.0


class Heartbeat:
    """Writes each file's text every few seconds, from a thread of its own.

    Work that blocks for a while is no fault; work that shows no sign of life for STUCK_SECONDS
    is: then the file is left to go stale. A directory that isn't there or can't be written ends
    no backup; the check then finds no file.
    """

    def __init__(
        self,
        texts: Mapping[Path, Callable[[], str]],
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._texts = texts
        self._monotonic = monotonic
        self._last_sign = monotonic()
        self._end = threading.Event()
        self._writing = threading.Lock()

    def sign_of_life(self) -> None:
        """Say that the work goes on."""
        self._last_sign = self._monotonic()

    @contextmanager
    def beating(self) -> Iterator[None]:
        """Beat during the block."""
        thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._end.set()
            thread.join()

    def write(self) -> None:
        """Write now, atomically, unless the work is stuck."""
        if self._monotonic() - self._last_sign > STUCK_SECONDS:
            return
        with self._writing:  # two threads write: one must not empty what the other puts in place
            for path, text in self._texts.items():
                temporary = path.with_name(f".{path.name}.{os.getpid()}")
                with suppress(OSError):
                    temporary.write_text(text().replace("\n", " ") + "\n")
                    temporary.replace(path)

    def _beat(self) -> None:
        while not self._end.wait(BEAT_SECONDS):
            self.write()
