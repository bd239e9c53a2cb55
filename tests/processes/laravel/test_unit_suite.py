"""The package's own PHPUnit suite, its syntax and its style, with Debian's tools."""

import subprocess

from tests.processes.laravel.application import PACKAGE, php


def test_phpunit_passes() -> None:
    phpunit = ["/usr/bin/phpunit", "--configuration", str(PACKAGE / "phpunit.xml")]
    done = subprocess.run(
        [*php(), *phpunit], cwd=PACKAGE, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "OK (" in done.stdout


def test_the_source_is_psr_12() -> None:
    done = subprocess.run(
        [*php(), "/usr/bin/phpcs", f"--standard={PACKAGE / 'phpcs.xml'}"],
        cwd=PACKAGE,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
