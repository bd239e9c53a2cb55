"""Commands of the operating system, whose failure is a step of the boot that failed."""

import subprocess
from collections.abc import Sequence

from node.vm.errors import BootFailed

_PATIENCE_SECONDS = 300.0


def run(command: Sequence[str], operation: str) -> None:
    """Run a command to its end; raises BootFailed with the last line that it wrote."""
    done = subprocess.run(
        list(command),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_PATIENCE_SECONDS,
        check=False,
    )
    if done.returncode:
        raise BootFailed(
            operation=operation,
            subject=" ".join(command),
            cause=f"exit code {done.returncode}: {(done.stdout.splitlines() or ['silent'])[-1]}",
            hint="see `journalctl -u redis-ha-boot`; it is tried again",
        )
