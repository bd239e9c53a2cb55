"""The server as a child process, and the signals that end either of them.

This program may be PID 1. Signals are blocked and waited for, so that no handler runs at an
awkward moment, and as PID 1 no signal is dropped for want of a handler.
"""

import os
import signal
import time
from collections.abc import Sequence

from node.errors import Stopped

_END = frozenset({signal.SIGTERM, signal.SIGINT})
_WATCHED = _END | {signal.SIGCHLD}


class Server:
    """A started server; `exit_code` None while it runs, negative when a signal ended it."""

    def __init__(self, command: Sequence[str]) -> None:
        # An empty mask, or the server would inherit the blocked SIGTERM and never see it.
        self.pid = os.posix_spawnp(
            command[0],
            list(command),
            os.environ,
            setsigmask=[],
            setsigdef=[signal.SIGPIPE],
        )
        self.exit_code: int | None = None

    def send(self, number: signal.Signals) -> None:
        """Send a signal while the server runs."""
        if self.exit_code is None:
            os.kill(self.pid, number)


class Events:
    """What ends the waiting: a request to stop, or the end of the server."""

    def __init__(self) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
        self.server: Server | None = None
        # A second child, whose end nobody waits for.
        self.companion: Server | None = None

    def wait(self, seconds: float) -> None:
        """Sleep; raises Stopped as soon as a stop is asked for or the server has ended."""
        if self.stop_asked(seconds):
            raise Stopped("asked to stop")
        if self.server is not None and self.server.exit_code is not None:
            raise Stopped("the server ended")

    def stop_asked(self, seconds: float) -> bool:
        """Wait until a stop is asked for, the server ends or the time is up; True for a stop."""
        deadline = time.monotonic() + seconds
        while True:
            self._reap()
            if self.server is not None and self.server.exit_code is not None:
                seconds, deadline = 0.0, 0.0
            remaining = max(0.0, deadline - time.monotonic())
            received = signal.sigtimedwait(_WATCHED, remaining)
            if received is None:
                return False
            if received.si_signo in _END:
                return True

    def _reap(self) -> None:
        """Collect ended children: as PID 1 also those that others left behind."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for child in (self.server, self.companion):
                if child is not None and pid == child.pid:
                    child.exit_code = os.waitstatus_to_exitcode(status)
