"""Files that only their owner may read, and directories whose changes survive a crash."""

import os
from pathlib import Path


def private(path: str, flags: int) -> int:
    """Open a file with mode 0600: an opener for FileIO and open."""
    return os.open(path, flags, 0o600)


def sync_directory(directory: Path) -> None:
    """Make a rename in the directory survive a crash of the machine."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
