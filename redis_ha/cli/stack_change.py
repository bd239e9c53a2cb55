"""Changes a stack by its own program: `pulumi config set`, `pulumi up`."""

import shlex
import shutil
import subprocess
from collections.abc import Sequence

from redis_ha.errors import StackUnavailable


def set_setting(stack: str, name: str, value: str) -> list[str]:
    """Give the command line that sets a setting of the project."""
    return ["pulumi", "config", "set", "--stack", stack, name, value]


def up(stack: str) -> list[str]:
    """Give the command line that applies the settings."""
    return ["pulumi", "up", "--stack", stack, "--yes"]


def setting_of(stack: str, name: str, *, default: str) -> str:
    """Ask for a setting; raises StackUnavailable."""
    _require_pulumi("read the settings of", stack)
    done = subprocess.run(
        ["pulumi", "config", "get", "--stack", stack, name],
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode == 0:
        return done.stdout.strip()
    if "not found" in done.stderr:
        return default
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    raise StackUnavailable(
        operation="read the settings of",
        subject=stack,
        cause=lines[0].removeprefix("error: ") if lines else "pulumi ended without a word",
        hint=f"run `pulumi config get --stack {stack} {name}` by hand",
    )


def perform(commands: Sequence[Sequence[str]], *, operation: str, stack: str) -> None:
    """Run command lines one after another; raises StackUnavailable at the first that fails."""
    _require_pulumi(operation, stack)
    for command in commands:
        # Its own output is the user's; with --json that belongs to standard error.
        done = subprocess.run(command, check=False, stdout=2)
        if done.returncode:
            raise StackUnavailable(
                operation=operation,
                subject=stack,
                cause=f"`{shlex.join(command)}` failed",
                hint="see what it printed above; run this again, it goes on from there",
            )


def _require_pulumi(operation: str, stack: str) -> None:
    if shutil.which("pulumi") is None:
        raise StackUnavailable(
            operation=operation,
            subject=stack,
            cause="there is no pulumi command on the PATH",
            hint="run `source .redis-ha/env` after `make up`, or run it elsewhere",
        )
