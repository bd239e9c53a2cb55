"""The cluster that `redis-ha compose` writes, run by docker-compose: no Pulumi, same promises."""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from infra.compose.folder import COMPOSE_FILE, ENV_FILE
from redis_ha.client import Client
from redis_ha.discovery import ask_node
from redis_ha.environment import parse_env_file
from redis_ha.locating import find_site
from redis_ha.site import Site
from tests.docker.stack import REPOSITORY, SETTINGS, Finished, docker, eventually, run
from tests.patience import at_best
from tests.processes.ledger import Ledger

APART = {"namePrefix": "cmp-", "portOffset": "5000", "subnet": "172.28.97.0/24"}
OWN: Mapping[str, str] = {"ioThreads": str(SETTINGS["ioThreads"]), "monitoring": "false"} | APART
ORDER = ["sentinel-1", "sentinel-2", "sentinel-3", "redis-1", "redis-2", "redis-3", "backup-worker"]
# What a checkout needs for this: the image's sources, the program, the alert rules.
PARTS = ("age", "backup_worker", "infra", "monitoring", "node", "redis_ha")
# A crash with the witnesses watching, on a busy machine.
FAILOVER_SECONDS = 5.0


@dataclass
class Composed:
    """A folder of `redis-ha compose`, and what docker-compose makes of it.

    It is made from a copy of this checkout: whoever works on the code meanwhile changes nothing.
    """

    folder: Path
    checkout: Path

    def write(self, **settings: str) -> Finished:
        options = [word for name, value in settings.items() for word in (f"--{name}", value)]
        there = ["env", "-C", str(self.checkout), f"PYTHONPATH={self.checkout}"]
        return run([*there, "redis-ha", "compose", str(self.folder), *options])

    def compose(self, *words: str) -> Finished:
        return run(["docker-compose", "-f", str(self.folder / COMPOSE_FILE), *words])

    def roll(self) -> Finished:
        return run(["sh", str(self.folder / "roll.sh")])

    @property
    def env(self) -> dict[str, str]:
        return parse_env_file((self.folder / ENV_FILE).read_text(), name=ENV_FILE)

    def command(self, *words: str, check: bool = True) -> Finished:
        """Run one of our commands with the folder's settings."""
        return run(words, env=os.environ | self.env, check=check)

    @property
    def site(self) -> Site:
        return find_site(None, self.env)

    def inspected(self, node: str) -> dict[str, Any]:
        found: list[dict[str, Any]] = json.loads(docker("inspect", f"{APART['namePrefix']}{node}"))
        return found[0]

    def master(self, *, other_than: str = "") -> str:
        for node in self.site.data_nodes:
            if (
                node.name != other_than
                and ask_node(self.site.operator, node.address).role == "master"
            ):
                return node.name
        return ""

    def max_lags(self) -> list[Any]:
        """Ask each data node for a setting that it would take while it runs."""
        found = []
        for node in self.site.data_nodes:
            with self.site.operator.connect(node.address) as client:
                found.append(client.config_get("min-replicas-max-lag"))
        return found

    def healthy(self) -> bool:
        return self.command("redis-ha", "health", check=False).returncode == 0

    def ready(self) -> bool:
        return self.command("redis-ha", "ready", check=False).returncode == 0


@pytest.fixture(scope="module")
def composed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Composed]:
    checkout = tmp_path_factory.mktemp("checkout")
    shutil.copy(REPOSITORY / ".dockerignore", checkout)
    for part in PARTS:
        shutil.copytree(REPOSITORY / part, checkout / part)
    made = Composed(tmp_path_factory.mktemp("composed"), checkout)
    made.write(**OWN)
    made.compose("config", "--quiet")
    try:
        made.compose("up", "--detach")
        yield made
    finally:
        made.compose("down", "--volumes", "--rmi", "all")


def test_all_come_up_in_order_and_confined(composed: Composed) -> None:
    eventually(
        lambda: all(composed.inspected(n)["State"]["Health"]["Status"] == "healthy" for n in ORDER),
        within=60,
        what="every container healthy",
    )
    found = [composed.inspected(node) for node in ORDER]
    started = [each["State"]["StartedAt"] for each in found]
    assert started == sorted(started)
    for each in found:
        host = each["HostConfig"]
        assert (each["Config"]["User"], host["CapDrop"]) == ("10001:10001", ["ALL"])
        assert host["SecurityOpt"] == ["no-new-privileges:true"]
        assert host["PidsLimit"] > 0
        assert host["MemorySwap"] == 2 * host["Memory"] > 0
        assert not host["Privileged"]
        published = [port for ports in host["PortBindings"].values() for port in ports]
        worker = "worker" in each["Name"]
        assert [port["HostIp"] for port in published] == ([] if worker else ["127.0.0.1"])
    eventually(composed.healthy, within=60, what="a healthy cluster", every=0.5)
    eventually(composed.ready, within=30, what="a cluster ready for a failover", every=0.5)


def test_a_second_run_and_a_second_up_change_nothing(composed: Composed) -> None:
    before = [composed.inspected(node)["Id"] for node in ORDER]
    composed.write()
    composed.compose("up", "--detach")
    assert [composed.inspected(node)["Id"] for node in ORDER] == before


def test_the_worker_proves_a_snapshot(composed: Composed) -> None:
    def proven() -> bool:
        listed = composed.command("backup-worker", "list", "--json", check=False)
        found = json.loads(listed.stdout) if listed.returncode == 0 else []
        return any(snapshot["state"] == "proven" for snapshot in found)

    eventually(proven, within=60, what="a proven snapshot", every=1)


def test_a_crashed_master_is_replaced_and_comes_back_as_replica(
    composed: Composed, figure: Callable[[str], None]
) -> None:
    outage = at_best(lambda: outage_of_a_crash(composed), under=FAILOVER_SECONDS, tries=2)
    figure(f"a write went on {outage:.2f} s after `docker kill` of the master")


def outage_of_a_crash(composed: Composed) -> float:
    eventually(composed.healthy, within=60, what="a healthy cluster", every=0.5)
    old = composed.master()
    with Client.from_env(composed.env) as client:
        client.execute_with_failover(lambda connection: connection.set("kept", "1"))
        time.sleep(0.5)
        docker("kill", f"{APART['namePrefix']}{old}")
        began = time.monotonic()
        client.execute_with_failover(lambda c: c.set("after", "2"), idempotent=True)
        outage = time.monotonic() - began
        assert client.execute_with_failover(lambda connection: connection.get("kept")) == "1"
    new = composed.master(other_than=old)
    composed.compose("up", "--detach")
    eventually(composed.healthy, within=60, what="a healthy cluster", every=0.5)
    assert composed.master() == new != old
    return outage


def test_a_write_alone_changes_nothing_that_runs(composed: Composed) -> None:
    eventually(composed.healthy, within=60, what="a healthy cluster", every=0.5)
    before = composed.max_lags()
    written = composed.write(minReplicasMaxLag="2").stdout
    try:
        assert "sh roll.sh" in written
        # A node looks at its files every second.
        time.sleep(5)
        docker("restart", f"{APART['namePrefix']}redis-3")
        eventually(composed.healthy, within=60, what="a healthy cluster", every=0.5)
        assert composed.max_lags() == before
    finally:
        settings = (composed.folder / "settings.yaml").read_text().splitlines()
        kept = [line for line in settings if "minReplicasMaxLag" not in line]
        (composed.folder / "settings.yaml").write_text("\n".join([*kept, ""]))
        composed.write()


def test_a_change_replaces_one_node_after_another_and_loses_no_write(
    composed: Composed, figure: Callable[[str], None]
) -> None:
    eventually(composed.healthy, within=60, what="a healthy cluster", every=0.5)
    before = {node: composed.inspected(node)["Id"] for node in ORDER}
    nodes = {node.name: node.address for node in composed.site.data_nodes}
    app = composed.site.app
    assert app is not None
    ledger = Ledger(app, list(nodes.values()), 2)
    composed.write(ioThreads="2")
    assert {node: composed.inspected(node)["Id"] for node in ORDER} == before
    with ledger.writing():
        ledger.wait_for_writes(500)
        composed.roll()
        eventually(composed.healthy, within=60, what="a healthy cluster", every=0.5)
        ledger.wait_for_writes(500)
    after = {node: composed.inspected(node)["Id"] for node in ORDER}
    assert {node for node in ORDER if before[node] != after[node]} == set(nodes)
    with composed.site.operator.connect(nodes[composed.master()]) as client:
        assert ledger.missing_on(client) == []
    figure(f"{ledger.acknowledged} acknowledged, 0 lost, longest gap {ledger.longest_gap:.2f} s")


def test_a_master_that_leaves_hands_over_and_loses_no_write(
    composed: Composed, figure: Callable[[str], None]
) -> None:
    composed.write(replicas="3", sentinels="5", quorum="3")
    composed.roll()
    eventually(composed.ready, within=120, what="a cluster ready for a failover", every=0.5)
    composed.command("redis-ha", "failover", "--to", "redis-4", "--yes")
    eventually(composed.ready, within=120, what="a cluster ready for a failover", every=0.5)
    nodes = {node.name: node.address for node in composed.site.data_nodes}
    app = composed.site.app
    assert app is not None
    ledger = Ledger(app, list(nodes.values()), 2)
    said = composed.write(replicas="2", sentinels="3", quorum="2").stdout
    assert f"docker stop -t 30 {APART['namePrefix']}redis-4 && docker rm" in said
    assert composed.inspected("redis-4")["State"]["Health"]["Status"] == "healthy"
    with ledger.writing():
        ledger.wait_for_writes(500)
        composed.roll()
        ledger.wait_for_writes(500)
    left = docker(
        "ps", "--all", "--format", "{{.Names}}", "--filter", f"name={APART['namePrefix']}"
    )
    assert set(left.split()) == {f"{APART['namePrefix']}{node}" for node in ORDER}
    assert {each.name for each in (composed.folder / "nodes").iterdir()} == set(ORDER)
    eventually(composed.ready, within=180, what="sentinels that forgot who left", every=1)
    with composed.site.operator.connect(nodes[composed.master()]) as client:
        assert ledger.missing_on(client) == []
    for gone in ("redis-4", "sentinel-4", "sentinel-5"):
        docker("volume", "rm", f"{APART['namePrefix']}{gone}-data")
    figure(f"{ledger.acknowledged} acknowledged, 0 lost, longest gap {ledger.longest_gap:.2f} s")


def test_down_leaves_the_data_and_up_finds_it(composed: Composed) -> None:
    composed.compose("down")
    assert docker("ps", "--all", "--quiet", "--filter", f"name=^{APART['namePrefix']}") == ""
    kept = docker("volume", "ls", "--quiet", "--filter", f"name={APART['namePrefix']}").split()
    assert len(kept) == 3 + 3 + 2
    composed.compose("up", "--detach")
    eventually(composed.healthy, within=60, what="a healthy cluster", every=0.5)
    with Client.from_env(composed.env) as client:
        assert client.execute_with_failover(lambda connection: connection.get("after")) == "2"
