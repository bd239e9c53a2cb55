"""Debian packages, installed without starting a service."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from toolchain import console
from toolchain.errors import Refused
from toolchain.files import exclusive
from toolchain.host import Host, Task, as_root, output_of, perform

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toolchain.layout import Layout

SCRIPT = Path(__file__).with_name("apt_without_services.sh")


def install(layout: Layout, host: Host, packages: Sequence[str], *, why: str) -> None:
    """Install packages from the sources that this host is configured with.

    Errors: Refused without apt or without root; ToolchainError when apt fails.
    """
    names = ", ".join(packages)
    command = install_command(host, packages)
    console.doing("packages", f"apt-get install {names}", why=why)
    task = Task(
        operation="install",
        subject=names,
        hint="check this machine's network and its apt sources, then run the same command again",
    )
    with exclusive(layout.cache / "apt.lock"):
        perform(task, command)


def install_command(host: Host, packages: Sequence[str]) -> list[str]:
    """Say how packages are installed here.

    Errors: Refused where apt or root is missing.
    """
    names = ", ".join(packages)
    if not host.apt:
        raise Refused(
            operation="install",
            subject=names,
            cause="this is not a Debian-like machine (no apt-get)",
            hint="install it with this machine's own package manager and run the command again",
        )
    command = ["sh", str(SCRIPT), *packages]
    return as_root(host, command, operation="install", subject=names)


def candidate(layout: Layout, host: Host, package: str) -> str | None:
    """Say which version of a package apt would install; None where it knows none.

    A new machine's package lists are empty: they are fetched before the answer is no.
    """
    if not host.apt:
        return None
    version = _candidate(package)
    if version is None and (host.root or host.sudo):
        task = Task(operation="fetch", subject="package lists", hint="check the apt sources")
        with exclusive(layout.cache / "apt.lock"):
            command = as_root(host, ["apt-get", "-qq", "update"], operation="fetch", subject="")
            perform(task, command)
        version = _candidate(package)
    return version


def _candidate(package: str) -> str | None:
    policy = output_of(["apt-cache", "policy", package]) or ""
    lines = (line.strip() for line in policy.splitlines())
    found = next((line.split()[1] for line in lines if line.startswith("Candidate:")), "(none)")
    return None if found == "(none)" else found
