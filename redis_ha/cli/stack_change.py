"""Changes a stack by its own program: `pulumi config set`, `pulumi preview`, `pulumi up`."""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from redis_ha.applied import wait_until_applied
from redis_ha.errors import ChangeRefused, StackUnavailable
from redis_ha.stack import read_outputs, refusal, site_of

_SET_BACK = "set the settings back of"


def set_setting(stack: str, name: str, value: str) -> list[str]:
    """Give the command line that sets a setting of the project."""
    return ["pulumi", "config", "set", "--stack", stack, name, value]


def remove_setting(stack: str, name: str) -> list[str]:
    """Give the command line that leaves a setting to its default."""
    return ["pulumi", "config", "rm", "--stack", stack, name]


def preview(stack: str) -> list[str]:
    """Give the command line that has the planner judge the settings; it touches nothing."""
    return ["pulumi", "preview", "--stack", stack, "--non-interactive"]


def up(stack: str) -> list[str]:
    """Give the command line that applies the settings."""
    return ["pulumi", "up", "--stack", stack, "--yes"]


@contextmanager
def proposed(stack: str, settings: Mapping[str, str], *, operation: str) -> Iterator[None]:
    """Set them and ask the planner; whatever fails, until the end of the block, sets them back.

    Raises ChangeRefused with the planner's words before the block begins, else StackUnavailable.
    """
    before = {name: find_setting(stack, name) for name in settings}
    try:
        _try(stack, settings, operation=operation)
        yield
    except BaseException:
        perform(_back(stack, before), operation=_SET_BACK, stack=stack)
        raise


def judge(stack: str, settings: Mapping[str, str], *, operation: str) -> None:
    """Ask the planner about settings, which are as before afterwards; raises ChangeRefused."""
    before = {name: find_setting(stack, name) for name in settings}
    try:
        _try(stack, settings, operation=operation)
    finally:
        perform(_back(stack, before), operation=_SET_BACK, stack=stack)


def _try(stack: str, settings: Mapping[str, str], *, operation: str) -> None:
    changes = [set_setting(stack, name, value) for name, value in settings.items()]
    perform(changes, operation=operation, stack=stack)
    _require_accepted(operation, stack)


def _back(stack: str, before: Mapping[str, str | None]) -> list[list[str]]:
    return [
        remove_setting(stack, name) if value is None else set_setting(stack, name, value)
        for name, value in before.items()
    ]


def _require_accepted(operation: str, stack: str) -> None:
    command = preview(stack)
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    if done.returncode:
        raise ChangeRefused(
            operation=operation,
            subject=stack,
            cause=refusal(done.stdout + done.stderr),
            hint="nothing was changed, the settings are as before",
        )


def setting_of(stack: str, name: str, *, default: str) -> str:
    """Ask for a setting; raises StackUnavailable."""
    found = find_setting(stack, name)
    return default if found is None else found


def find_setting(stack: str, name: str) -> str | None:
    """Ask for a setting; None where it is not set. Raises StackUnavailable."""
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
        return None
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


def wait_for_nodes(stack: str) -> None:
    """Wait until each node has applied what the stack's last `up` gave it."""
    outputs = read_outputs(stack)
    wait_until_applied(site_of(stack, outputs, os.environ), outputs.get("files", {}))


def hand_over(name: str, *, operation: str, stack: str) -> None:
    """Make that node the master, without losing a write; raises StackUnavailable."""
    failover = [sys.executable, "-m", "redis_ha", "failover", "--to", name, "--stack", stack]
    perform([[*failover, "--yes"]], operation=operation, stack=stack)


def _require_pulumi(operation: str, stack: str) -> None:
    if shutil.which("pulumi") is None:
        raise StackUnavailable(
            operation=operation,
            subject=stack,
            cause="there is no pulumi command on the PATH",
            hint="run `source .redis-ha/env` after `make up`, or run it elsewhere",
        )
