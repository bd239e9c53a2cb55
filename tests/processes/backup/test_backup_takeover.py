"""Several workers on one store: one works, another takes over, and the log has no gap."""

import itertools
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from backup_worker.log.catalog import LogCatalog
from backup_worker.store.file import FileStore
from tests.processes.backup.conftest import wait_for
from tests.processes.backup.test_backup_run import Running
from tests.processes.ledger import Ledger
from tests.processes.worker_command import WorkerCommand

# A holder's silence, the claimant's wait, and the requests in between (backup_worker/lease).
TAKEOVER_SECONDS = 60.0


@contextmanager
def several(worker: WorkerCommand, count: int) -> Iterator[list[Running]]:
    """Run workers, each with a state directory and a health file of its own."""
    runs: list[Running] = []
    try:
        for number in range(count):
            directory = worker.directory / f"worker-{number}"
            directory.mkdir()
            runs.append(
                Running(
                    worker,
                    REDIS_BACKUP_STATE=str(directory / "state"),
                    REDIS_BACKUP_HEALTH_FILE=str(directory / "health"),
                    REDIS_BACKUP_LOG_SECONDS="1",
                )
            )
        yield runs
    finally:
        for run in runs:
            run.process.kill()
            run.process.communicate()


def status(worker: WorkerCommand, number: int) -> dict[str, Any]:
    """Read what a worker last wrote of itself."""
    path = worker.directory / f"worker-{number}" / "state" / "status.json"
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"role": ""}
    return found


def working(worker: WorkerCommand, count: int) -> list[int]:
    return [n for n in range(count) if status(worker, n)["role"] == "working"]


def ends(worker: WorkerCommand) -> list[tuple[int, int]]:
    """Return the stored segments' ranges, by offset."""
    names = LogCatalog(FileStore(worker.store), (worker.signer.public_key,)).list().names
    return sorted((name.start, name.end) for name in names)


def test_killed_while_it_works_it_is_replaced_without_a_gap_in_the_log(
    worker: WorkerCommand, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    with several(worker, 2) as runs, Ledger.running(worker.cluster, pace=0.002) as ledger:
        wait_for(lambda: len(working(worker, 2)) == 1, "one that works", TAKEOVER_SECONDS)
        wait_for(lambda: len(worker.list()) == 1, "the first snapshot", TAKEOVER_SECONDS)
        wait_for(lambda: len(ends(worker)) >= 3, "some log", TAKEOVER_SECONDS)
        (first,) = working(worker, 2)
        ledger.wait_for_writes(100)
        runs[first].process.kill()
        before, began = ends(worker)[-1][1], time.monotonic()
        wait_for(lambda: ends(worker)[-1][1] > before, "its successor's log", TAKEOVER_SECONDS)
        taken_over = time.monotonic() - began
        ledger.wait_for_writes(100)
        offset = max(view.offset for view in worker.cluster.views())
        wait_for(lambda: ends(worker)[-1][1] >= offset, "the log in the store", TAKEOVER_SECONDS)
        second = status(worker, 1 - first)
    stored = ends(worker)
    assert all(b[0] <= a[1] + 1 for a, b in itertools.pairwise(stored)), stored
    assert second["log"]["gaps"] == 0
    assert len(worker.list()) == 1, "a takeover is no reason for another snapshot"
    figure(f"another worker's log in the store {taken_over:.1f} s after the kill, no gap")


def test_a_worker_that_ends_hands_over_at_once(
    worker: WorkerCommand, figure: Callable[[str], None]
) -> None:
    with several(worker, 2) as runs, Ledger.running(worker.cluster, pace=0.002):
        wait_for(lambda: len(working(worker, 2)) == 1, "one that works", TAKEOVER_SECONDS)
        wait_for(lambda: len(worker.list()) == 1, "the first snapshot", TAKEOVER_SECONDS)
        # Beyond the moment at which the other one began to follow.
        wait_for(lambda: len(ends(worker)) >= 3, "some log", TAKEOVER_SECONDS)
        (first,) = working(worker, 2)
        began = time.monotonic()
        runs[first].process.terminate()
        wait_for(lambda: 1 - first in working(worker, 2), "the other one", 20)
        figure(f"the other one works {time.monotonic() - began:.1f} s after SIGTERM")
        assert len(worker.list()) == 1
