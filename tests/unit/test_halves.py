"""Two runs of pytest at once are told of as one."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests import halves

ROOT = Path(__file__).parents[2]
GOOD = "def test_good():\n    pass\n"
BAD = "def test_bad():\n    raise SystemError('why')\n"


@pytest.mark.parametrize(
    ("processes", "docker", "code"), [(GOOD, GOOD, 0), (BAD, GOOD, 1), (GOOD, BAD, 1)]
)
def test_either_half_fails_the_whole(
    processes: str, docker: str, code: int, tmp_path: Path
) -> None:
    texts = {"tests/processes": processes, **dict.fromkeys(halves.OTHER_HALF, GOOD)}
    for folder, text in (texts | {"tests/docker": docker}).items():
        place = tmp_path / folder
        place.mkdir(parents=True)
        (place / "test_it.py").write_text(text)
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = -ra --import-mode=importlib\n")
    script = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
    script += "from tests import halves\nsys.exit(halves.main([]))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stdout
    # Both closing lines and each failure are said again at the end.
    end = done.stdout[done.stdout.index("Both halves:") :]
    assert ("FAILED tests/processes" in end) is (processes == BAD)
    assert ("FAILED tests/docker" in end) is (docker == BAD)
    assert len(re.findall(r"\d (?:passed|failed).* in \d", end)) == 2
    assert f"{len(halves.OTHER_HALF)} passed" in done.stdout or docker == BAD


def test_a_run_without_failures_is_repeated_by_its_last_line() -> None:
    assert halves.repeated(["dots", "== 5 passed =="]) == ["== 5 passed =="]


def test_a_run_with_failures_is_repeated_from_its_summary() -> None:
    lines = ["x", "== short test summary info ==", "FAILED a", "== 1 failed =="]
    assert halves.repeated(lines) == lines[1:]
