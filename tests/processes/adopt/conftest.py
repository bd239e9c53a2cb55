"""One cluster for a module, and the command that takes a Redis over into it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes.adopt.source import OldRedis, old_redis
from tests.processes.cluster import Cluster
from tests.processes.restore.conftest import SETTINGS, Worker, hurry, make_worker

Shared = tuple[Cluster, Worker]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    """Give one cluster for a module; its tests leave it healthy."""
    directory = tmp_path_factory.mktemp("cluster")
    with Cluster.start(directory, SETTINGS) as cluster:
        hurry(cluster)
        yield cluster, make_worker(cluster, directory / "worker")


@pytest.fixture
def empty(shared: Shared) -> Shared:
    """Give that cluster, holding nothing."""
    cluster, _ = shared
    with cluster.master.client(timeout=30.0) as client:
        client.flushall()
        client.execute_command("FUNCTION", "FLUSH")
    cluster.wait_until_healthy()
    return shared


@pytest.fixture
def old(tmp_path: Path) -> Iterator[OldRedis]:
    """Give a plain Redis without a password, with data."""
    with old_redis(tmp_path / "old") as running:
        yield running
