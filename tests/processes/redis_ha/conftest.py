"""Fixtures for tests of the operator's command and the client."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from redis_ha import Client
from tests.processes.cluster import Cluster
from tests.processes.redis_ha.operator_command import OperatorCommand


@pytest.fixture
def operator(cluster: Cluster, tmp_path: Path) -> OperatorCommand:
    """Give the operator of a healthy cluster."""
    directory = tmp_path / "operator"
    directory.mkdir()
    return OperatorCommand(directory, cluster)


@pytest.fixture
def client(cluster: Cluster) -> Iterator[Client]:
    with Client(cluster.access("app")) as opened:
        yield opened
