"""Go, for what is built from pinned modules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolchain import apt, versions
from toolchain.errors import Refused
from toolchain.host import Host, output_of

if TYPE_CHECKING:
    from toolchain.layout import Layout
    from toolchain.versions import Version

OLDEST: Version = (1, 21, 0)  # the first that fetches the Go that a go.mod asks for
ENVIRONMENT = {"GOTOOLCHAIN": "auto"}  # Debian's own default forbids just that
PACKAGE = "golang-go"


def decide(installed: Version | None, *, packaged: Version | None, subject: str) -> str | None:
    """Say which package to install; None when Go is there.

    Errors: Refused where neither the machine nor its packages have a Go that is new enough.
    """
    if installed and installed >= OLDEST:
        return None
    if packaged and packaged >= OLDEST:
        return PACKAGE
    raise Refused(
        operation="build",
        subject=subject,
        cause="it is not to be had ready-made here, and there is no Go from 1.21 on to build it",
        hint="install Go (https://go.dev/dl), or Pulumi itself, and run the command again",
    )


def ensure(layout: Layout, host: Host, *, subject: str) -> None:
    """Make `go` available for building `subject`.

    Errors: Refused as `decide` says; ToolchainError when its installation fails.
    """
    installed = versions.parse(output_of(["go", "version"]) or "")
    packaged = None if installed and installed >= OLDEST else _packaged(layout, host)
    package = decide(installed, packaged=packaged, subject=subject)
    if package:
        apt.install(layout, host, [package], why=f"{subject} is built from Go modules")


def _packaged(layout: Layout, host: Host) -> Version | None:
    return versions.parse(apt.candidate(layout, host, PACKAGE) or "")
