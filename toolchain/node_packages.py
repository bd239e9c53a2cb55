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
# What the image holds as well, and what only a machine runs.
PACKAGE_LISTS = (Path("node/debian-packages.txt"), Path("node/vm/debian-packages.txt"))
CODE = ("age", "backup_worker", "node", "redis_ha")
ARCHITECTURES = ("amd64", "arm64")
DEFAULT_MIRROR = "http://deb.debian.org/debian"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
# Systems Manager's agent, which opens a shell and runs the check that a rolling change waits for.
AGENT = "amazon-ssm-agent"
_INSTALLED = re.compile(r"^Inst (\S+) \((\S+) .*\[(\w+)\]\)", re.MULTILINE)


def make(
    layout: Layout,
    *,
    engine: str,
    architecture: str,
    added: Sequence[Path],
    without_agent: bool = False,
) -> Path:
    """Make the bundle below `.redis-ha/packages` and return it; `added` packages go with it.

    Errors: Refused for an engine or architecture that isn't known, for a package of another
    architecture, and unless the agent is among those added or is done without; ToolchainError.
    """
    if architecture not in ARCHITECTURES:
        raise Refused(
            operation="choose",
            subject="the nodes' packages",
            cause=f"there is no architecture {architecture!r}",
            hint=f"set ARCH to one of {', '.join(ARCHITECTURES)}",
        )
    suite = base_image.suite_of(engine)
    _check_added(added, architecture, without_agent=without_agent)
    listed = "".join((layout.checkout / path).read_text() for path in PACKAGE_LISTS)
    wanted = wanted_packages(listed, engine)
    root = layout.cache / "apt" / f"{suite}-{architecture}"
    console.doing(STEP, f"Debian {suite}, {architecture}", why="nodes reach no package mirror")
    with exclusive(layout.cache / "apt" / f"{suite}-{architecture}.lock"):
        debs = [*downloaded(root, suite, architecture, wanted), *added]
        folder = layout.state / "packages" / f"{engine}-{architecture}"
        bundle = _bundle(layout.checkout, folder, debs, [*wanted, *map(_name_of, added)])
    if without_agent:
        console.note(STEP, "without the SSM agent nobody gets a shell on a node, and `pulumi up`")
        console.note(STEP, "waits in vain at the first: the agent runs its check there.")
    console.satisfied(STEP, f"{bundle.relative_to(layout.checkout)}, {len(debs)} packages")
    return bundle


def wanted_packages(text: str, engine: str) -> list[str]:
    """Read lists of the nodes' packages for an engine."""
    return text.replace("@ENGINE@", engine.rpartition("-")[0]).split()


def files_to_install(simulated: str) -> list[str]:
    """Name the files of the packages that `apt-get --simulate install` would install."""
    return [
        f"{name}_{version.replace(':', '%3a')}_{architecture}.deb"
        for name, version, architecture in _INSTALLED.findall(simulated)
    ]


def _check_added(added: Sequence[Path], architecture: str, *, without_agent: bool) -> None:
    for deb in added:
        made_for = _field_of(deb, "Architecture")
        if made_for not in (architecture, "all"):
            raise Refused(
                operation="add",
                subject=str(deb),
                cause=f"it is for {made_for}, the nodes are {architecture}",
                hint=f"name the package for {architecture}, or set ARCH={made_for}",
            )
    if not without_agent and AGENT not in map(_name_of, added):
        raise Refused(
            operation="make",
            subject="the nodes' packages",
            cause="the SSM agent is not among them. Debian doesn't have it; without it there is no "
            "shell on a node, and `pulumi up` waits in vain at the first: the agent runs the check",
            hint="take the package from AWS's manual for Systems Manager ('Manually install SSM "
            f"Agent on Debian Server', for {architecture}) and name it: ADD={AGENT}.deb; for "
            "nodes that do without, WITHOUT_AGENT=yes",
        )


def downloaded(root: Path, suite: str, architecture: str, wanted: Sequence[str]) -> list[Path]:
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
    """Read the control file of a package, or one field of it. Errors: ToolchainError."""
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
