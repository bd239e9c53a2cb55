"""A cluster's life under 5,000 writes a second: every kind of change, from Redis 7 on.

An hour of work for two cores, so only with REDIS_HA_TEST_LONG=1; each kind of change alone is in
the other tests of this folder.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import pytest

from tests.docker.load import load
from tests.docker.stack import SETTINGS, LiveCluster, Stack, eventually
from tests.long import only_long

Figure = Callable[[str], None]
RATE = float(os.environ.get("REDIS_HA_TEST_DAY_TWO_RATE", "5000"))
# For figures of the first changes alone, those that replace what runs: 4.
STEPS = int(os.environ.get("REDIS_HA_TEST_DAY_TWO_STEPS", "1000"))
# What a change leaves behind may show a moment later (s).
AFTERWARDS = 3.0
APART = {"namePrefix": "day-", "portOffset": 6000, "subnet": "172.28.98.0/24"}
pytestmark = [
    only_long("each kind of change alone is in the other tests of this folder"),
    pytest.mark.timeout(3600),
]


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    settings = {**SETTINGS, **APART, "engine": "redis-7", "monitoring": False}
    with Stack(tmp_path, settings).standing() as made:
        yield made


def steps(stack: Stack) -> Iterator[tuple[str, Callable[[], object]]]:
    """Name each change and what makes it, in the order of a cluster's life."""
    yield "a live setting", lambda: stack.up(maxmemory="192mb", timeout=120)
    yield "a setting that replaces", lambda: stack.up(ioThreads=2)
    yield "another image", lambda: stack.up(imageDate=f"{datetime.now(UTC):%Y-%m-%d}")
    yield "redis-7 to redis-8", lambda: stack.up(engine="redis-8", ioThreads=1)
    yield "out to 3 replicas", lambda: stack.redis_ha("scale", "3", "--yes")
    yield "in to 2 replicas", lambda: stack.redis_ha("scale", "2", "--yes")
    yield "out to 5 sentinels", lambda: stack.redis_ha("scale", "--sentinels", "5", "--yes")
    yield "in to 3 sentinels", lambda: stack.redis_ha("scale", "--sentinels", "3", "--yes")
    for secret in ("users", "certs", "ca", "backup-key"):
        yield f"rotate {secret}", lambda secret=secret: stack.redis_ha("rotate", secret, "--yes")
        if secret != "certs":
            finish = ("rotate", secret, "--finish", "--yes")
            yield f"rotate {secret}, its end", lambda finish=finish: stack.redis_ha(*finish)


def test_every_change_of_a_life_loses_nothing(stack: Stack, tmp_path: Path, figure: Figure) -> None:
    said = []
    for number, (name, change) in enumerate(islice(steps(stack), STEPS)):
        with under_load(stack, tmp_path / f"load-{number}", name, figure) as complaints:
            change()
        said += complaints
        if (changes := set(stack.changes())) != {"same"}:
            said.append(f"{name}: `up` afterwards would {changes}")
    assert said == []


@contextmanager
def under_load(stack: Stack, directory: Path, name: str, figure: Figure) -> Iterator[list[str]]:
    """Write during the block; the list then says what went wrong."""
    complaints: list[str] = []
    cluster = LiveCluster.of(stack)
    cluster.wait_until_healthy()
    with load(cluster.access("REDIS"), directory, rate=RATE) as run:
        eventually(lambda: run.acknowledged > RATE, within=30, what="a load")
        yield complaints
        time.sleep(AFTERWARDS)
    changed = LiveCluster.of(stack)
    changed.wait_until_healthy()
    with changed.client(changed.master(), timeout=30) as master:
        lost = run.lost(master)
        master.flushall(asynchronous=True)
    figure(
        f"{name}: {lost} of {run.acknowledged} lost at {run.rate:.0f} writes/s, longest gap"
        f" {run.longest_gap:.2f} s, {len(run.errors)} calls failed"
    )
    complaints += [f"{name}: {error}" for error in run.errors[:5]]
    if lost:
        complaints.append(f"{name}: {lost} lost")
