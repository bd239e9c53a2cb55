"""`python -m node.telemetry`: tell CloudWatch how this machine is, until stopped."""

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from node.files import write_atomically
from node.telemetry.cloudwatch import CloudWatch, Origin
from node.telemetry.journal import read_journal
from node.telemetry.metrics import samples
from node.telemetry.reading import Sources, read
from redis_ha.eventlog import EventLog

METRICS_SECONDS, JOURNAL_SECONDS = 60.0, 10.0


class Telemetry:
    """Metrics each minute and the journal every ten seconds; what fails is tried again."""

    def __init__(
        self, cloudwatch: CloudWatch, sources: Sources, cursor: Path, log: EventLog
    ) -> None:
        self._cloudwatch = cloudwatch
        self._sources = sources
        self._cursor = cursor
        self._log = log
        self._failing: set[str] = set()

    def run(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Work until the process is ended."""
        told = clock() - METRICS_SECONDS
        while True:
            if clock() - told >= METRICS_SECONDS:
                told = clock()
                self.tell()
            self.ship()
            time.sleep(JOURNAL_SECONDS)

    def tell(self) -> None:
        """Put one look at the machine."""
        self._attempt("metrics", lambda: self._cloudwatch.tell(samples(read(self._sources))))

    def ship(self) -> None:
        """Append what the journal has since the last time; a place is kept once it is in."""
        self._attempt("log", self._ship)

    def _ship(self) -> None:
        at = self._cursor.read_text() if self._cursor.exists() else ""
        for cursor in self._cloudwatch.append(read_journal(at)):
            write_atomically(self._cursor, cursor)

    def _attempt(self, what: str, act: Callable[[], None]) -> None:
        """Do it; a failure is told once, and so is its end: our own log is shipped too."""
        try:
            act()
        except (BotoCoreError, ClientError, OSError, ValueError, KeyError) as error:
            if what not in self._failing:
                self._log.warning("telemetry-failed", what=what, cause=str(error))
            self._failing.add(what)
        else:
            if what in self._failing:
                self._log.info("telemetry-recovered", what=what)
            self._failing.discard(what)


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line and work."""
    parser = argparse.ArgumentParser(prog="python3 -m node.telemetry", description=__doc__)
    for name in ("region", "cluster", "node", "log-group"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--endpoint", default=None, help="instead of AWS's own")
    parser.add_argument(
        "--cursor", type=Path, default=Path("/var/lib/redis-ha-telemetry/cursor"), help="place kept"
    )
    chosen = parser.parse_args(arguments)
    os.umask(0o077)
    origin = Origin(
        chosen.region, chosen.cluster, chosen.node, chosen.log_group, chosen.endpoint or None
    )
    log = EventLog(chosen.node, component="telemetry")
    Telemetry(CloudWatch(origin), Sources(), chosen.cursor, log).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
