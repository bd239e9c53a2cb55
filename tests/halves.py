"""`python -m tests.halves [ARGS]`: every test, in two runs of pytest at once; with ARGS just one.

Most tests wait: for a down-after, a container, a machine that boots. So what runs in Docker and
what runs as processes share the machine. Nothing is shared but that: stacks have names and subnets
of their own, processes look for free ports.

Some of these tests race with clocks of Redis, Sentinel and Docker, on a machine that the other half
keeps busy. A few that failed are run once more, alone: what fails twice has failed, and what passes
then is named at the end, for somebody to look at.
"""

import json
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

OTHER_HALF = tuple(f"tests/{name}" for name in ("faults", "docker", "aws"))
# Of each half, what is said again at the end: its failures and its closing line.
_REPEATED_LINES = 40
_SUMMARY = "short test summary info"
# More that fail than these are no accident.
MOST_AGAIN = 3
_TESTS_FAILED = 1
_ANEW = "--cache-clear"


@dataclass(frozen=True)
class Half:
    """A run of pytest; it remembers what failed apart from the other one."""

    name: str
    args: tuple[str, ...]

    def command(self, *more: str) -> list[str]:
        return _pytest([*self.args, "-o", f"cache_dir={self._cache}", *more])

    def failed(self) -> list[str]:
        """Name the tests that failed in its last run."""
        path = self._cache / "v" / "cache" / "lastfailed"
        return sorted(json.loads(path.read_text())) if path.exists() else []

    @property
    def _cache(self) -> Path:
        return Path(".pytest_cache") / self.name


PROCESSES = Half("processes", tuple(f"--ignore={folder}" for folder in OTHER_HALF))
DOCKER = Half("docker", OTHER_HALF)


def main(args: Sequence[str]) -> int:
    """Run pytest; returns its exit code, of two the first that isn't 0."""
    if args:
        return subprocess.call(_pytest(args))
    with tempfile.TemporaryFile("w+") as shown, _start(DOCKER, shown, _ANEW) as docker:
        with _start(PROCESSES, subprocess.PIPE, _ANEW) as processes:
            last = echo(processes.stdout or ())
        echo(["\nThe other half, in Docker:\n"])
        docker.wait()
        shown.seek(0)
        other = echo(shown)
    echo(f"{line}\n" for line in ["", "Both halves:", *repeated(last), *repeated(other)])
    return once_more({PROCESSES: processes.returncode, DOCKER: docker.returncode})


def once_more(codes: dict[Half, int]) -> int:
    """Run the few tests that failed again; returns the first exit code that isn't 0 then."""
    failed = {half: half.failed() for half, code in codes.items() if code == _TESTS_FAILED}
    few = 0 < sum(map(len, failed.values())) <= MOST_AGAIN
    if not few or set(codes.values()) - {0, _TESTS_FAILED}:
        return next(filter(None, codes.values()), 0)
    echo(["\nOnce more, alone:\n"])
    runs = [_alone(half) for half in failed]
    passed = [name for half, names in failed.items() for name in set(names) - {*half.failed()}]
    echo(f"failed beside the other half, passed alone: {name}\n" for name in sorted(passed))
    echo(f"{closing}\n" for _, closing in runs)
    return next((code for code, _ in runs if code), 0)


def _alone(half: Half) -> tuple[int, str]:
    """Run what failed again; returns the exit code and pytest's closing line."""
    with _start(half, subprocess.PIPE, "--last-failed") as run:
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


def _start(half: Half, stdout: "int | IO[str]", *more: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(half.command(*more), stdout=stdout, stderr=subprocess.STDOUT, text=True)


def _pytest(args: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "pytest", *args]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
