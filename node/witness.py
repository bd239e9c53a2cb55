"""The witness beside a sentinel: a process of its own that the sentinel's supervisor keeps."""

import os
import signal
import sys
import time

from node.errors import BadSettings
from node.process import Events, Server
from node.settings import NodeSettings
from redis_ha.eventlog import EventLog
from redis_ha.witness.loop import Witness, WitnessSettings
from redis_ha.witness.status import NOT_LET_IN, load

# A witness that dies is started again after this many seconds, doubled each time up to the last.
_FIRST_PAUSE, _LAST_PAUSE = 1.0, 60.0
# One that ran for so long (s) had a good start.
_GOOD_RUN = 60.0


def run_witness(settings: NodeSettings) -> int:
    """Watch the data nodes until killed, or until the supervisor is gone (0)."""
    if settings.witness is None or settings.address not in settings.sentinels:
        raise BadSettings(
            operation="run a witness on",
            subject=settings.name,
            cause="node.json has no `witness`, or this node is no sentinel",
            hint="set `witness` to true in the stack's configuration and run `pulumi up`",
        )
    supervisor = os.getppid()
    witness = Witness(
        WitnessSettings(
            number=settings.sentinels.index(settings.address) + 1,
            data_nodes=settings.data_nodes,
            sentinels=settings.sentinels,
            master_name=settings.master_name,
            credentials=settings.witness.credentials,
            ca=settings.ca,
            down_after=settings.witness.down_after,
            status_file=settings.witness_file,
        ),
        EventLog(settings.name, component="witness"),
    )
    witness.run(stop=lambda: os.getppid() != supervisor)
    return 0


class Companion:
    """The witness as its supervisor sees it: started, and started again when it died."""

    def __init__(self, settings: NodeSettings, log: EventLog, events: Events) -> None:
        self._settings = settings
        self._log = log
        self._events = events
        self._pause = _FIRST_PAUSE
        self._started_at = time.monotonic()
        self._start_at = self._started_at
        self.keep_running()

    @property
    def complaint(self) -> str:
        """Say that it doesn't run, or isn't let in, though it should; empty when all is well."""
        if self._settings.witness is None:
            return ""
        if self._events.companion is None:
            return "; its witness doesn't run"
        status = load(self._settings.witness_file)
        if status is not None and status.state == NOT_LET_IN:
            return f"; its witness is {status.state}: {status.reason}"
        return ""

    def keep_running(self) -> None:
        """Start the witness if it is wanted, doesn't run and its pause is over."""
        process, now = self._events.companion, time.monotonic()
        if process is not None and process.exit_code is not None:
            self._died(process.exit_code, now)
        if self._settings.witness and self._events.companion is None and now >= self._start_at:
            self._start(now)

    def renew(self, settings: NodeSettings) -> None:
        """Start it again with new settings."""
        self._settings = settings
        self.stop()

    def stop(self) -> None:
        """Ask it to end; nobody waits for it."""
        if self._events.companion is not None:
            self._events.companion.send(signal.SIGTERM)

    def _start(self, now: float) -> None:
        command = [sys.executable, "-m", "node", "witness", "--config", str(self._settings.file)]
        self._started_at = now
        try:
            self._events.companion = Server(command)
        except OSError as error:
            self._died(str(error), now)

    def _died(self, why: int | str, now: float) -> None:
        if now - self._started_at >= _GOOD_RUN:
            self._pause = _FIRST_PAUSE
        self._log.warning("witness-died", exit_code=why, again_in_seconds=self._pause)
        self._events.companion = None
        self._start_at = now + self._pause
        self._pause = min(2 * self._pause, _LAST_PAUSE)
