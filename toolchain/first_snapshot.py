"""Wait until the new cluster's first snapshot is there and proven."""

from __future__ import annotations

import json
import os
import subprocess
import time
from typing import TYPE_CHECKING, Any

from toolchain import console

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from toolchain.environment import Environment
    from toolchain.layout import Layout

STEP = "backup"
WAIT_SECONDS = 60.0
POLL_SECONDS = 1.0
ANSWER_SECONDS = 20.0
PROVEN = "proven"
UNPROVEN = "not proven"


def pick(snapshots: Iterable[Mapping[str, Any]], *, proving: bool) -> str | None:
    """Say which good snapshot is the newest and its state; ids sort by time.

    Where snapshots are proven, one that is not (yet) doesn't count.
    """
    good = {PROVEN} if proving else {PROVEN, UNPROVEN}
    found = [(s["id"], s["state"]) for s in snapshots if s.get("state") in good]
    return "{} is {}".format(*max(found)) if found else None


def wait(layout: Layout, env: Environment, *, proving: bool) -> str | None:
    """Wait for a good snapshot, a minute at most, and say which; None if there is none by then."""
    deadline = time.monotonic() + WAIT_SECONDS
    told = False
    while True:
        found, problem = _ask(layout, env, proving=proving)
        if found:
            console.satisfied(STEP, f"snapshot {found}")
            return found
        if time.monotonic() > deadline:
            kind = PROVEN if proving else "good"
            console.note(STEP, f"no {kind} snapshot within {WAIT_SECONDS:.0f} s: {problem}")
            return None
        if not told:
            console.doing(STEP, "waiting for the first snapshot", why="the worker takes it now")
            told = True
        time.sleep(POLL_SECONDS)


def _ask(layout: Layout, env: Environment, *, proving: bool) -> tuple[str | None, str]:
    command = [str(layout.venv / "bin" / "backup-worker"), "list", "--json"]
    try:
        done = subprocess.run(
            command,
            cwd=layout.checkout,
            env=env.over(os.environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=ANSWER_SECONDS,
            check=False,
        )
        snapshots = json.loads(done.stdout) if done.returncode == 0 else []
    except (OSError, subprocess.TimeoutExpired, ValueError) as error:
        return None, str(error)
    problem = done.stderr.strip().splitlines()[-1:] or ["the list holds none"]
    return pick(snapshots, proving=proving), problem[0]
