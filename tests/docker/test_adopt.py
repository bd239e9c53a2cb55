"""`redis-ha adopt` on the host: the worker's container takes a Redis of the network over."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.docker.stack import LiveCluster, docker, eventually, run
from tests.processes.adopt.source import OldRedis, Writer

PASSWORD = "of-the-old-one"


@pytest.fixture
def old(cluster: LiveCluster, tmp_path: Path) -> Iterator[OldRedis]:
    """Give a plain Redis with a password and data, in the cluster's network."""
    name = f"{cluster.stack.prefix}old"
    node = cluster.container(next(iter(cluster.nodes)))
    image = inspected(node, "{{.Image}}")
    network = inspected(node, "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}}{{end}}")
    server = ["redis-server", "--requirepass", PASSWORD, "--save", "", "--dir", "/tmp"]
    debug = ["--enable-debug-command", "yes"]
    docker("run", "-d", "--name", name, "--network", network, "--entrypoint", server[0], image,
           *server[1:], *debug)  # fmt: skip
    try:
        address = inspected(name, "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}")
        made = OldRedis(6379, tmp_path, options={"password": PASSWORD}, host=address)
        eventually(made.answers, within=20, what="an answer of the old Redis")
        made.fill()
        yield made
    finally:
        docker("rm", "-f", "-v", name)


def inspected(container: str, template: str) -> str:
    return docker("inspect", "-f", template, container)


def test_a_redis_of_the_network_is_taken_over_by_the_hosts_command(
    cluster: LiveCluster, old: OldRedis, figure: Callable[[str], None]
) -> None:
    # Something that is replaced, and worth a safety snapshot.
    cluster.client(cluster.master()).set("before", "the takeover")
    before = cluster.digests()
    environment = os.environ | cluster.env
    environment |= {"REDIS_TLS_CA": str(cluster.ca), "REDIS_ADOPT_PASSWORD": PASSWORD}

    shown = run(["redis-ha", "adopt", old.name, "--dry-run", "--replace"], env=environment)
    assert "a single redis" in shown.stdout
    assert PASSWORD not in shown.stdout + shown.stderr

    with Writer(old).writing() as writer:
        command = ["redis-ha", "adopt", old.name, "--replace", "--yes", "--json"]
        done = json.loads(run(command, env=environment).stdout)
    cluster.wait_until_healthy()

    assert writer.refused > 0
    with cluster.client(cluster.master(), timeout=30.0) as client:
        assert writer.lost(client) == []
    assert cluster.digests() == {old.digest()}
    assert not old.is_writable()
    figure(f"{len(writer.acknowledged)} writes, 0 lost, held back {done['paused']:.2f} s")

    cluster.worker("restore", done["safety_snapshot"], "--yes")
    cluster.wait_until_healthy()
    assert cluster.digests() == before
