"""`python -m tests.halves [ARGS]`: every test, in two runs of pytest at once; with ARGS just one.

Most tests wait: for a down-after, a container, a machine that boots. So what runs in Docker and
what runs as processes share the machine. Nothing is shared but that: stacks have names and subnets
of their own, processes look for free ports.
"""

import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Iterable, Sequence
from typing import IO

# What runs in Docker is less than the processes: the quick ones make it up.
OTHER_HALF = tuple(f"tests/{name}" for name in ("unit", "contract", "faults", "docker", "aws"))
# Of each half, what is said again at the end: its failures and its closing line.
_REPEATED_LINES = 40
_SUMMARY = "short test summary info"


def main(args: Sequence[str]) -> int:
    """Run pytest; returns its exit code, of two the first that isn't 0."""
    if args:
        return subprocess.call(_pytest(args))
    with tempfile.TemporaryFile("w+") as shown, _start(OTHER_HALF, shown) as docker:
        with _start([f"--ignore={folder}" for folder in OTHER_HALF], subprocess.PIPE) as processes:
            last = echo(processes.stdout or ())
        echo(["\nThe other half, in Docker, and what is quick:\n"])
        docker.wait()
        shown.seek(0)
        other = echo(shown)
    echo(f"{line}\n" for line in ["", "Both halves:", *repeated(last), *repeated(other)])
    return processes.returncode or docker.returncode


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


def _start(args: Sequence[str], stdout: "int | IO[str]") -> "subprocess.Popen[str]":
    return subprocess.Popen(_pytest(args), stdout=stdout, stderr=subprocess.STDOUT, text=True)


def _pytest(args: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "pytest", *args]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
