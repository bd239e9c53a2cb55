"""One number for each run on this machine, and an end to what a run that died left behind."""

import fcntl
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from tests.faults.lan import take_away

_NUMBERS = range(1, 251)
_NAMESPACES = Path("/run/netns")


def switch_of(number: int) -> str:
    """Name the switch of the network that has a number."""
    return f"rhf{number}"


@contextmanager
def claimed(directory: Path) -> Iterator[int]:
    """Hold a number that no other run has, for the block; `directory` is where its disks are.

    The claim is a lock, which ends with its process however that ends; a claim that still names
    its directory was not ended in order, and is tidied up by whoever comes next.
    """
    held: tuple[int, TextIO] | None = None
    for number in _NUMBERS:
        file = _locked(_path(number)) if held is None or _path(number).exists() else None
        if file is None:
            continue
        _tidy(number, file)
        if held is None and not _NAMESPACES.joinpath(switch_of(number)).exists():
            held = (number, file)
        else:
            file.close()
    assert held is not None, "every number is taken"
    number, file = held
    with file:
        file.write(str(directory))
        file.flush()
        yield number
        file.truncate(0)


def _path(number: int) -> Path:
    return Path("/run") / f"redis-ha-faults-{number}.lock"


def _locked(path: Path) -> TextIO | None:
    file = path.open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    return file


def _tidy(number: int, file: TextIO) -> None:
    file.seek(0)
    directory = file.read()
    if directory:
        take_away(switch_of(number))
        _end_those_of(directory)
        unmount_below(Path(directory))
        file.truncate(0)


def _end_those_of(directory: str) -> None:
    """End what a run started on no host of its network: its worker, whose files are there."""
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if any(word.startswith(f"{directory}/".encode()) for word in words):
                os.kill(int(entry.name), signal.SIGKILL)


def unmount_below(directory: Path) -> None:
    """Take the disks away that are mounted in a directory."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        mounted = Path(line.split()[1])
        if mounted.is_relative_to(directory):
            subprocess.run(["umount", "--lazy", str(mounted)], check=False)
