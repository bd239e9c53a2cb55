"""The whole cluster in Docker, by Pulumi and by docker-compose: the first `up`, a look, no change.

Both are made of the same plan, image and settings; the image's layers are there before, and an
`up` counts until every container is healthy. docker-compose knows no preview.
"""

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from infra.compose.folder import COMPOSE_FILE
from tests.docker.stack import SETTINGS, Stack, docker, eventually, run

# Names, ports and subnet beside those of a cluster that runs here.
_APART: dict[str, Any] = {"namePrefix": "bench-", "portOffset": 7000, "subnet": "172.28.99.0/24"}
_SETTINGS: dict[str, Any] = {**SETTINGS, **_APART, "monitoring": False}
_PATIENCE = 180.0


def measure(*, pairs: int = 5) -> dict[str, Any]:
    """Make and remove the cluster by turns; times in seconds, medians."""
    rounds = max(1, pairs // 2)
    with tempfile.TemporaryDirectory() as name:
        # One more, the first: it is for the image.
        rows = [(by_compose(Path(name)), by_pulumi(Path(name))) for _ in range(rounds + 1)][1:]
    compose, pulumi = ({s: _median(m, s) for s in m[0]} for m in zip(*rows, strict=True))
    return {
        "benchmark": "stack",
        "rounds": rounds,
        "pulumi_seconds": pulumi,
        "compose_seconds": compose,
        "up_ratio": round(pulumi["up"] / compose["up"], 3),
        "no_change_ratio": round(pulumi["no_change_up"] / compose["no_change_up"], 3),
    }


def by_pulumi(directory: Path) -> dict[str, float]:
    """Make and remove the stack; return how long each command took (s)."""
    root = Path(tempfile.mkdtemp(dir=directory))
    stack = Stack(root, dict(_SETTINGS))
    stack.create()
    try:
        return {
            "preview": timed(stack.changes),
            "up": timed(stack.up),
            "no_change_preview": timed(stack.changes),
            "no_change_up": timed(stack.up),
        }
    finally:
        stack.destroy()
        stack.remove_kept_volumes()


def by_compose(directory: Path) -> dict[str, float]:
    """Make and remove the same of the files of `redis-ha compose`; return the times (s)."""
    folder = Path(tempfile.mkdtemp(dir=directory)) / "compose"
    options = [word for name, value in _SETTINGS.items() for word in (f"--{name}", _text(value))]
    run(["redis-ha", "compose", str(folder), *options])
    compose = ["docker-compose", "-f", str(folder / COMPOSE_FILE)]
    run([*compose, "build"])
    try:
        return {
            "up": timed(lambda: (run([*compose, "up", "--detach"]), _wait_until_healthy())),
            "no_change_up": timed(lambda: run([*compose, "up", "--detach"])),
        }
    finally:
        run([*compose, "down", "--volumes"])


def timed(step: Callable[[], object]) -> float:
    """Return how long a step takes (s)."""
    began = time.monotonic()
    step()
    return round(time.monotonic() - began, 2)


def _wait_until_healthy() -> None:
    names = docker("ps", "--format", "{{.Names}}", "--filter", f"name=^{_APART['namePrefix']}")

    def healthy() -> bool:
        found = json.loads(docker("inspect", *names.split()))
        return {each["State"]["Health"]["Status"] for each in found} == {"healthy"}

    eventually(healthy, within=_PATIENCE, what="every container healthy")


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _median(rows: tuple[dict[str, float], ...], step: str) -> float:
    return round(statistics.median(row[step] for row in rows), 2)
