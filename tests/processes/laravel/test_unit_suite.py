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


@pytest.mark.parametrize("php", GENERATIONS)
def test_an_applications_own_class_of_the_services_name_stays_its_own(php: str) -> None:
    # In a process of its own, as a class can't be taken back.
    code = """
        require 'tests/autoload.php';
        class Own {}
        class_alias('Own', 'App\\Services\\RedisHAService');
        $app = new Illuminate\\Foundation\\Application('.');
        $app->instance('config', new Illuminate\\Config\\Repository());
        (new RedisHa\\Laravel\\RedisHaServiceProvider($app))->register();
        echo $app->make('App\\Services\\RedisHAService')::class;
    """
    assert run(php, "-r", code) == "Own"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Give a copy of the package, which nobody has run composer in."""
    return shutil.copytree(PACKAGE, tmp_path / "laravel", ignore=shutil.ignore_patterns("vendor"))


def test_phpunit_takes_the_laravel_that_composer_installed(copy: Path) -> None:
    (copy / "vendor").mkdir()
    # Composer's own can't be had without a network: this says that it was asked.
    (copy / "vendor" / "autoload.php").write_text(
        "<?php fwrite(STDERR, 'composer asked'); require_once 'Illuminate/autoload.php';"
    )
    done = bootstrapped(copy)
    assert (done.returncode, done.stderr) == (0, "composer asked"), done.stdout


def test_without_any_laravel_the_suite_says_how_to_get_it(copy: Path) -> None:
    done = bootstrapped(copy, "-d", "include_path=.")
    assert done.returncode == 1
    assert done.stderr.startswith("Laravel is not here: run `composer install` in ")
    assert str(copy) in done.stderr


def bootstrapped(copy: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Load what PHPUnit loads first, and a class of Laravel's."""
    code = "require 'tests/autoload.php'; new Illuminate\\Config\\Repository([]);"
    return subprocess.run(
        [GENERATIONS[0], *options, "-r", code],
        cwd=copy,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_source_is_psr_12() -> None:
    run(GENERATIONS[0], "/usr/bin/phpcs", f"--standard={PACKAGE / 'phpcs.xml'}")
