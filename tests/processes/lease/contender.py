"""One worker that wants the lease: says on standard output since when it holds, until when.

Usage: contender.py STATE STORE [ENDPOINT]. Each line: `held TERM SECONDS` when a term begins,
`may TERM SECONDS SECONDS` for a stretch in which `require` passed, by a clock that all processes
of this machine share.
"""

import sys
import threading
import time
from pathlib import Path

from backup_worker.clock import steady_clock
from backup_worker.errors import BackupError, LeaseLost
from backup_worker.lease import Lease
from backup_worker.lease.worker_id import worker_id
from backup_worker.store.factory import open_store

_STEP = 0.01


def main(state: str, url: str, endpoint: str | None = None) -> None:
    """Contend for ever."""
    with worker_id(Path(state)) as me:
        lease = Lease(open_store(url, endpoint=endpoint, quick=True), me)
        while True:
            term = _acquire(lease)
            _say(f"held {term} {steady_clock()}")
            lost = threading.Event()
            with lease.kept(lambda _, lost=lost: lost.set()):
                _publish(lease, term, lost)


def _acquire(lease: Lease) -> int:
    while True:
        try:
            if (term := lease.try_acquire()) is not None:
                return term
        except BackupError as error:
            _say(f"trouble {error}")
        time.sleep(lease.pause)


def _publish(lease: Lease, term: int, lost: threading.Event) -> None:
    """Publish as often as possible: a stretch ends when `require` raises or each half second."""
    began = last = 0.0
    while not lost.is_set():
        now = steady_clock()
        try:
            lease.require()
        except LeaseLost:
            break
        if last and (now - last > 10 * _STEP or now - began > 0.5):
            _say(f"may {term} {began} {last}")
            began = now
        began, last = began or now, now
        time.sleep(_STEP)
    if last:
        _say(f"may {term} {began} {last}")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
