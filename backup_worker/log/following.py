"""The log as the worker runs it: always followed, shipped only under the lease."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from backup_worker.clock import steady_clock
from backup_worker.errors import LeaseLost
from backup_worker.log.follower import Follower
from backup_worker.status import LogState

# A worker that stands by keeps this much of the log (s): more than a takeover lasts.
STANDBY_SECONDS = 180.0
_LOOK_SECONDS = 30.0


class Following:
    """Runs the follower that `make` builds, in a thread; `make` gets `may_publish` and `term`.

    While another worker holds the lease, this one's log is only kept for a takeover.
    """

    def __init__(self, make: Callable[[Callable[[], None], Callable[[], int]], Follower]) -> None:
        self._require: Callable[[], None] = _stand_by
        self._term = 0
        self._next_look = 0.0
        self._follower = make(self._may_publish, lambda: self._term)
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=self._follower.run, args=(self._stop,), name="log-follower", daemon=True
        )

    @contextmanager
    def running(self) -> Iterator[None]:
        """Follow during the block."""
        self._thread.start()
        try:
            yield
        finally:
            self._finish()

    @contextmanager
    def leading(self, require: Callable[[], None], term: int) -> Iterator[None]:
        """Ship during the block; `require` raises when the lease no longer holds.

        When the worker is ended in it, what waits goes out while the lease is still its own.
        """
        self._follower.drop_stored()
        self._term, self._require = term, require
        try:
            yield
        except BaseException:
            self._finish()
            raise
        finally:
            self._require, self._term = _stand_by, 0

    def stand_by(self) -> None:
        """Forget, now and then, what another worker has shipped; the last minutes stay.

        After an outage nobody may have shipped: then all stays. Raises StoreUnreachable.
        """
        now = steady_clock()
        if now >= self._next_look:
            self._next_look = now + _LOOK_SECONDS
            self._follower.drop_superseded(now - STANDBY_SECONDS)

    def _may_publish(self) -> None:
        self._require()

    def _finish(self) -> None:
        """Seal, and ship for some seconds what waits."""
        self._stop.set()
        self._thread.join()

    def stored_until(self) -> datetime:
        """Say when the last byte of the store's log had arrived, at whichever worker."""
        return self._follower.stored_until()

    @property
    def attached(self) -> bool:
        """Whether a source is followed now."""
        return bool(self._follower.state().source)

    def state(self, open_gap: str) -> LogState:
        """Say how it stands; `open_gap` is why a snapshot is awaited."""
        return self._follower.state(open_gap)


def _stand_by() -> None:
    raise LeaseLost(
        operation="ship",
        subject="the log",
        cause="this worker does not hold the lease",
        hint="nothing to do: this worker takes over when it must",
    )
