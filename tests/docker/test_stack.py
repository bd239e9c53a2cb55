"""What `pulumi up` makes, and that a second one changes nothing."""

import json
import socket
from typing import Any

import pytest

from tests.docker.stack import LiveCluster, Stack, docker, eventually, run

CONTAINERS = (
    *("redis-1", "redis-2", "redis-3"),
    *("sentinel-1", "sentinel-2", "sentinel-3"),
    "backup-worker",
)


def inspected(cluster: LiveCluster, node: str) -> dict[str, Any]:
    container: dict[str, Any] = json.loads(docker("inspect", cluster.container(node)))[0]
    return container


def test_one_master_two_replicas_three_sentinels(cluster: LiveCluster) -> None:
    views = cluster.views()
    assert sorted(str(view.role) for view in views.values()) == ["master", "slave", "slave"]
    assert len(cluster.access().sentinels) == 3


def test_second_up_changes_nothing(stack: Stack, cluster: LiveCluster) -> None:
    assert set(stack.changes()) == {"same"}


def test_nothing_is_written_into_the_checkout(stack: Stack, cluster: LiveCluster) -> None:
    before = run(["git", "status", "--porcelain"]).stdout
    stack.up()
    assert run(["git", "status", "--porcelain"]).stdout == before


@pytest.mark.parametrize("node", CONTAINERS)
def test_container_is_confined(cluster: LiveCluster, node: str) -> None:
    container = inspected(cluster, node)
    host = container["HostConfig"]
    assert container["Config"]["User"] == "10001:10001"
    assert host["CapDrop"] in (["ALL"], ["CAP_ALL"])
    assert not host["Privileged"]
    assert any(option.startswith("no-new-privileges") for option in host["SecurityOpt"])
    assert host["Memory"] > 0
    assert host["RestartPolicy"]["Name"] == "unless-stopped"
    status = docker("exec", cluster.container(node), "cat", "/proc/1/status")
    assert "CapEff:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status


@pytest.mark.parametrize("node", CONTAINERS)
def test_ports_are_published_on_loopback_only(cluster: LiveCluster, node: str) -> None:
    """Under the same number; the worker has none."""
    bound = inspected(cluster, node)["HostConfig"]["PortBindings"] or {}
    members = [*cluster.outputs["nodes"], *cluster.outputs["sentinels"]]
    ports = [str(member["port"]) for member in members if member["name"] == node]
    assert bound == {f"{p}/tcp": [{"HostIp": "127.0.0.1", "HostPort": p}] for p in ports}
    assert len(ports) == (0 if node == "backup-worker" else 1)
    for port in ports:
        socket.create_connection(("127.0.0.1", int(port)), timeout=5).close()


def test_no_password_shows_in_inspect_history_state_or_preview(
    stack: Stack, cluster: LiveCluster
) -> None:
    secrets = [value for name, value in cluster.env.items() if name.endswith("_PASSWORD")]
    secrets.append(cluster.outputs["backupIdentity"].strip())
    shown = [docker("inspect", cluster.container(node)) for node in CONTAINERS]
    shown += [docker("logs", cluster.container(node)) for node in CONTAINERS]
    shown.append(json.dumps(stack.outputs(secrets_too=False)))
    shown.append(stack.pulumi("preview", "--diff", "-s", stack.name).stdout)
    shown += [path.read_text() for path in stack.root.rglob("*.json")]
    assert len(secrets) >= 4
    assert [secret for secret in secrets for text in shown if secret in text] == []


def test_default_user_and_plain_text_are_refused(cluster: LiveCluster) -> None:
    port = str(cluster.nodes["redis-1"].port)
    inside = ["exec", cluster.container("redis-1"), "redis-cli", "-p", port]
    assert "PONG" not in docker(*inside, "ping", check=False)
    tls = ["--tls", "--cacert", "/etc/redis-ha/tls/ca.crt"]
    assert "NOAUTH" in docker(*inside, *tls, "ping", check=False)


def test_least_privilege_suffices(cluster: LiveCluster) -> None:
    access = cluster.access()
    for address in (*cluster.nodes.values(), *access.sentinels):
        with access.connect(address) as client:
            assert client.acl_log() == [], address


def test_container_removed_by_hand_comes_back(stack: Stack, cluster: LiveCluster) -> None:
    docker("rm", "-f", cluster.container("sentinel-3"))
    stack.pulumi("refresh", "--yes", "--skip-preview", "-s", stack.name)
    stack.up()
    cluster.wait_until_healthy()
    health = ("inspect", "-f", "{{.State.Health.Status}}", cluster.container("sentinel-3"))
    eventually(lambda: docker(*health).strip() == "healthy", within=30, what="a healthy sentinel")


def test_change_of_one_worker_setting_touches_the_worker_only(
    stack: Stack, cluster: LiveCluster
) -> None:
    before = {node: inspected(cluster, node)["Id"] for node in CONTAINERS}
    stack.up(backupInterval=1800)
    after = {node: inspected(cluster, node)["Id"] for node in CONTAINERS}
    assert [node for node in CONTAINERS if before[node] != after[node]] == ["backup-worker"]


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"downAfterMs": 1000}, "downAfterMs"),
        ({"minReplicasMaxLag": 5}, "minReplicasMaxLag"),
        ({"quorum": 1}, "quorum"),
        ({"sentinels": 2}, "sentinels"),
        ({"minReplicasToWrite": 3}, "minReplicasToWrite"),
        ({"noSuchSetting": 1}, "noSuchSetting"),
    ],
)
def test_unsafe_setting_is_refused_at_preview(
    stack: Stack, settings: dict[str, int], reason: str
) -> None:
    kept = dict(stack.settings)
    try:
        stack.settings |= settings
        stack.write_settings()
        refused = stack.pulumi("preview", "-s", stack.name, check=False)
    finally:
        stack.settings = kept
        stack.write_settings()
    assert refused.returncode != 0
    assert reason in refused.stdout + refused.stderr
    assert "Traceback" not in refused.stdout + refused.stderr
