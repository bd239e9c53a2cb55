"""Passwords, certificates, the CA and the backup's keys change under clients that go on."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import redis

from tests.docker.callers import Callers
from tests.docker.stack import LiveCluster, Stack, docker, eventually
from tests.long import only_long
from tests.processes.ledger import Ledger

Figure = Callable[[str], None]
# Into the first step: pulumi has asked its providers, and brings the nodes their files.
KILLED_AFTER = 6.0


@contextmanager
def clients(cluster: LiveCluster) -> Iterator[tuple[Ledger, Callers]]:
    """Writers that stay connected, and callers that connect anew, to the end of the block."""
    # A busy machine's stall is no refusal.
    patient, nodes = replace(cluster.access("REDIS"), timeout=10.0), list(cluster.nodes.values())
    callers = Callers(patient, nodes)
    with Ledger(patient, nodes, threads=2).writing() as ledger, callers.calling():
        ledger.wait_for_writes(200)
        yield ledger, callers
        ledger.wait_for_writes(200)


def nothing_failed(cluster: LiveCluster, ledger: Ledger, callers: Callers) -> str:
    assert callers.refused == []
    assert ledger.refusal == ""
    assert ledger.missing_on(cluster.client(cluster.master())) == []
    gap = f"longest gap {ledger.longest_gap:.2f} s"
    return f"{ledger.acknowledged} writes and {callers.calls} new connections, 0 failed, {gap}"


def nobody_was_refused(cluster: LiveCluster) -> bool:
    """Say whether no part of the cluster came with a password that isn't valid any more."""
    return all(cluster.client(node).acl_log() == [] for node in cluster.nodes)


def containers(cluster: LiveCluster) -> dict[str, str]:
    names = [*cluster.nodes, *(node["name"] for node in cluster.outputs["sentinels"])]
    return {n: docker("inspect", "-f", "{{.Id}}", cluster.container(n)) for n in names}


def rotate(stack: Stack, kind: str, *options: str) -> None:
    stack.redis_ha("rotate", kind, "--yes", *options)


@pytest.mark.timeout(600)
def test_passwords_change_without_a_failed_command_also_when_it_is_killed(
    stack: Stack, cluster: LiveCluster, figure: Figure
) -> None:
    same = containers(cluster)
    command = ("redis-ha", "rotate", "users", "--yes", "--stack", stack.name)
    with clients(cluster) as (ledger, callers):
        assert stack.kill_after(KILLED_AFTER, *command)
        stack.adopt_settings()
        rotate(stack, "users")
    figure(f"users: {nothing_failed(cluster, ledger, callers)}")
    old = (cluster.access("REDIS"), cluster.access())
    renewed = LiveCluster.of(stack)
    assert renewed.env["REDIS_PASSWORD"] != cluster.env["REDIS_PASSWORD"]
    with clients(renewed) as (ledger, callers):
        rotate(stack, "users", "--finish")
    figure(f"users --finish: {nothing_failed(renewed, ledger, callers)}")
    assert nobody_was_refused(renewed)
    for access in old:
        for address in (*cluster.nodes.values(), *access.sentinels):
            with pytest.raises(redis.AuthenticationError), access.connect(address) as client:
                client.ping()
    assert containers(cluster) == same
    assert set(stack.changes()) == {"same"}
    cluster.renew()
    for node in cluster.nodes:
        cluster.client(node).acl_log_reset()
    stack.redis_ha("ready")


def test_the_new_passwords_outlive_a_crash_and_a_failover(
    stack: Stack, cluster: LiveCluster
) -> None:
    old = cluster.master()
    docker("kill", cluster.container(old))
    eventually(lambda: cluster.master(other_than=old) != "", within=30, what="a new master")
    docker("start", cluster.container(old))
    cluster.wait_until_healthy()


@only_long("the CA's rotation changes them too")
@pytest.mark.timeout(600)
def test_certificates_change_without_a_failed_command(
    stack: Stack, cluster: LiveCluster, figure: Figure
) -> None:
    same = {n: made for n, made in containers(cluster).items() if n in cluster.nodes}
    with clients(cluster) as (ledger, callers):
        rotate(stack, "certs")
    figure(f"certs: {nothing_failed(cluster, ledger, callers)}")
    assert {n: docker("inspect", "-f", "{{.Id}}", cluster.container(n)) for n in same} == same


@pytest.mark.timeout(900)
def test_the_ca_changes_without_a_failed_command(
    stack: Stack, cluster: LiveCluster, figure: Figure
) -> None:
    with clients(cluster) as (ledger, callers):
        rotate(stack, "ca")
    figure(f"ca: {nothing_failed(cluster, ledger, callers)}")
    both = LiveCluster.of(stack)
    assert both.ca.read_text().count("BEGIN CERTIFICATE") == 2
    with clients(both) as (ledger, callers):
        rotate(stack, "ca", "--finish")
    figure(f"ca --finish: {nothing_failed(both, ledger, callers)}")
    cluster.renew()
    assert cluster.ca.read_text().count("BEGIN CERTIFICATE") == 1


@pytest.mark.timeout(600)
def test_old_backups_stay_readable_with_the_old_identity(
    stack: Stack, cluster: LiveCluster, tmp_path: Path
) -> None:
    old = tmp_path / "old.txt"
    old.write_text(cluster.identity.read_text())
    before = json.loads(cluster.worker("snapshot", "--json").stdout)["id"]
    rotate(stack, "backup-key")
    both = LiveCluster.of(stack)
    assert len(both.identity.read_text().split()) == 2
    after = json.loads(both.worker("snapshot", "--json").stdout)["id"]
    for snapshot, identity in ((before, old), (before, both.identity), (after, both.identity)):
        target = tmp_path / f"{snapshot}-{identity.stem}"
        both.worker(
            *("restore", snapshot, "--output", str(target), "--identity", str(identity), "--yes")
        )
    refused = both.worker("verify", after, "--identity", str(old), check=False)
    assert refused.returncode == 4
