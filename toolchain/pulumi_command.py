"""The Pulumi CLI with a Python language host beside it: found, downloaded or built."""

from __future__ import annotations

import enum
import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from toolchain import console, download_site, golang, versions
from toolchain.files import exclusive, folder_in_the_making
from toolchain.host import Host, Task, output_of, perform

if TYPE_CHECKING:
    from collections.abc import Callable

    from toolchain.layout import Layout
    from toolchain.versions import Version

STEP = "pulumi"
OLDEST: Version = (3, 259, 0)
BELOW: Version = (4, 0, 0)
MODULES = Path(__file__).with_name("pulumi_cli")
PACKAGE = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
STAMP = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version"
HOST = "pulumi-language-python"


@dataclass(frozen=True)
class Found:
    """A pulumi on PATH: the folder of the real file, its version, and its language host."""

    folder: Path
    version: Version | None
    has_host: bool


@dataclass(frozen=True)
class Cli:
    """The CLI that this project uses: the folder of `pulumi` and of its language host."""

    folder: Path
    official: bool


class Source(enum.Enum):
    """Where the CLI comes from."""

    ON_PATH = "PATH"
    OFFICIAL = "cached download"
    BUILT = "cached build"
    DOWNLOAD = "Pulumi's download site"
    BUILD = "its Go modules"


@dataclass(frozen=True)
class Cached:
    """What earlier runs left in the cache."""

    official: bool
    built: bool


def decide(found: Found | None, cached: Cached, can_download: Callable[[], bool]) -> Source:
    """Choose the cheapest source that works; the site is asked only when nothing is there."""
    if found and fits(found.version) and found.has_host:
        return Source.ON_PATH
    if cached.official:
        return Source.OFFICIAL
    if cached.built:
        return Source.BUILT
    return Source.DOWNLOAD if can_download() else Source.BUILD


def fits(version: Version | None) -> bool:
    """Say whether the program runs on this version of the CLI."""
    return version is not None and OLDEST <= version < BELOW


def ensure(layout: Layout, host: Host) -> Cli:
    """Make a CLI with a Python language host available.

    Errors: Refused without download site and Go; ToolchainError when download or build fails.
    """
    version = versions.pinned(layout.requirements.read_text(), "pulumi")
    base = layout.cache / f"pulumi-{version}"
    archive = download_site.archive_name(version, system=host.system, machine=host.machine)
    with exclusive(layout.cache / "pulumi.lock"):
        found = look(layout)
        source = decide(found, _cached(base), lambda: bool(archive) and download_site.reachable())
        if source is Source.DOWNLOAD and archive:
            _download(version, archive, base / "official")
        if source is Source.BUILD:
            _build(layout, host, version, base / "built")
        if source is Source.ON_PATH and found:
            cli = Cli(found.folder, official=True)
        elif source in {Source.OFFICIAL, Source.DOWNLOAD}:
            cli = Cli(base / "official", official=True)
        else:
            cli = Cli(_with_own_host(base), official=False)
    own = "" if cli.official else "; Python language host: our stand-in"
    console.satisfied(STEP, f"{cli.folder / 'pulumi'} (from {source.value}{own})")
    return cli


def look(layout: Layout) -> Found | None:
    """Find a pulumi on PATH that is not our own from the cache."""
    path = shutil.which("pulumi")
    if path is None:
        return None
    folder = Path(path).resolve().parent
    if folder.is_relative_to(layout.cache.resolve()):
        return None
    version = versions.parse(output_of([path, "version"]) or "")
    return Found(folder, version, (folder / HOST).is_file())


def _cached(base: Path) -> Cached:
    return Cached(
        official=(base / "official" / HOST).is_file(), built=(base / "built" / "pulumi").is_file()
    )


def _download(version: str, archive: str, final: Path) -> None:
    console.doing(STEP, f"downloading {archive}", why="no pulumi from 3.259 on is on PATH")
    with folder_in_the_making(final) as making:
        file = making.with_name(archive)
        if not download_site.fetch_archive(version, archive, file):
            console.note(STEP, "the release publishes no digest to compare it with")
        task = Task(operation="unpack", subject=archive, hint="run the command again")
        unpack = ["tar", "-xzf", str(file), "-C", str(making), "--strip-components=1"]
        perform(task, unpack)


def _build(layout: Layout, host: Host, version: str, final: Path) -> None:
    console.doing(
        STEP,
        f"building pulumi {version} from its Go modules: 3 to 15 minutes, once",
        why="no pulumi from 3.259 on is on PATH and Pulumi's download site is not reachable",
    )
    golang.ensure(layout, host, subject="the Pulumi CLI")
    task = Task(
        operation="build",
        subject="the Pulumi CLI",
        hint="check that Go reaches its module proxy from here, then run the command again",
    )
    with folder_in_the_making(final) as making:
        flags = ["-mod=readonly", "-trimpath", "-ldflags", f"-s -w -X {STAMP}={version}"]
        command = ["go", "build", *flags, "-o", str(making / "pulumi"), PACKAGE]
        perform(task, command, environment=golang.ENVIRONMENT, folder=MODULES)


def _with_own_host(base: Path) -> Path:
    """Put our language host beside the built binary, in a folder named after the host's code.

    The engine looks beside the file that it runs from, links followed; hence a hard link.
    """
    here = Path(__file__).parent
    code, shim = here / "language_host.py", here / "language_host.sh"
    key = hashlib.sha256(code.read_bytes() + shim.read_bytes()).hexdigest()[:12]
    final = base / f"with-host-{key}"
    if not (final / HOST).is_file():
        with folder_in_the_making(final) as making:
            _link(base / "built" / "pulumi", making / "pulumi")
            shutil.copy(code, making)
            shutil.copy(shim, making / HOST)
            (making / HOST).chmod(0o755)
    return final


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links
        shutil.copy2(source, target)
