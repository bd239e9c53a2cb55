"""The steps of a running worker as they show on its disk and in its store, to kill it in each."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.processes.worker_command import WorkerCommand

Files = frozenset[str]


class Reached(Protocol):
    """Say whether a step is reached, from the files at the start and those there are now."""

    def __call__(self, before: Files, now: Files) -> bool: ...


@dataclass(frozen=True)
class Step:
    """One step of the worker's work."""

    name: str
    reached: Reached
    # A directory of the store where, after that, an object must be about to be written: for what
    # takes a part of a millisecond.
    writing: str = ""


def files(worker: WorkerCommand) -> Files:
    """Name every file of the store and the state directory, those being written too."""
    found = set()
    for root in (worker.store, worker.directory / "state"):
        found |= {str(path.relative_to(worker.directory)) for path in walk(root)}
    return frozenset(found)


def walk(root: Path) -> list[Path]:
    """Return the files below a directory, whatever vanishes meanwhile."""
    found: list[Path] = []
    pending = [root]
    while pending:
        try:
            entries = list(pending.pop().iterdir())
        except OSError:
            continue
        pending += [entry for entry in entries if entry.is_dir()]
        found += [entry for entry in entries if not entry.is_dir()]
    return found


def wait_for_step(worker: WorkerCommand, step: Step, before: Files, timeout: float = 30.0) -> bool:
    """Poll closely until the worker is in a step; say whether it was seen."""
    deadline = time.monotonic() + timeout
    while not step.reached(before, files(worker)):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.001)
    return not step.writing or _writes(worker.store / step.writing, deadline)


def _writes(directory: Path, deadline: float) -> bool:
    """Watch a directory without a pause until a file is written there; say whether one was."""
    while not any(path.suffix == ".partial" for path in directory.iterdir()):
        if time.monotonic() > deadline:
            return False
    return True


def _new(words: Callable[[str], bool]) -> Reached:
    return lambda before, now: any(words(name) for name in now - before)


def _snapshot_file(suffix: str) -> Reached:
    return _new(lambda name: name.startswith("store/snapshots/") and name.endswith(suffix))


def _gone(before: Files, now: Files) -> bool:
    return any(name.startswith("store/snapshots/") for name in before - now)


_SHIPPED = _new(lambda name: name.startswith("store/log/") and name.endswith(".age"))

STEPS = (
    Step("start", lambda before, now: True),
    Step("lease claimed", _new(lambda name: name.startswith("store/lease/"))),
    Step("log opened", _new(lambda name: "/log-spool/" in name and name.endswith(".partial"))),
    Step("log sealed", _new(lambda name: "/log-spool/" in name and name.endswith(".json"))),
    Step("log object shipped", _SHIPPED),
    # Only who holds the lease ships; what it writes there next is a renewal.
    Step("lease renewal", _SHIPPED, writing="lease"),
    Step(
        "log manifest shipped",
        _new(lambda name: name.startswith("store/log/") and name.endswith(".json")),
    ),
    Step("snapshot transfer", _snapshot_file(".partial")),
    Step("snapshot stored", _snapshot_file("/dump.rdb.zst.age")),
    Step("read back", _new(lambda name: name.startswith("state/drill/"))),
    Step("snapshot listed", _snapshot_file("/manifest.json")),
    Step("snapshot proven", _snapshot_file("/proof.json")),
    Step("prune", _gone),
)
