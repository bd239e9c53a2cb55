"""The bundle that a machine without any package mirror is installed from: Debian's packages for
one engine and architecture with all that they depend on, and the code that runs on nodes.

A tar file named after its content, so that whoever is told the name can trust what it reads:

    debs/*.deb, debs/Packages   an apt repository
    install.txt                 what to install out of it
    code/                       age, backup_worker, node, redis_ha
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tarfile
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from toolchain import base_image, console
from toolchain.errors import Refused, ToolchainError
from toolchain.files import exclusive
from toolchain.host import Task, perform

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from toolchain.layout import Layout

STEP = "node packages"
PACKAGE_LIST = Path("node/debian-packages.txt")
CODE = ("age", "backup_worker", "node", "redis_ha")
ARCHITECTURES = ("amd64", "arm64")
DEFAULT_MIRROR = "http://deb.debian.org/debian"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
_INSTALLED = re.compile(r"^Inst (\S+) \((\S+) .*\[(\w+)\]\)", re.MULTILINE)


def make(layout: Layout, *, engine: str, architecture: str, added: Sequence[Path]) -> Path:
    """Make the bundle below `.redis-ha/packages` and return it; `added` packages go with it.

    Errors: Refused for an engine or architecture that isn't known; ToolchainError.
    """
    if architecture not in ARCHITECTURES:
        raise Refused(
            operation="choose",
            subject="the nodes' packages",
            cause=f"there is no architecture {architecture!r}",
            hint=f"set ARCH to one of {', '.join(ARCHITECTURES)}",
        )
    suite = base_image.suite_of(engine)
    wanted = wanted_packages((layout.checkout / PACKAGE_LIST).read_text(), engine)
    root = layout.cache / "apt" / f"{suite}-{architecture}"
    console.doing(STEP, f"Debian {suite}, {architecture}", why="nodes reach no package mirror")
    with exclusive(layout.cache / "apt" / f"{suite}-{architecture}.lock"):
        debs = [*_downloaded(root, suite, architecture, wanted), *added]
        folder = layout.state / "packages" / f"{engine}-{architecture}"
        bundle = _bundle(layout.checkout, folder, debs, [*wanted, *map(_name_of, added)])
    if not added:
        console.note(
            STEP, "without ADD=amazon-ssm-agent.deb nobody gets onto a node, and a rolling"
        )
        console.note(
            STEP, "change waits in vain: the agent runs its check. Debian doesn't have it."
        )
    console.satisfied(STEP, f"{bundle.relative_to(layout.checkout)}, {len(debs)} packages")
    return bundle


def wanted_packages(text: str, engine: str) -> list[str]:
    """Read the list of the nodes' packages for an engine."""
    return text.replace("@ENGINE@", engine.rpartition("-")[0]).split()


def files_to_install(simulated: str) -> list[str]:
    """Name the files of the packages that `apt-get --simulate install` would install."""
    return [
        f"{name}_{version.replace(':', '%3a')}_{architecture}.deb"
        for name, version, architecture in _INSTALLED.findall(simulated)
    ]


def _downloaded(root: Path, suite: str, architecture: str, wanted: Sequence[str]) -> list[Path]:
    """Download packages and what they depend on, for a machine that has nothing yet."""
    apt = _private_apt(root, suite, architecture)
    task = Task(
        operation="download",
        subject=f"packages of Debian {suite}",
        hint="check this machine's network and its Debian mirror, then run the command again",
    )
    perform(task, [*apt, "update"])
    install = ["install", "--yes", "--no-install-recommends", *wanted]
    perform(task, [*apt, "--download-only", *install])
    simulated = subprocess.run(
        [*apt, "--simulate", *install], capture_output=True, text=True, check=True
    )
    archives = root / "var/cache/apt/archives"
    return [archives / name for name in files_to_install(simulated.stdout)]


def _private_apt(root: Path, suite: str, architecture: str) -> list[str]:
    """Give an apt that knows nothing of this machine's packages and sources."""
    for folder in ("etc/apt/preferences.d", "var/lib/apt/lists/partial", "var/lib/dpkg"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "var/cache/apt/archives/partial").mkdir(parents=True, exist_ok=True)
    (root / "var/lib/dpkg/status").write_text("")
    mirrors = base_image.mirrors_in(base_image.apt_sources())
    sources = "\n".join(_sources(suite, mirrors)) + "\n"
    (root / "etc/apt/sources.list").write_text(sources)
    return [
        *("apt-get", "-q", "-o", f"Dir={root}", "-o", "APT::Sandbox::User=root"),
        *("-o", f"APT::Architecture={architecture}", "-o", f"APT::Architectures={architecture}"),
    ]


def _sources(suite: str, mirrors: base_image.Mirrors) -> Iterator[str]:
    main = mirrors.main or DEFAULT_MIRROR
    yield f"deb [signed-by={KEYRING}] {main} {suite} main"
    yield f"deb [signed-by={KEYRING}] {main} {suite}-updates main"
    if mirrors.security:
        yield f"deb [signed-by={KEYRING}] {mirrors.security} {suite}-security main"


def _bundle(checkout: Path, folder: Path, debs: Sequence[Path], wanted: Iterable[str]) -> Path:
    """Pack the bundle and leave it alone in its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        content = Path(scratch) / "content"
        (content / "debs").mkdir(parents=True)
        for deb in debs:
            shutil.copyfile(deb, content / "debs" / deb.name)
        (content / "debs/Packages").write_text("\n".join(map(_index_entry, sorted(debs))))
        (content / "install.txt").write_text("\n".join(wanted) + "\n")
        left_out = shutil.ignore_patterns("__pycache__", "*.pyc")
        for package in CODE:
            shutil.copytree(checkout / package, content / "code" / package, ignore=left_out)
        packed = Path(scratch) / "bundle.tar"
        _pack(content, packed)
        final = folder / f"node-{_digest(packed)}.tar"
        for old in folder.glob("node-*.tar"):
            old.unlink()
        return packed.rename(final)


def _pack(content: Path, packed: Path) -> None:
    """Write a tar file whose bytes depend on names, modes and contents only."""
    with tarfile.open(packed, "w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(content.rglob("*")):
            member = tar.gettarinfo(path, arcname=path.relative_to(content).as_posix())
            member.uid = member.gid = member.mtime = 0
            member.uname = member.gname = ""
            executable = path.is_dir() or path.stat().st_mode & 0o100
            member.mode = 0o755 if executable else 0o644
            if path.is_file():
                with path.open("rb") as file:
                    tar.addfile(member, file)
            else:
                tar.addfile(member)


def _index_entry(deb: Path) -> str:
    """Describe a package as apt's index does: its control fields, where it is, what it is."""
    fields = _field_of(deb)
    return f"{fields}\nFilename: ./{deb.name}\nSize: {deb.stat().st_size}\nSHA256: {_digest(deb)}\n"


def _name_of(deb: Path) -> str:
    return _field_of(deb, "Package")


def _field_of(deb: Path, *names: str) -> str:
    try:
        shown = subprocess.run(
            ["dpkg-deb", "--field", str(deb), *names], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise ToolchainError(
            operation="read",
            subject=str(deb),
            cause=str(getattr(error, "stderr", "") or error).strip(),
            hint="name files that are Debian packages",
        ) from error
    return shown.stdout.strip()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        found = sha256()
        while part := file.read(1 << 20):
            found.update(part)
    return found.hexdigest()
