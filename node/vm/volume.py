"""The data volume: waited for, formatted only when nothing was ever written to it, mounted."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from node.vm.errors import BootFailed
from node.vm.system import run

# It is attached after the machine has begun to run.
ATTACH_SECONDS = 900.0
_LOOK_AGAIN_SECONDS = 0.5
_LOOKED_AT = 1 << 20
# blkid's exit code for "no file system, no partition table, nothing".
_NOTHING_FOUND = 2


def await_device(device: Path, *, sleep: Callable[[float], None] = time.sleep) -> None:
    """Wait until the volume is attached; raises BootFailed."""
    deadline = time.monotonic() + ATTACH_SECONDS
    while not device.exists():
        if time.monotonic() > deadline:
            raise BootFailed(
                operation="find the data volume",
                subject=str(device),
                cause=f"it wasn't attached within {ATTACH_SECONDS:.0f} s",
                hint="attach it to this instance; the boot goes on by itself",
            )
        sleep(_LOOK_AGAIN_SECONDS)


def format_if_empty(device: Path) -> bool:
    """Make a file system on an empty volume and say whether that was needed; raises BootFailed."""
    probe = subprocess.run(
        ["blkid", "--probe", str(device)], capture_output=True, text=True, check=False
    )
    if probe.returncode == 0:
        return False
    if probe.returncode != _NOTHING_FOUND or not _begins_with_zeros(device):
        raise BootFailed(
            operation="mount the data volume",
            subject=str(device),
            cause="it holds something that is no file system: " + (probe.stderr.strip() or "data"),
            hint="look at it before anything else; a volume that isn't empty is never formatted",
        )
    run(["mkfs.ext4", "-q", "-L", "redis-ha", "-m", "1", str(device)], "format the data volume")
    return True


def _begins_with_zeros(device: Path) -> bool:
    with device.open("rb") as file:
        return not file.read(_LOOKED_AT).strip(b"\0")
