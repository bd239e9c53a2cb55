"""Fixtures for tests on real redis-server and redis-sentinel processes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes.cluster import Cluster, Settings


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Give a healthy cluster of three bare data nodes and three sentinels."""
    with Cluster.start(tmp_path) as running:
        yield running


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Cluster]:
    """Give a healthy cluster whose nodes run under `redis-ha-node`."""
    with Cluster.start(tmp_path, Settings(guarded=True)) as running:
        yield running
