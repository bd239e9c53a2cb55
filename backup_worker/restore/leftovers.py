"""Decrypted data on the worker's disk: where it may lie, and that nothing of it outlives a kill.

A killed process runs no cleanup, so whoever comes next removes what it left: the next restore, and
the worker when it starts. A directory is in use while its user holds a lock on it, which a killed
process lets go of by itself.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path

_SAVED = "restore-saved"


@contextmanager
def private_directory(state: Path | None) -> Iterator[Path]:
    """Give an empty directory for decrypted data: below `state` where that is there.

    Raises OSError.
    """
    if state is None or not os.access(state, os.W_OK):
        with tempfile.TemporaryDirectory(prefix="restore-") as name:
            yield Path(name)
        return
    parent = state / _SAVED
    parent.mkdir(mode=0o700, exist_ok=True)
    with _locked(parent):
        _sweep(parent)
        directory = Path(tempfile.mkdtemp(dir=parent))
        held = os.open(directory, os.O_RDONLY)
        flock(held, LOCK_EX)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)
        os.close(held)


def sweep_saved(state: Path) -> None:
    """Remove what killed processes left in private directories; what is in use stays."""
    parent = state / _SAVED
    with suppress(OSError), _locked(parent):
        _sweep(parent)


def _sweep(parent: Path) -> None:
    for directory in parent.iterdir():
        with suppress(BlockingIOError), _locked(directory, LOCK_NB):
            shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def _locked(directory: Path, how: int = 0) -> Iterator[None]:
    opened = os.open(directory, os.O_RDONLY)
    try:
        flock(opened, LOCK_EX | how)
        yield
    finally:
        os.close(opened)
