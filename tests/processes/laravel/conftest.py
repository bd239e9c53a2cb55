"""Fixtures for tests of the Laravel package."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes.cluster import Cluster
from tests.processes.laravel.application import Application


@pytest.fixture
def application(cluster: Cluster, tmp_path: Path) -> Iterator[Application]:
    """Give the application on a healthy cluster."""
    directory = tmp_path / "application"
    directory.mkdir()
    with Application.on(cluster, directory) as running:
        yield running
