"""A real Laravel application whose master is cut off from the network, beside a stock one."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from redis_ha.discovery import ask_node
from redis_ha.failover_test.docker_hands import DockerHands
from redis_ha.locating import find_site
from tests.docker.stack import LiveCluster, eventually
from tests.docker.test_operate import redis_ha
from tests.processes.laravel.application import Application
from tests.processes.laravel.load import Load

DOWN_AFTER = 5.0
RUN_SECONDS = 24.0
FOLLOWED_WITHIN = 1.5
Figure = Callable[[str], None]


@pytest.fixture
def application(cluster: LiveCluster, tmp_path: Path) -> Iterator[Application]:
    """Give the application, set up as `redis-ha env --laravel` says."""
    written = redis_ha(cluster, "env", "--laravel", "--secrets").stdout
    connection = dict(line.split("=", 1) for line in written.splitlines())
    assert connection["REDIS_PASSWORD"] == cluster.env["REDIS_PASSWORD"]
    with Application(connection, tmp_path).running() as running:
        yield running


def promoted_besides(cluster: LiveCluster, old: str) -> bool:
    others = [address for node, address in cluster.nodes.items() if node != old]
    return any(ask_node(cluster.access(), address).role == "master" for address in others)


def test_the_application_goes_on_while_the_master_is_cut_off(
    cluster: LiveCluster, application: Application, figure: Figure
) -> None:
    old = cluster.master()
    load = Load.on(application, RUN_SECONDS, master=cluster.nodes[old])
    site = find_site(None, cluster.env | {"REDIS_TLS_CA": str(cluster.ca)})
    hands = DockerHands()
    injury = hands.prepare("partition", site.data_node(old), sentinels=site.sentinels)
    try:
        load.hurt(lambda: hands.inflict(injury))
        promoted = eventually(
            lambda: promoted_besides(cluster, old), within=DOWN_AFTER + 4, what="a new master"
        )
        load.end()
        # When the sentinels act on a busy machine is theirs; to follow them is the application's.
        outage = load.went_on(most=promoted + FOLLOWED_WITHIN)
        with cluster.client(cluster.master(other_than=old)) as client:
            lost, written = load.settle(client)
    finally:
        hands.heal(injury)
    last = load.stock_did_not()
    assert lost <= written / 10
    figure(f"promoted after {promoted:.2f} s, outage {outage:.2f} s, lost {lost} of {written}")
    figure(f"stock Laravel wrote until {last:.1f} s")
