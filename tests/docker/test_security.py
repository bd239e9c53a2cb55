"""Every running container and server held against the lines of docs/SECURITY.md.

Containers are read from Docker, not from the plan: whatever the stack runs is looked at.
"""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from tests.docker.stack import LiveCluster, docker

HARMLESS_PORTS = range(1024, 65536)
DANGEROUS_SETTINGS = ("enable-protected-configs", "enable-module-command")


def containers(cluster: LiveCluster) -> list[dict[str, Any]]:
    """Return all running containers of the stack as Docker describes them."""
    prefix = cluster.stack.prefix
    names = docker("ps", "--format", "{{.Names}}", "--filter", f"name=^{prefix}").split()
    assert len(names) >= 7
    described: list[dict[str, Any]] = json.loads(docker("inspect", *names))
    return described


def writable(container: dict[str, Any], *places: str) -> str:
    """List what the container's user may write there, links apart."""
    find = ["find", *places, "-xdev", "-writable", "-not", "-type", "l"]
    return docker("exec", container["Name"], *find, check=False)


def names_of(found: Sequence[dict[str, Any]]) -> list[str]:
    return [container["Name"] for container in found]


def test_nothing_of_the_host_is_shared(cluster: LiveCluster) -> None:
    for container in containers(cluster):
        host = container["HostConfig"]
        modes = [host[f"{kind}Mode"] for kind in ("Pid", "Ipc", "UTS", "Userns", "Network")]
        assert "host" not in modes, container["Name"]
        assert not host["Devices"], container["Name"]
        assert {mount["Type"] for mount in container["Mounts"]} <= {"volume"}, container["Name"]
        assert not any("docker.sock" in mount["Source"] for mount in container["Mounts"])


def test_the_kernel_filters_system_calls(cluster: LiveCluster) -> None:
    for container in containers(cluster):
        options = container["HostConfig"]["SecurityOpt"]
        assert not any("unconfined" in option for option in options), container["Name"]
        status = docker("exec", container["Name"], "cat", "/proc/1/status")
        assert "Seccomp:\t2" in status, container["Name"]


def test_processes_and_files_are_bounded(cluster: LiveCluster) -> None:
    for container in containers(cluster):
        limits = {limit["Name"] for limit in container["HostConfig"]["Ulimits"]}
        assert limits == {"nofile", "nproc"}, container["Name"]


def test_only_our_network_is_joined(cluster: LiveCluster) -> None:
    network = f"{cluster.stack.prefix}redis-ha"
    joined = {name for c in containers(cluster) for name in c["NetworkSettings"]["Networks"]}
    assert joined == {network}


def test_no_privileged_port_is_opened(cluster: LiveCluster) -> None:
    for container in containers(cluster):
        bound = container["NetworkSettings"]["Ports"] or {}
        ports = [int(b["HostPort"]) for bindings in bound.values() for b in bindings or ()]
        assert all(port in HARMLESS_PORTS for port in ports), container["Name"]


def test_every_container_is_checked_for_health(cluster: LiveCluster) -> None:
    unchecked = [c for c in containers(cluster) if not c["Config"].get("Healthcheck")]
    assert names_of(unchecked) == []


def test_no_program_can_raise_its_rights(cluster: LiveCluster) -> None:
    for container in containers(cluster):
        find = ["find", "/", "-xdev", "-perm", "/6000", "-type", "f"]
        assert docker("exec", container["Name"], *find, check=False) == "", container["Name"]


def test_a_node_can_not_change_its_programs_or_settings(cluster: LiveCluster) -> None:
    for container in containers(cluster):
        mounts = {m["Destination"]: m["RW"] for m in container["Mounts"]}
        settings = [place for place in mounts if place.startswith("/etc/")]
        # The worker's are copied into it; all others have theirs in a volume.
        assert settings or "backup-worker" in container["Name"]
        assert not any(mounts[place] for place in settings), container["Name"]
        places = ["/opt", "/usr", "/etc", *settings]
        assert writable(container, *places) == "", container["Name"]
        # It would be seen.
        assert writable(container, "/tmp", "/run", "/data"), container["Name"]


def test_no_other_process_runs_than_ours(cluster: LiveCluster) -> None:
    for container in containers(cluster):
        listed = docker("top", container["Name"], "-eo", "pid,comm").split()
        assert not {"sshd", "cron", "systemd"} & set(listed), container["Name"]


@pytest.mark.parametrize("setting", DANGEROUS_SETTINGS)
def test_a_dangerous_feature_is_off(cluster: LiveCluster, setting: str) -> None:
    for node in cluster.nodes:
        assert cluster.client(node).config_get(setting) == {setting: "no"}


@pytest.mark.parametrize(
    "command",
    [
        "FLUSHALL",
        "SHUTDOWN NOSAVE",
        "CONFIG SET dir /tmp",
        "DEBUG SLEEP 0",
        "MODULE LIST",
        "REPLICAOF NO ONE",
        "ACL LIST",
        "CLIENT KILL TYPE normal",
        "MONITOR",
        "SAVE",
    ],
)
@pytest.mark.parametrize("user", ["app", "app-readonly", "exporter", "backup"])
def test_a_dangerous_command_is_the_operators(
    cluster: LiveCluster, user: str, command: str
) -> None:
    if (user, command) == ("backup", "ACL LIST"):
        return  # The worker keeps the users' rules, as hashes, in each manifest.
    assert refused(cluster, user, command)


@pytest.mark.parametrize("user", ["app", "app-readonly"])
def test_an_application_reads_no_setting(cluster: LiveCluster, user: str) -> None:
    assert refused(cluster, user, "CONFIG GET masterauth")


@pytest.mark.parametrize("command", ["GET key", "KEYS *", "SCAN 0", "PSYNC ? -1"])
def test_who_watches_reads_no_data(cluster: LiveCluster, command: str) -> None:
    assert refused(cluster, "exporter", command)


def refused(cluster: LiveCluster, user: str, command: str) -> bool:
    """Say whether the server would refuse a command to a user."""
    client: Any = cluster.client("redis-1")
    answer = str(client.execute_command("ACL", "DRYRUN", user, *command.split()))
    assert answer == "OK" or "permissions" in answer, answer
    return answer != "OK"


@pytest.mark.parametrize("version", ["-tls1", "-tls1_1"])
def test_an_old_protocol_is_refused(cluster: LiveCluster, version: str) -> None:
    said = shake_hands(cluster, version, "-cipher", "ALL:@SECLEVEL=0")
    assert "Cipher is (NONE)" in said


def test_a_current_protocol_is_spoken(cluster: LiveCluster) -> None:
    assert "TLSv1.3" in shake_hands(cluster, "-tls1_3")


def shake_hands(cluster: LiveCluster, *options: str) -> str:
    """Return what openssl prints of a handshake with a data node, asked beside it."""
    port = str(cluster.nodes["redis-1"].port)
    ask = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", *options]
    return docker("exec", "-i", cluster.container("redis-1"), *ask, check=False, stdin="")
