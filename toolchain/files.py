"""Files that are either whole or absent, and one actor at a time."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def write_atomically(path: Path, text: str, *, mode: int = 0o644) -> bool:
    """Write a file by rename; return False when it already says exactly this."""
    if path.is_file() and path.read_text() == text and path.stat().st_mode & 0o777 == mode:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        os.fchmod(file.fileno(), mode)
        os.fsync(file.fileno())
    Path(name).replace(path)
    return True


def append_missing(path: Path, line: str) -> bool:
    """Append a line to a 0600 file unless it is there; return whether it was added."""
    text = path.read_text() if path.is_file() else ""
    if line in text.splitlines():
        return False
    separator = "" if not text or text.endswith("\n") else "\n"
    return write_atomically(path, f"{text}{separator}{line}\n", mode=0o600)


@contextmanager
def folder_in_the_making(final: Path) -> Iterator[Path]:
    """Give an empty folder that becomes `final` when the block ends well, else disappears."""
    final.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=final.parent, prefix=f".{final.name}.") as scratch:
        making = Path(scratch) / final.name
        making.mkdir()
        yield making
        shutil.rmtree(final, ignore_errors=True)
        making.replace(final)


@contextmanager
def exclusive(lock: Path) -> Iterator[None]:
    """Hold a lock file: a second racer waits, then finds the work done."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
