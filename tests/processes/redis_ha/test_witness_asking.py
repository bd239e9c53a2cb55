"""Crashes in which the sentinel that would be asked first is no good: the next one is asked."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.processes.cluster import Cluster, Process
from tests.processes.redis_ha.witnessed import (
    SETTINGS,
    epoch,
    kill_server,
    promotion_seconds,
    says,
    settle,
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster.start(tmp_path_factory.mktemp("asking"), SETTINGS) as running:
        yield running


@pytest.fixture
def cluster(shared: Cluster) -> Cluster:
    return settle(shared)


def test_a_sentinel_in_tilt_mode_is_passed_over(cluster: Cluster) -> None:
    old, before = cluster.master, epoch(cluster)
    first = cluster.sentinels[-1]
    with tilting(first):
        kill_server(old)
        seconds = promotion_seconds(cluster, old, within=4.0)
        assert tilts(first)
    old.wait(10)
    old.start()
    cluster.wait_until_healthy()
    assert seconds < SETTINGS.down_after / 1000 - 1.1
    assert said(cluster, "it is in TILT mode")
    assert not has_led(first), "the one in TILT mode was asked"
    assert epoch(cluster) == before + 1, says(cluster)


def test_a_sentinel_that_stands_still_is_passed_over_for_good(cluster: Cluster) -> None:
    """What it finds in its sockets when it goes on begins no second failover."""
    old, before = cluster.master, epoch(cluster)
    first = cluster.sentinels[-1]
    assert first.server_pid is not None
    kill_server(old)
    os.kill(first.server_pid, signal.SIGSTOP)
    try:
        seconds = promotion_seconds(cluster, old, within=4.0)
        time.sleep(max(0.0, 3.0 - seconds))
    finally:
        os.kill(first.server_pid, signal.SIGCONT)
    old.wait(10)
    old.start()
    cluster.wait_until_healthy()
    time.sleep(3.0)
    assert seconds < SETTINGS.down_after / 1000 - 1.1
    assert epoch(cluster) == before + 1, says(cluster)


@contextmanager
def tilting(sentinel: Process) -> Iterator[None]:
    """Let a sentinel take each of its own looks at the clock for a leap."""
    with sentinel.client() as client:
        client.execute_command("SENTINEL", "DEBUG", "tilt-trigger", "1")
    try:
        wait_for_tilt(sentinel)
        yield
    finally:
        with sentinel.client() as client:
            client.execute_command(
                *("SENTINEL", "DEBUG", "tilt-trigger", "2000", "tilt-period", "1000")
            )


def wait_for_tilt(sentinel: Process) -> None:
    deadline = time.monotonic() + 5.0
    while not tilts(sentinel):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def tilts(sentinel: Process) -> bool:
    with sentinel.client() as client:
        return bool(int(client.info("sentinel")["sentinel_tilt"]))


def said(cluster: Cluster, reason: str) -> bool:
    return any(
        '"event": "sentinel-passed-over"' in line and reason in line
        for s in cluster.sentinels
        for line in s.log.splitlines()
    )


def has_led(sentinel: Process) -> bool:
    return "Executing user requested FAILOVER" in sentinel.log
