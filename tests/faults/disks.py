"""A small disk for each data node: one that can be filled up, put back, and made to stand still."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.faults.claims import unmount_below
from tests.processes.backup.conftest import wait_for
from tests.processes.cluster import Process

_BYTES = 128 << 20
_BALLAST = "ballast"
_BLOCK = 4096


@contextmanager
def small_disks(nodes: Sequence[Process]) -> Iterator[bool]:
    """Mount a disk of its own over each node's data for the block; say whether it can be frozen.

    A file system on a loop device where the machine has these, else one in memory.
    """
    try:
        frozen = [_mount(node) for node in nodes]
        yield all(frozen)
    finally:
        for node in nodes:
            unmount_below(node.directory)


def _mount(node: Process) -> bool:
    image = node.directory / "disk"
    with image.open("wb") as file:
        file.truncate(_BYTES)
    made = _tried("mkfs.ext4", "-q", "-m", "0", str(image))
    if made and _tried("mount", "-o", "loop", str(image), str(node.data)):
        shutil.rmtree(node.data / "lost+found")
        return True
    options = ("-t", "tmpfs", "-o", f"size={_BYTES}", "disk")
    subprocess.run(["mount", *options, str(node.data)], check=True)
    return False


def freeze(node: Process, seconds: float) -> None:
    """Let nothing be written to a node's disk for so long: who tries waits.

    That may be this test as well, so a process of its own ends it, whatever becomes of us. One that
    is frozen already refuses to be once more, and stands still all the same.
    """
    script = 'fsfreeze --freeze "$1"; touch "$3"; sleep "$2"; fsfreeze --unfreeze "$1"'
    frozen = node.directory / "frozen"
    frozen.unlink(missing_ok=True)
    words = ["sh", "-c", script, "freeze", str(node.data), str(seconds), str(frozen)]
    subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(frozen.exists, f"a frozen {node.data}", 10.0)


def stands_still(node: Process) -> bool:
    """Say whether who writes to a node's disk waits; the one that tries ends with the wait."""
    probe = node.data / "probe"
    trial = subprocess.Popen(["sh", "-c", 'touch "$1" && rm -f "$1"', "sh", str(probe)])
    try:
        trial.wait(0.3)
    except subprocess.TimeoutExpired:
        return True
    return False


def thaw(node: Process) -> None:
    """End what `freeze` began; of no effect on a disk that isn't frozen."""
    subprocess.run(
        ["fsfreeze", "--unfreeze", str(node.data)], check=False, stderr=subprocess.DEVNULL
    )


def fill(node: Process) -> Path:
    """Leave no room on a node's disk; return the file to remove."""
    ballast = node.data / _BALLAST
    with ballast.open("wb", buffering=0) as file:
        # What is promised to files that aren't on the disk yet comes free when they are.
        for size in (1 << 16, _BLOCK, 1 << 16, _BLOCK):
            with suppress(OSError):
                while True:
                    file.write(bytes(size))
            with suppress(OSError):
                os.fsync(file.fileno())
    return ballast


def takes_a_block(node: Process) -> bool:
    """Say whether there is room for one block more on a node's disk."""
    probe = node.data / "probe"
    try:
        with probe.open("wb", buffering=0) as file:
            file.write(bytes(_BLOCK))
            os.fsync(file.fileno())
    except OSError:
        return False
    finally:
        probe.unlink(missing_ok=True)
    return True


def copy_of(node: Process) -> Path:
    """Copy a node's disk as it is now; return where to.

    A file that a rewrite removes meanwhile is not in it, as on a disk that lost power then.
    """
    kept = node.directory / "kept"
    shutil.rmtree(kept, ignore_errors=True)
    for _ in range(2):
        with suppress(shutil.Error):
            # What another fault filled the disk with is none of its data.
            without = shutil.ignore_patterns(_BALLAST)
            shutil.copytree(node.data, kept, dirs_exist_ok=True, ignore=without)
            break
    return kept


def put_back(node: Process, kept: Path) -> None:
    """Give a node that doesn't run an older disk."""
    node.erase_disk()
    shutil.copytree(kept, node.data, dirs_exist_ok=True)


def _tried(*command: str) -> bool:
    if shutil.which(command[0]) is None:
        return False
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
