"""The toolchain's front door, used wrongly."""

import subprocess
import sys

import pytest

from tests.documents import ROOT


@pytest.mark.parametrize(
    ("words", "needs"),
    [
        (["packages"], "packages needs ENGINE ARCHITECTURE"),
        (["packages", "redis-8"], "packages needs ENGINE ARCHITECTURE"),
        (["run"], "run needs COMMAND"),
        ([], "COMMAND"),
        (["explode"], "explode"),
    ],
)
def test_what_lacks_is_said_and_nothing_is_made(words: list[str], needs: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "toolchain", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert needs in done.stderr
    assert "Traceback" not in done.stderr
