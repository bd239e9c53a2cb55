"""A cluster with a follower's surroundings."""

from pathlib import Path

import pytest

from tests.processes.cluster import Cluster
from tests.processes.log.log_worker import LogWorker


@pytest.fixture
def worker(cluster: Cluster, tmp_path: Path) -> LogWorker:
    """Give a follower's surroundings for a healthy cluster."""
    return LogWorker(tmp_path / "worker", cluster)
