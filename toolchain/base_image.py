"""The base image of our own image: pulled from a registry, else made with debootstrap."""

from __future__ import annotations

import enum
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from toolchain import apt, console
from toolchain.errors import Refused
from toolchain.files import exclusive
from toolchain.host import Host, Task, as_root, perform, succeeds

if TYPE_CHECKING:
    from collections.abc import Iterable

    from toolchain.layout import Layout

STEP = "base image"
PULL_SECONDS = 120.0
SCRIPT = Path(__file__).with_name("make_base.sh")
SUITES = {"redis-8": "trixie", "valkey-8": "trixie", "redis-7": "bookworm"}
LABEL = 'LABEL org.opencontainers.image.title="self-made with debootstrap"'


class Source(enum.Enum):
    """Where the base image comes from."""

    PRESENT = "present"
    CACHED = "the cached file system"
    REGISTRY = "a registry"
    DEBOOTSTRAP = "debootstrap"


@dataclass(frozen=True)
class Mirrors:
    """Where packages of Debian come from; None: debootstrap's own default, no security suite."""

    main: str | None
    security: str | None


def suite_of(engine: str) -> str:
    """Name the Debian release that holds an engine.

    Errors: Refused for an engine that no release holds.
    """
    if engine not in SUITES:
        raise Refused(
            operation="choose",
            subject="the base image",
            cause=f"there is no engine {engine!r}",
            hint=f"set redis-ha:engine to one of {', '.join(SUITES)}",
        )
    return SUITES[engine]


def mirrors_in(sources: Iterable[str]) -> Mirrors:
    """Read Debian's mirrors out of apt's source files, one-line and deb822 alike."""
    urls = [url.rstrip("/") for text in sources for url in re.findall(_URL, text, re.MULTILINE)]
    main = next((url for url in urls if url.endswith("/debian")), None)
    security = next((url for url in urls if url.endswith("/debian-security")), None)
    return Mirrors(main, security)


_URL = r"^(?:deb\s+(?:\[[^]]*\]\s+)?|URIs:\s*)(https?://\S+)"


def ensure(layout: Layout, host: Host, suite: str) -> None:
    """Make `debian:<suite>-slim` exist in the local engine.

    Errors: Refused without registry, root and debootstrap; ToolchainError when making it fails.
    """
    tag = f"debian:{suite}-slim"
    archive = layout.cache / "base" / f"{suite}-{host.machine}.tar"
    with exclusive(layout.cache / f"base-{suite}.lock"):
        source = _obtain(tag, archive)
        if source is Source.DEBOOTSTRAP:
            _make(layout, host, suite, archive)
        if source in {Source.DEBOOTSTRAP, Source.CACHED}:
            _load(archive, tag)
    what = {Source.PRESENT: "is here"}.get(source, f"made from {source.value}")
    console.satisfied(STEP, f"{tag} {what}")


def _obtain(tag: str, archive: Path) -> Source:
    if succeeds(["docker", "image", "inspect", tag]):
        return Source.PRESENT
    if archive.is_file():
        return Source.CACHED
    console.doing(STEP, f"docker pull {tag}", why="the image of all nodes is built on it")
    pulled = succeeds(["docker", "pull", "--quiet", tag], timeout=PULL_SECONDS)
    return Source.REGISTRY if pulled else Source.DEBOOTSTRAP


def _make(layout: Layout, host: Host, suite: str, archive: Path) -> None:
    if shutil.which("debootstrap", path=f"{os.environ['PATH']}:/usr/sbin") is None:
        apt.install(layout, host, ["debootstrap"], why=f"no registry gives debian:{suite}-slim")
    console.doing(STEP, f"debootstrap {suite}: a minute, once", why="no registry is reachable")
    archive.parent.mkdir(parents=True, exist_ok=True)
    mirrors = mirrors_in(apt_sources())
    operands = [suite, str(archive), mirrors.main or "", mirrors.security or ""]
    command = ["sh", str(SCRIPT), *operands]
    task = Task(
        operation="make",
        subject=f"debian:{suite}-slim",
        hint="check that this machine's Debian mirror is reachable, then run the command again",
    )
    perform(task, as_root(host, command, operation="make", subject=task.subject))


def apt_sources() -> list[str]:
    """Read this machine's own apt sources."""
    folder = Path("/etc/apt")
    files = [folder / "sources.list", *sorted((folder / "sources.list.d").glob("*"))]
    return [file.read_text(errors="replace") for file in files if file.is_file()]


def _load(archive: Path, tag: str) -> None:
    console.doing(STEP, f"docker import {archive.name} as {tag}", why="the engine lacks it")
    task = Task(operation="import", subject=tag, hint=f"delete {archive} and run this again")
    changes = ["--change", 'CMD ["bash"]', "--change", LABEL]
    perform(task, ["docker", "import", *changes, str(archive), tag])
