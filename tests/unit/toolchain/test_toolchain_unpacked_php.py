"""PHP of a newer release, unpacked: its own loader, libraries and paths, none of this machine's."""

import os
from pathlib import Path

from toolchain import unpacked_php

FILES = (
    "usr/bin/php8.4",
    "usr/lib64/ld-linux-x86-64.so.2",
    "usr/lib/x86_64-linux-gnu/libc.so.6",
    *(f"usr/lib/php/20240924/{name}.so" for name in ("redis", "xml", "dom", "igbinary", "opcache")),
)


def test_the_command_names_only_what_was_unpacked(tmp_path: Path) -> None:
    making, final = tmp_path / "making", tmp_path / "final"
    for name in FILES:
        path = making / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    unpacked_php.write_command(making, final)
    command = making / unpacked_php.COMMAND
    root = final / "root"
    words = command.read_text().split()
    assert [word for word in words if word.startswith(str(tmp_path))] == [
        *(f"{root / name}" for name in (FILES[1], "usr/lib/x86_64-linux-gnu", FILES[0])),
        f"{final / 'php.ini'}",
    ]
    assert os.access(command, os.X_OK)
    settings = (making / "php.ini").read_text().splitlines()
    loaded = [line.partition("=")[2] for line in settings if line.startswith("extension=")]
    assert loaded == ["dom", "igbinary", "xml", "redis"]
    assert settings[-1] == "zend_extension=opcache"


def test_autoloaders_find_their_files_where_they_were_unpacked(tmp_path: Path) -> None:
    loader = tmp_path / "autoload.php"
    loader.write_text("require '/usr/share/php/A/autoload.php'; // see /usr/share/php/README")
    unpacked_php.relocate(tmp_path, Path("/kept/root"))
    assert loader.read_text() == (
        "require '/kept/root/usr/share/php/A/autoload.php'; // see /usr/share/php/README"
    )
