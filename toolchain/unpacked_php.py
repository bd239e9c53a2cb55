"""PHP and Laravel of a newer Debian release than this machine's, unpacked and not installed.

Its own loader runs it with its own libraries, so that it needs neither root nor a container, and
reaches the same loopback and files as any other process of a test.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from toolchain import console, node_packages
from toolchain.errors import Refused
from toolchain.files import exclusive, folder_in_the_making
from toolchain.host import Host, Task, perform

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from toolchain.layout import Layout

STEP = "newer PHP"
SUITE = "trixie"
PACKAGES = ("php-cli", "php-redis", "php-laravel-framework", "phpunit")
COMMAND = f"php-{SUITE}"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
# Loaded first, in this order: others need them.
FIRST = ("dom", "igbinary", "xml")


def folder(layout: Layout) -> Path:
    """Say where it is kept; the command in it is COMMAND."""
    return layout.cache / COMMAND


def ensure(layout: Layout, host: Host) -> None:
    """Download and unpack it unless it is here.

    Errors: Refused on a machine of another kind; ToolchainError when mirror or archive fails.
    """
    with exclusive(layout.cache / f"{COMMAND}.lock"):
        if not (folder(layout) / COMMAND).is_file():
            why = "the Laravel package is tested on both generations"
            console.doing(STEP, f"download Debian {SUITE}'s {', '.join(PACKAGES)}", why=why)
            _make(layout, host)
    console.satisfied(STEP, f"{folder(layout) / COMMAND}")


def _make(layout: Layout, host: Host) -> None:
    architecture = _architecture(host)
    apt = layout.cache / "apt" / f"{SUITE}-{architecture}"
    with exclusive(apt.with_suffix(".lock")):
        debs = node_packages.downloaded(apt, SUITE, architecture, PACKAGES)
        with folder_in_the_making(folder(layout)) as making:
            for deb in debs:
                unpack(deb, making / "root")
            relocate(making / "root/usr/share/php", folder(layout) / "root")
            write_command(making, folder(layout))


def _architecture(host: Host) -> str:
    if host.machine not in ARCHITECTURES:
        raise Refused(
            operation="find",
            subject=f"Debian {SUITE}'s PHP for {host.machine}",
            cause=f"only {', '.join(ARCHITECTURES)} are known here",
            hint="run the tests on a machine of one of these kinds",
        )
    return ARCHITECTURES[host.machine]


def unpack(deb: Path, root: Path) -> None:
    """Unpack a package without running its scripts; raises ToolchainError."""
    root.mkdir(exist_ok=True)
    hint = f"delete {deb} and run the command again"
    task = Task(operation="unpack", subject=deb.name, hint=hint)
    perform(task, ["dpkg-deb", "--extract", str(deb), str(root)])


def relocate(sources: Path, root: Path) -> None:
    """Have Debian's autoloaders, which name some files by full path, find them below `root`."""
    for file in sources.rglob("*.php"):
        text = file.read_bytes()
        moved = re.sub(rb"(['\"])(/usr/share/php/)", rb"\1" + bytes(root) + rb"\2", text)
        if moved != text:
            file.write_bytes(moved)


def write_command(making: Path, final: Path) -> None:
    """Write php.ini and the command that starts PHP once the folder is at its `final` place."""
    root = making / "root"
    extensions = next(root.glob("usr/lib/php/2*"))
    names = [file.stem for file in extensions.glob("*.so")]
    settings = [
        f"extension_dir={_placed(extensions, making, final)}",
        f"include_path=.:{_placed(root, making, final)}/usr/share/php",
        *(f"extension={name}" for name in in_order(names)),
        "zend_extension=opcache",
    ]
    (making / "php.ini").write_text("\n".join(settings) + "\n")
    loader = next(root.glob("usr/lib*/ld-linux-*.so.*"), None) or next(
        root.glob("usr/lib/*/ld-linux-*.so.*")
    )
    libraries = next(root.glob("usr/lib/*-linux-gnu"))
    binary = next(root.glob("usr/bin/php8.?"))
    parts = [_placed(path, making, final) for path in (loader, libraries, binary)]
    (making / COMMAND).write_text(_COMMAND.format(*parts, ini=final / "php.ini"))
    (making / COMMAND).chmod(0o755)


def in_order(extensions: Iterable[str]) -> list[str]:
    """Order extensions so that each comes after those that it needs; opcache is none of them."""
    others = sorted(set(extensions) - {*FIRST, "opcache"})
    return [*FIRST, *others]


def _placed(path: Path, making: Path, final: Path) -> Path:
    return final / path.relative_to(making)


_COMMAND = """\
#!/bin/sh
PHP_INI_SCAN_DIR= exec {0} --library-path {1} {2} -c {ini} "$@"
"""
