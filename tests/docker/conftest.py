"""One stack for all tests of this folder; each test leaves it healthy."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docker.stack import SETTINGS, LiveCluster, Stack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    root: Path = tmp_path_factory.mktemp("stack")
    made = Stack(root, dict(SETTINGS))
    made.create()
    try:
        made.up()
        yield made
    finally:
        made.destroy()
        made.remove_kept_volumes()


@pytest.fixture
def cluster(stack: Stack) -> Iterator[LiveCluster]:
    live = LiveCluster.of(stack)
    live.wait_until_healthy()
    yield live
    live.wait_until_healthy()
