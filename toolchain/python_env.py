"""The project's virtual environment: pinned dependencies and the project itself, editable."""

from __future__ import annotations

import hashlib
import shutil
import sys
from typing import TYPE_CHECKING

from toolchain import apt, console
from toolchain.files import exclusive, write_atomically
from toolchain.host import Host, Task, perform, succeeds

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from toolchain.layout import Layout

STEP = "python"
SOURCES = ("requirements.txt", "constraints.txt", "pyproject.toml")


def ensure(layout: Layout, host: Host) -> None:
    """Make .venv what the pinned files say, quietly when it is; a stamp makes that free.

    Errors: Refused without a usable venv module and apt; ToolchainError when pip fails.
    """
    contents = [(layout.checkout / name).read_bytes() for name in SOURCES]
    wanted = fingerprint(contents, checkout=layout.checkout)
    stamp = layout.venv / "redis-ha.stamp"
    with exclusive(layout.state / "python.lock"):
        if _says(stamp, wanted) and succeeds([str(layout.python), "-c", ""]):
            return
        _make_venv(layout, host)
        _install(layout)
        write_atomically(stamp, wanted)


def _says(stamp: Path, wanted: str) -> bool:
    return stamp.is_file() and stamp.read_text() == wanted


def fingerprint(contents: Sequence[bytes], *, checkout: Path) -> str:
    """Hash all that the environment depends on; a moved checkout breaks its scripts too."""
    digest = hashlib.sha256(f"{checkout}\0".encode())
    for content in contents:
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()


def _make_venv(layout: Layout, host: Host) -> None:
    if succeeds([str(layout.python), "-m", "pip", "--version"]):
        return
    if not succeeds([sys.executable, "-c", "import ensurepip, venv"]):
        apt.install(layout, host, ["python3-venv"], why="python3 here cannot make environments")
    console.doing(STEP, f"making {layout.venv}", why="the project has no environment here yet")
    shutil.rmtree(layout.venv, ignore_errors=True)
    task = Task(operation="make", subject=str(layout.venv), hint="see what python3 -m venv says")
    perform(task, [sys.executable, "-m", "venv", str(layout.venv)])


def _install(layout: Layout) -> None:
    console.doing(STEP, "installing the pinned packages", why="they changed or are new here")
    task = Task(
        operation="install",
        subject="the Python packages of requirements.txt",
        hint="check that pip reaches its package index from here, then run the command again",
    )
    pip = [str(layout.python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    pinned = ["-r", "requirements.txt", "-c", "constraints.txt", "setuptools"]
    perform(task, [*pip, *pinned], folder=layout.checkout)
    itself = ["--no-deps", "--no-build-isolation", "--editable", "."]
    perform(task, [*pip, *itself], folder=layout.checkout)
