"""Each expression of each dashboard, asked of a Prometheus that scrapes a whole real cluster."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import redis

from infra.rendering import Paths
from infra.topology import Node
from redis_ha.errors import RedisHaError
from tests.dashboards import NAMES, asked, expressions, load, without_data
from tests.processes import cluster_files as files
from tests.processes.cluster import Cluster, Settings
from tests.processes.monitoring.watched import Watched
from tests.processes.ports import free_ports
from tests.processes.worker_command import WorkerCommand

# Of one expression: what a legend can show.
MOST_SERIES = 12


class WithWitnesses(Watched):
    """A watched cluster in which a witness stands beside each sentinel."""

    def _ha_settings(self, node: Node, paths: Paths) -> dict[str, str]:
        return super()._ha_settings(node, paths) | {"REDIS_WITNESS": "true"}


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """Give a cluster in use, watched and backed up, of which everything is known."""
    root = tmp_path_factory.mktemp("dashboards")
    directories = [root / name for name in ("cluster", "worker")]
    for directory in directories:
        directory.mkdir()
    settings = Settings(guarded=True, witness=True, redis_lines=("maxmemory 64mb",))
    metrics, scratch = free_ports(2)
    with (
        Cluster.start(directories[0], settings) as cluster,
        backed_up(cluster, directories[1], metrics=metrics, scratch=scratch),
        in_use(cluster),
        WithWitnesses.start(cluster, root / "watch", workers=(metrics,)) as found,
    ):
        found.until(found.watch.settled, 120, "a scrape of every target")
        yield found


@contextmanager
def backed_up(cluster: Cluster, directory: Path, *, metrics: int, scratch: int) -> Iterator[None]:
    """Have a worker back the cluster up during the block."""
    settings = {
        "REDIS_BACKUP_LOG_SECONDS": "1",
        "REDIS_BACKUP_METRICS_HOST": "127.0.0.1",
        "REDIS_BACKUP_METRICS_PORT": str(metrics),
        "REDIS_BACKUP_SCRATCH_HOST": "127.0.0.1",
        "REDIS_BACKUP_SCRATCH_PORT": str(scratch),
        "REDIS_BACKUP_TLS_CERT": str(cluster.tls.certificate),
        "REDIS_BACKUP_TLS_KEY": str(cluster.tls.key),
        "REDIS_REPLICA_USERNAME": "replica",
        "REDIS_REPLICA_PASSWORD": files.PASSWORDS["replica"],
    }
    process = WorkerCommand(directory, cluster, settings=settings).start("run", "--node", "worker")
    with process:
        try:
            yield
        finally:
            process.kill()


@contextmanager
def in_use(cluster: Cluster) -> Iterator[None]:
    """Write and read during the block, some of it in vain."""
    over = threading.Event()

    def work() -> None:
        while not over.wait(0.2):
            with suppress(redis.RedisError, RedisHaError), cluster.master.client("app") as client:
                for number in range(20):
                    client.set(f"app:{number}", number, ex=60)
                    client.get(f"app:{number * 2}")

    worker = threading.Thread(target=work)
    worker.start()
    try:
        yield
    finally:
        over.set()
        worker.join()


def names_of(watched: Watched) -> list[str]:
    return [node.name for node in watched.cluster.data_nodes]


@pytest.mark.parametrize("name", NAMES)
def test_each_expression_has_data_but_those_that_say_why_not(watched: Watched, name: str) -> None:
    def empty() -> list[str]:
        return without_data(watched.watch, name, names_of(watched))

    # A thorough look, a proof and a rate take a while; what is still missing is named below.
    with suppress(AssertionError):
        watched.until(lambda: not empty(), 180, "data")
    assert empty() == []


@pytest.mark.parametrize("name", NAMES)
def test_no_legend_is_crowded(watched: Watched, name: str) -> None:
    found = {e: asked(watched.watch, e, names_of(watched)) for e in expressions(name)}
    assert {e: len(r) for e, rs in found.items() for r in rs if len(r) > MOST_SERIES} == {}


def test_a_variable_offers_the_data_nodes(watched: Watched) -> None:
    (variable,) = (v for v in load("node")["templating"]["list"] if v["type"] == "query")
    metric, _, label = variable["definition"].removeprefix("label_values(")[:-1].rpartition(", ")
    values = watched.watch.ask(f"label/{label}/values", **{"match[]": metric})
    assert values == names_of(watched)


def test_a_failover_shows_as_an_annotation(watched: Watched) -> None:
    (annotation,) = load("overview")["annotations"]["list"]
    query = annotation["target"]["expr"]
    assert watched.watch.ask("query", query=query)["result"] == []
    before = watched.cluster.master
    before.kill()
    try:
        watched.cluster.wait_for_master(other_than=before)
        watched.until(
            lambda: bool(watched.watch.ask("query", query=query)["result"]), 30, "the annotation"
        )
    finally:
        before.start()
        watched.cluster.wait_until_healthy(60)
    (sample,) = watched.watch.ask("query", query="max(redis_ha_last_failover_seconds)")["result"]
    assert 0 <= float(sample["value"][1]) < 20
