"""`backup-worker ARGS...` that sends itself a signal when its journal says a stage, or later.

python -m tests.processes.restore.ended_worker SIGKILL attach 0.4 restore --yes latest

Nothing of the stage is done by then where it is 0 seconds later.
"""

import os
import signal
import sys
import threading
from pathlib import Path

from backup_worker.cli import main
from backup_worker.restore import journal as journals

NAME, STAGE, SECONDS = sys.argv[1:4]
_save = journals.save
_seen = False


def _has_reached(journal: journals.Journal) -> bool:
    """Say whether it has; the second history is the scratch server's own, off the source."""
    if STAGE == "held back":
        return len(journal.scratch_replids) == 2
    return journal.stage == STAGE


def _end() -> None:
    os.kill(os.getpid(), signal.Signals[NAME])


def _save_and_end(journal: journals.Journal, state: Path) -> None:
    global _seen  # noqa: PLW0603 - one process, one signal: a stage may be entered again
    _save(journal, state)
    if _seen or not _has_reached(journal):
        return
    _seen = True
    if float(SECONDS) == 0:
        _end()
    else:
        timer = threading.Timer(float(SECONDS), _end)
        timer.daemon = True
        timer.start()


journals.save = _save_and_end
sys.argv[1:] = sys.argv[4:]
main()
