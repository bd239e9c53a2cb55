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
# So many fail the first time and pass when they are run again.
UNLUCKY = """from pathlib import Path
import pytest

@pytest.mark.parametrize("number", range({many}))
def test_unlucky(number):
    mark = Path(__file__).with_suffix(f".{{number}}")
    if not mark.exists():
        mark.touch()
        raise SystemError("busy")
"""
FEW, MANY = UNLUCKY.format(many=halves.MOST_AGAIN), UNLUCKY.format(many=halves.MOST_AGAIN + 1)


def run_halves(folder: Path, *, processes: str, docker: str) -> "subprocess.CompletedProcess[str]":
    """Run both halves of a tree of tests; what is neither's subject is good."""
    texts = {"tests/processes": processes, **dict.fromkeys(halves.OTHER_HALF, GOOD)}
    for name, text in (texts | {"tests/docker": docker}).items():
        place = folder / name
        place.mkdir(parents=True)
        (place / "test_it.py").write_text(text)
    (folder / "pytest.ini").write_text("[pytest]\naddopts = -ra --import-mode=importlib\n")
    script = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
    script += "from tests import halves\nsys.exit(halves.main([]))"
    return subprocess.run(
        [sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("processes", "docker", "code"), [(GOOD, GOOD, 0), (BAD, GOOD, 1), (GOOD, BAD, 1)]
)
def test_either_half_fails_the_whole(
    processes: str, docker: str, code: int, tmp_path: Path
) -> None:
    done = run_halves(tmp_path, processes=processes, docker=docker)
    assert done.returncode == code, done.stdout
    # Both closing lines and each failure are said again after both; of what runs once more twice.
    end = done.stdout[done.stdout.index("Both halves:") :]
    assert ("FAILED tests/processes" in end) is (processes == BAD)
    assert ("FAILED tests/docker" in end) is (docker == BAD)
    assert len(re.findall(r"\d (?:passed|failed).* in \d", end)) == (4 if code else 2)
    assert f"{len(halves.OTHER_HALF)} passed" in done.stdout or docker == BAD
    assert "passed alone" not in end


def test_a_few_that_failed_and_pass_alone_are_named_and_do_not_fail_the_whole(
    tmp_path: Path,
) -> None:
    done = run_halves(tmp_path, processes=GOOD, docker=FEW)
    assert done.returncode == 0, done.stdout
    names = re.findall("failed beside the other half, passed alone: (.*)", done.stdout)
    assert len(names) == halves.MOST_AGAIN
    assert names[0] == "tests/docker/test_it.py::test_unlucky[0]"


def test_what_fails_twice_fails_the_whole_though_another_passes_alone(tmp_path: Path) -> None:
    done = run_halves(tmp_path, processes=BAD, docker=UNLUCKY.format(many=1))
    assert done.returncode == 1, done.stdout
    assert "passed alone: tests/docker" in done.stdout
    assert "passed alone: tests/processes" not in done.stdout


def test_of_many_that_fail_none_is_run_again(tmp_path: Path) -> None:
    done = run_halves(tmp_path, processes=GOOD, docker=MANY)
    assert done.returncode == 1, done.stdout
    assert "Once more" not in done.stdout


def test_a_run_without_failures_is_repeated_by_its_last_line() -> None:
    assert halves.repeated(["dots", "== 5 passed =="]) == ["== 5 passed =="]


def test_a_run_with_failures_is_repeated_from_its_summary() -> None:
    lines = ["x", "== short test summary info ==", "FAILED a", "== 1 failed =="]
    assert halves.repeated(lines) == lines[1:]
