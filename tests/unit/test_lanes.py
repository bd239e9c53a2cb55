"""Three runs of pytest at once are told of as one."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests import lanes

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
ALL = ("--collect-only", "-q", "-p", "no:cacheprovider")
FEW, MANY = UNLUCKY.format(many=lanes.MOST_AGAIN), UNLUCKY.format(many=lanes.MOST_AGAIN + 1)


def run_lanes(folder: Path, *, processes: str, docker: str) -> "subprocess.CompletedProcess[str]":
    """Run the lanes of a tree of tests; what is neither's subject is good."""
    named = {path for lane in lanes.LANES for path in lane.paths} - {"tests", "tests/docker"}
    texts = {"tests/processes/any": processes, **dict.fromkeys(named, GOOD)}
    for name, text in (texts | {"tests/docker/test_it.py": docker}).items():
        file = folder / name
        file = file if file.suffix else file / "test_it.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (folder / "pytest.ini").write_text("[pytest]\naddopts = -ra --import-mode=importlib\n")
    script = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
    script += "from tests import lanes\nsys.exit(lanes.main([]))"
    return subprocess.run(
        [sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("processes", "docker", "code"), [(GOOD, GOOD, 0), (BAD, GOOD, 1), (GOOD, BAD, 1)]
)
def test_each_lane_fails_the_whole(processes: str, docker: str, code: int, tmp_path: Path) -> None:
    done = run_lanes(tmp_path, processes=processes, docker=docker)
    assert done.returncode == code, done.stdout
    # Each closing line and each failure is said again in the end; what runs once more has its own.
    end = done.stdout[done.stdout.index("All lanes:") :]
    assert ("FAILED tests/processes" in end) is (processes == BAD)
    assert ("FAILED tests/docker" in end) is (docker == BAD)
    assert len(re.findall(r"\d (?:passed|failed).* in \d", end)) == (5 if code else 3)
    assert "passed alone" not in end


def test_a_few_that_failed_and_pass_alone_are_named_and_do_not_fail_the_whole(
    tmp_path: Path,
) -> None:
    done = run_lanes(tmp_path, processes=GOOD, docker=FEW)
    assert done.returncode == 0, done.stdout
    names = re.findall("failed beside the other lanes, passed alone: (.*)", done.stdout)
    assert len(names) == lanes.MOST_AGAIN
    assert names[0] == "tests/docker/test_it.py::test_unlucky[0]"


def test_what_fails_twice_fails_the_whole_though_another_passes_alone(tmp_path: Path) -> None:
    done = run_lanes(tmp_path, processes=BAD, docker=UNLUCKY.format(many=1))
    assert done.returncode == 1, done.stdout
    assert "passed alone: tests/docker" in done.stdout
    assert "passed alone: tests/processes" not in done.stdout


def test_of_many_that_fail_none_is_run_again(tmp_path: Path) -> None:
    done = run_lanes(tmp_path, processes=GOOD, docker=MANY)
    assert done.returncode == 1, done.stdout
    assert "Once more" not in done.stdout


def test_every_test_is_in_one_lane_and_in_one_only() -> None:
    asked = [[*lane.command("--collect-only", "-q")] for lane in lanes.LANES]
    found = [names(command) for command in (*asked, [sys.executable, "-m", "pytest", *ALL])]
    *by_lane, whole = found
    assert sum(map(len, by_lane)) == len(whole)
    assert set().union(*by_lane) == whole


def names(command: list[str]) -> set[str]:
    """Name the files that pytest collects tests of."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return {line.partition("::")[0] for line in done.stdout.splitlines() if "::" in line}


def test_a_run_without_failures_is_repeated_by_its_last_line() -> None:
    assert lanes.repeated(["dots", "== 5 passed =="]) == ["== 5 passed =="]


def test_a_run_with_failures_is_repeated_from_its_summary() -> None:
    lines = ["x", "== short test summary info ==", "FAILED a", "== 1 failed =="]
    assert lanes.repeated(lines) == lines[1:]
