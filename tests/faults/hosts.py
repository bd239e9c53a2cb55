"""Hosts with a clock of their own, which jumps, and a slow disk: a shim under their processes."""

import shutil
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).with_name("host_shim.c")
# Seconds that the clock is off, microseconds that each sync takes longer.
_STATE = struct.Struct("<qq")


@dataclass
class Shim:
    """One host's: `library` is loaded into its processes, which look into `state` all the time."""

    library: Path
    state: Path
    clock_off: int = 0
    sync_longer: float = 0.0

    def __post_init__(self) -> None:
        self.put()

    @property
    def prefix(self) -> tuple[str, ...]:
        """Return what runs a command on such a host."""
        return ("env", f"LD_PRELOAD={self.library}", f"FAULTY_HOST={self.state}")

    def told(self) -> tuple[int, float]:
        """Return what its processes read there: clock_off and sync_longer (s)."""
        clock_off, sync_longer = _STATE.unpack(self.state.read_bytes())
        return clock_off, sync_longer / 1e6

    def put(self, *, clock_off: int = 0, sync_longer: float = 0.0) -> None:
        """Set both (s); by default all is right."""
        self.clock_off, self.sync_longer = clock_off, sync_longer
        state = _STATE.pack(clock_off, round(sync_longer * 1e6))
        # In place: the file is mapped.
        with self.state.open("r+b" if self.state.exists() else "wb", buffering=0) as file:
            file.write(state)


def built(directory: Path) -> Path | None:
    """Compile the shim; None where there is no C compiler."""
    library = directory / "host_shim.so"
    command = ["cc", "-O2", "-shared", "-fPIC", "-Wall", "-o", str(library), str(SOURCE)]
    if shutil.which("cc") is None:
        return None
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return library if done.returncode == 0 else None
