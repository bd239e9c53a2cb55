"""`python -m tests.lanes [ARGS]`: every test, in three runs of pytest at once; with ARGS just one.

Most tests wait: for a down-after, a container, a machine that boots. So what runs in Docker, what
runs as processes and what cares little for the time share the machine. Nothing is shared but that:
stacks have names and subnets of their own, processes look for free ports.

Some of these tests race with clocks of Redis, Sentinel and Docker, on a machine that the other
lanes keep busy. A few that failed are run once more, alone: what fails twice has failed, and what
passes then is named at the end, for somebody to look at.
"""

import json
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO

# What is said again of each lane at the end: its failures and its closing line.
_REPEATED_LINES = 40
_SUMMARY = "short test summary info"
# More that fail than these are no accident.
MOST_AGAIN = 3
_TESTS_FAILED = 1
_ANEW = "--cache-clear"


@dataclass(frozen=True)
class Lane:
    """A run of pytest; it remembers what failed apart from the others."""

    name: str
    paths: tuple[str, ...]

    def command(self, *more: str) -> list[str]:
        """Leave what lies below its own paths to the lane that names it."""
        others = (path for lane in LANES if lane is not self for path in lane.paths)
        ignored = [f"--ignore={path}" for path in others if path not in _above(self.paths)]
        return _pytest([*self.paths, *ignored, "-o", f"cache_dir={self._cache}", *more])

    def failed(self) -> list[str]:
        """Name the tests that failed in its last run."""
        path = self._cache / "v" / "cache" / "lastfailed"
        return sorted(json.loads(path.read_text())) if path.exists() else []

    @property
    def _cache(self) -> Path:
        return Path(".pytest_cache") / self.name


def _above(paths: Iterable[str]) -> set[str]:
    return {str(folder) for path in paths for folder in (Path(path), *Path(path).parents)}


_PATIENT_PROCESSES = ("infra", "laravel", "lease", "monitoring", "plugins")
# The first has whatever no other one names.
LANES = (
    Lane("processes", ("tests",)),
    Lane("docker", ("tests/docker", "tests/aws")),
    Lane(
        "patient",
        (
            *(f"tests/{name}" for name in ("unit", "contract", "faults")),
            *(f"tests/processes/{name}" for name in _PATIENT_PROCESSES),
            # They have stacks of their own.
            *(f"tests/docker/test_{name}.py" for name in ("compose", "upgrade")),
        ),
    ),
)


def main(args: Sequence[str]) -> int:
    """Run pytest; returns its exit code, of several the first that isn't 0."""
    if args:
        return subprocess.call(_pytest(args))
    first, *others = LANES
    ends: dict[Lane, list[str]] = {}
    with ExitStack() as open_until_the_end:
        files = [open_until_the_end.enter_context(tempfile.TemporaryFile("w+")) for _ in others]
        runs = {
            lane: open_until_the_end.enter_context(_start(lane, file, _ANEW))
            for lane, file in zip(others, files, strict=True)
        }
        with _start(first, subprocess.PIPE, _ANEW) as run:
            ends[first] = echo(run.stdout or ())
        for (lane, other), file in zip(runs.items(), files, strict=True):
            other.wait()
            file.seek(0)
            echo([f"\nThe lane {lane.name}:\n"])
            ends[lane] = echo(file)
    echo(["\nAll lanes:\n"])
    echo(f"{line}\n" for last in ends.values() for line in repeated(last))
    return once_more({first: run.returncode} | {ln: other.returncode for ln, other in runs.items()})


def once_more(codes: dict[Lane, int]) -> int:
    """Run the few tests that failed again; returns the first exit code that isn't 0 then."""
    failed = {lane: lane.failed() for lane, code in codes.items() if code == _TESTS_FAILED}
    few = 0 < sum(map(len, failed.values())) <= MOST_AGAIN
    if not few or set(codes.values()) - {0, _TESTS_FAILED}:
        return next(filter(None, codes.values()), 0)
    echo(["\nOnce more, alone:\n"])
    runs = [_alone(lane) for lane in failed]
    passed = [name for lane, names in failed.items() for name in set(names) - {*lane.failed()}]
    echo(f"failed beside the other lanes, passed alone: {name}\n" for name in sorted(passed))
    echo(f"{closing}\n" for _, closing in runs)
    return next((code for code, _ in runs if code), 0)


def _alone(lane: Lane) -> tuple[int, str]:
    """Run what failed again; returns the exit code and pytest's closing line."""
    with _start(lane, subprocess.PIPE, "--last-failed") as run:
        last = echo(run.stdout or ())
    return run.returncode, "".join(last[-1:])


def echo(lines: Iterable[str]) -> list[str]:
    """Write lines as they come; return the last of them."""
    last: deque[str] = deque(maxlen=_REPEATED_LINES)
    for line in lines:
        sys.stdout.write(line)
        sys.stdout.flush()
        last.append(line.rstrip("\n"))
    return list(last)


def repeated(last: Sequence[str]) -> list[str]:
    """Take of a run's last lines its summary of failures, or just its closing line."""
    starts = [number for number, line in enumerate(last) if _SUMMARY in line]
    return list(last[starts[-1] :] if starts else last[-1:])


def _start(lane: Lane, stdout: "int | IO[str]", *more: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(lane.command(*more), stdout=stdout, stderr=subprocess.STDOUT, text=True)


def _pytest(args: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "pytest", *args]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
