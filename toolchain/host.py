"""This machine: who we are on it, what it can do, and how commands are run on it."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from toolchain.errors import Refused, ToolchainError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PROXIES = "http_proxy,https_proxy,no_proxy,HTTP_PROXY,HTTPS_PROXY,NO_PROXY"
PROBE_SECONDS = 10.0
WORK_SECONDS = 1800.0
SHOWN_LINES = 12


@dataclass(frozen=True)
class Host:
    """What decisions need to know of a machine."""

    system: str  # platform.system(): "Linux", "Darwin"
    machine: str  # platform.machine(): "x86_64", "aarch64"
    root: bool
    sudo: bool  # sudo works here: without a password, or there is a terminal to ask on
    apt: bool
    systemd: bool


def inspect_host() -> Host:
    """Look at this machine."""
    root = os.geteuid() == 0
    return Host(
        system=platform.system(),
        machine=platform.machine(),
        root=root,
        sudo=not root and shutil.which("sudo") is not None and _sudo_works(),
        apt=shutil.which("apt-get") is not None,
        systemd=Path("/run/systemd/system").is_dir(),
    )


def _sudo_works() -> bool:
    return sys.stdin.isatty() or succeeds(["sudo", "-n", "true"])


def as_root(host: Host, command: Sequence[str], *, operation: str, subject: str) -> list[str]:
    """Give the command as root runs it here.

    Errors: Refused where we are neither root nor can become it.
    """
    if host.root:
        return list(command)
    if host.sudo:
        return ["sudo", f"--preserve-env={PROXIES}", *command]
    raise Refused(
        operation=operation,
        subject=subject,
        cause="that needs root, and neither are we root nor does sudo work here",
        hint=f"run the same command as root, or first run as root: {' '.join(command)}",
    )


def output_of(command: Sequence[str], *, timeout: float = PROBE_SECONDS) -> str | None:
    """Give a command's stdout, stripped; None when it fails, hangs or isn't there."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def succeeds(command: Sequence[str], *, timeout: float = PROBE_SECONDS) -> bool:
    """Say whether a command ends with 0 in time."""
    return output_of(command, timeout=timeout) is not None


@dataclass(frozen=True)
class Task:
    """A command that must succeed, and the words for when it doesn't."""

    operation: str
    subject: str
    hint: str
    timeout: float = WORK_SECONDS  # seconds


def perform(
    task: Task,
    command: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> None:
    """Run a command quietly; its last lines are shown only when it fails.

    Errors: ToolchainError with the task's words.
    """
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=task.timeout,
            env={**os.environ, **(environment or {})},
            cwd=folder,
            check=False,
        )
    except OSError as error:
        raise _failure(task, str(error)) from error
    except subprocess.TimeoutExpired as error:
        raise _failure(task, f"no end after {task.timeout:.0f} s") from error
    if done.returncode:
        print("\n".join(done.stdout.splitlines()[-SHOWN_LINES:]), file=sys.stderr)
        raise _failure(task, f"`{Path(command[0]).name}` ended with {done.returncode} (see above)")


def _failure(task: Task, cause: str) -> ToolchainError:
    return ToolchainError(
        operation=task.operation, subject=task.subject, cause=cause, hint=task.hint
    )
