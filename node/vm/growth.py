"""A data volume that was made larger: its file system follows: `python -m node.vm.growth`.

EC2 grows a volume in use, and nothing tells the machine: so a timer looks. Layout of the
superblock: the kernel's Documentation/filesystems/ext4/super.rst.
"""

import os
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

from node.errors import NodeError
from node.vm.errors import BootFailed
from node.vm.layout import CONFIG
from node.vm.places import load_places
from node.vm.system import run
from redis_ha.eventlog import EventLog

_SUPERBLOCK_AT, _SUPERBLOCK_BYTES = 1024, 1024
_MAGIC, _INCOMPAT_64BIT = 0xEF53, 0x80
# EC2 grows by whole GiB; a rest too small for one more group of blocks (128 MiB) stays unused.
_WORTH_IT = 128 << 20


@dataclass(frozen=True)
class Sizes:
    """A volume and the ext4 on it, in bytes."""

    volume: int
    filesystem: int

    @property
    def grown(self) -> bool:
        """Whether the volume has room that the file system doesn't use."""
        return self.volume - self.filesystem >= _WORTH_IT


def parse_superblock(block: bytes) -> int:
    """Read how many bytes an ext4 file system spans; raises ValueError when it is none."""
    if len(block) < _SUPERBLOCK_BYTES or _number(block, 0x38, 2) != _MAGIC:
        raise ValueError("there is no ext4 file system")
    blocks = _number(block, 0x04, 4)
    if _number(block, 0x60, 4) & _INCOMPAT_64BIT:
        blocks |= _number(block, 0x150, 4) << 32
    return blocks * (1024 << _number(block, 0x18, 4))


def measure(device: Path) -> Sizes:
    """Look at a volume; raises BootFailed."""
    try:
        with device.open("rb") as file:
            volume = file.seek(0, os.SEEK_END)
            file.seek(_SUPERBLOCK_AT)
            return Sizes(volume, parse_superblock(file.read(_SUPERBLOCK_BYTES)))
    except (OSError, ValueError) as error:
        raise BootFailed(
            operation="measure",
            subject=str(device),
            cause=str(error),
            hint="see `lsblk -f` and `journalctl -u redis-ha-boot`",
        ) from error


def grow(device: Path) -> Sizes | None:
    """Let the file system fill its volume, in use or not; None when it does already.

    Returns the sizes from before. Raises BootFailed.
    """
    found = measure(device)
    if not found.grown:
        return None
    run(["resize2fs", str(device)], "grow the file system")
    return found


def main() -> int:
    """Look once; 0 whether or not something was to do, 1 when it failed."""
    log = EventLog(socket.gethostname(), component="growth")
    try:
        places = load_places(CONFIG / "boot.json")
        log = EventLog(places.node, component="growth")
        before = grow(places.device)
    except NodeError as error:
        log.warning("not-grown", reason=str(error))
        return 1
    if before:
        log.info("grown", device=places.device, before=before.filesystem, volume=before.volume)
    return 0


def _number(block: bytes, at: int, size: int) -> int:
    return int.from_bytes(block[at : at + size], "little")


if __name__ == "__main__":
    sys.exit(main())
