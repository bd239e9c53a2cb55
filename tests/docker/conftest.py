"""One stack for all tests of this folder; each test leaves it healthy."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docker.stack import SETTINGS, LiveCluster, Stack, eventually
from tests.watch import Watch


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    root: Path = tmp_path_factory.mktemp("stack")
    with Stack(root, dict(SETTINGS)).standing() as made:
        yield made


@pytest.fixture
def cluster(stack: Stack) -> Iterator[LiveCluster]:
    live = LiveCluster.of(stack)
    live.wait_until_healthy()
    yield live
    live.wait_until_healthy()
    assert live.denied() == []


@pytest.fixture
def watch(cluster: LiveCluster) -> Watch:
    """Give Prometheus and Alertmanager once every target was scraped."""
    ports = {n["name"]: n["hostPort"] for n in cluster.outputs["monitoring"]}
    urls = [f"http://127.0.0.1:{ports[name]}" for name in ("prometheus", "alertmanager")]
    found = Watch(*urls)
    eventually(found.settled, within=60, what="a scrape of every target", every=0.5)
    return found
