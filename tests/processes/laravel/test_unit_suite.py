"""The package's own PHPUnit suite and its style, with the tools of both Debian releases."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.processes.laravel.application import GENERATIONS, PACKAGE


def run(php: str, *arguments: str) -> str:
    """Run PHP in the package's folder; return what it printed once it has succeeded."""
    done = subprocess.run(
        [php, *arguments], cwd=PACKAGE, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def phpunit(php: str) -> str:
    """Return the PHPUnit of this PHP's release: the unpacked one holds its own."""
    command = shutil.which(php)
    assert command, f"{php} is not here: `make test` brings it"
    unpacked = Path(command).parent / "root/usr/bin/phpunit"
    return str(unpacked) if unpacked.is_file() else "/usr/bin/phpunit"


@pytest.mark.parametrize("php", GENERATIONS)
def test_phpunit_passes(php: str) -> None:
    assert "OK (" in run(php, phpunit(php), "--configuration", str(PACKAGE / "phpunit.xml"))


def test_the_source_is_psr_12() -> None:
    run(GENERATIONS[0], "/usr/bin/phpcs", f"--standard={PACKAGE / 'phpcs.xml'}")
