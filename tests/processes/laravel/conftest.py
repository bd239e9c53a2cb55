"""Fixtures for tests of the Laravel package."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes.cluster import Cluster
from tests.processes.laravel.application import GENERATIONS, ClusterApplication


@pytest.fixture
def php(request: pytest.FixtureRequest) -> str:
    """Name the PHP that a test runs on; `both_generations` gives it each in turn."""
    return str(getattr(request, "param", GENERATIONS[0]))


@pytest.fixture
def application(cluster: Cluster, php: str, tmp_path: Path) -> Iterator[ClusterApplication]:
    """Give the application on a healthy cluster."""
    directory = tmp_path / "application"
    directory.mkdir()
    with ClusterApplication.on(cluster, directory, php).running() as running:
        yield running
