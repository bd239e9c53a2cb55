"""`redis-ha` looking at real servers: healthy, hurt, and down."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from hashlib import sha256
from typing import Any

import pytest

from redis_ha.discovery import ask_node
from tests.processes import cluster_files as files
from tests.processes.cluster import Cluster, Process
from tests.processes.redis_ha.operator_command import OperatorCommand

# What Redis' documentation gives for a client of Sentinel: a peer needs more.
CLIENT_RULES = (
    "reset on allchannels -@all +auth +client|getname +client|id +client|setname"
    " +command +hello +ping +role +sentinel|get-master-addr-by-name +sentinel|master"
    " +sentinel|myid +sentinel|replicas +sentinel|sentinels"
)


def check_of(document: dict[str, object], name: str) -> list[dict[str, str]]:
    checks = document.get("checks") or document.get("findings") or document.get("levels")
    assert isinstance(checks, list)
    return [check for check in checks if check["check"] == name]


def allow(node: Process, user: str, rules: str) -> None:
    password = "#" + sha256(files.PASSWORDS[user].encode()).hexdigest()
    with node.client() as client:
        client.execute_command("ACL", "SETUSER", user, *rules.split(), password)


def test_a_healthy_cluster_is_drawn_measured_and_found_ready(
    cluster: Cluster, operator: OperatorCommand
) -> None:
    status = operator.json("status")
    assert status["healthy"]
    assert status["master"] == operator.name_of(cluster.master.address)
    assert {node["role"] for node in status["nodes"]} == {"master", "replica"}
    assert [s["names"] for s in status["sentinels"]] == [status["master"]] * 3
    assert status["backup"]["absent"]
    health = operator.json("health")
    assert health["health"] == "healthy"
    levels = {level["check"] for level in health["levels"]}
    assert levels == {"container", "sentinel", "replication", "application"}
    assert operator.json("ready")["ready"]
    stats = operator.json("stats")
    assert stats["availability"] == 1.0
    assert stats["latency"]["samples"] > 50
    assert 0 < stats["latency"]["p50"] <= stats["latency"]["p95"] <= stats["latency"]["p99"]
    assert [lag["bytes"] for lag in stats["lag"]] == [pytest.approx(0, abs=10_000)] * 2
    plan = operator.json("plan")
    assert {f["fault"]: f["outage"] for f in plan["faults"]}["crash"] == "2.4-3.3 s"
    with cluster.master.client() as client:
        assert client.dbsize() == 0, "health left a key behind"
    for process in (*cluster.data_nodes, *cluster.sentinels):
        with process.client() as client:
            assert client.acl_log() == [], process.name


def test_a_pipe_gets_plain_tab_separated_lines(operator: OperatorCommand) -> None:
    lines = [line.split("\t") for line in operator.run("status").stdout.splitlines()]
    assert [line[0] for line in lines] == ["node"] * 3 + ["sentinel"] * 3 + ["backup"]
    assert {len(line) for line in lines[:6]} == {8}
    assert "\x1b" not in operator.run("ready").stdout


def test_a_terminal_gets_a_picture_in_colour(operator: OperatorCommand) -> None:
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "redis_ha", "status"],
        stdin=slave, stdout=slave, stderr=slave,
        env=operator.environment | {"TERM": "xterm-256color"}, cwd=operator.directory,
    )  # fmt: skip
    os.close(slave)
    shown = b""
    try:
        while chunk := os.read(master, 65_536):
            shown += chunk
    except OSError:  # the other end is closed
        pass
    assert process.wait(30) == 0
    text = shown.decode()
    assert "\x1b[" in text
    assert "MASTER" in text
    assert "├─" in text
    assert "└─" in text
    os.close(master)


def test_ready_says_no_when_the_peers_rules_are_wrong_though_ckquorum_says_ok(
    cluster: Cluster, operator: OperatorCommand
) -> None:
    for sentinel in cluster.sentinels:
        allow(sentinel, "sentinel-peer", CLIENT_RULES)
    # Long enough for the sentinels to take a peer for down, if they ever did.
    time.sleep(cluster.settings.down_after / 1000 + 1)
    for sentinel in cluster.sentinels:
        with sentinel.client() as client:
            answer = client.execute_command("SENTINEL", "CKQUORUM", files.MASTER_NAME)
            assert str(answer).startswith("OK 3 usable")
    verdict = operator.json("ready", code=1)
    assert not verdict["ready"]
    assert check_of(verdict, "quorum")[0]["state"] == "ok"
    reasons = [check["reason"] for check in check_of(verdict, "peer rights")]
    assert any("may not SENTINEL IS-MASTER-DOWN-BY-ADDR" in reason for reason in reasons)
    said = operator.run("ready")
    assert said.returncode == 1
    assert "no, a failover would not work now" in said.stdout
    # And so it is: the crash is seen, but nobody becomes master.
    old = cluster.master.kill()
    deadline = time.monotonic() + cluster.settings.down_after / 1000 + 5
    while time.monotonic() < deadline:
        assert not [v for v in cluster.views() if v.role == "master"]
        time.sleep(0.5)
    old.start()


BROKEN_RIGHTS = {
    "the peers' password": ("sentinels", "sentinel-peer", "resetpass >other", "peer rights"),
    "no such peer user": ("sentinels", "sentinel-peer", "off", "peer rights"),
    "no SLAVEOF": ("data_nodes", "sentinel", "-slaveof", "node rights"),
    "no CONFIG REWRITE": ("data_nodes", "sentinel", "-config|rewrite", "node rights"),
    "no EXEC": ("data_nodes", "sentinel", "-exec", "node rights"),
    "no hello": ("data_nodes", "sentinel", "resetchannels", "node rights"),
    "no PSYNC": ("data_nodes", "replica", "-psync", "node rights"),
    "the replicas' password": ("data_nodes", "replica", "resetpass >other", "node rights"),
}


def test_each_right_that_a_failover_needs_is_missed_and_found_again(
    cluster: Cluster, operator: OperatorCommand
) -> None:
    for name, (kind, user, rules, check) in BROKEN_RIGHTS.items():
        node = getattr(cluster, kind)[1]
        known = files.SENTINEL_RULES if kind == "sentinels" else files.DATA_RULES
        with node.client() as client:
            client.execute_command("ACL", "SETUSER", user, *rules.split())
        verdict = operator.json("ready", code=1)
        bad = [found for found in check_of(verdict, check) if found["state"] == "bad"]
        assert [found for found in bad if user in found["reason"]], (name, verdict)
        allow(node, user, "reset on " + known[user])
        cluster.wait_for(lambda: operator.run("ready").returncode == 0, 30.0)


def test_lost_members_are_named_and_the_health_falls(
    cluster: Cluster, operator: OperatorCommand
) -> None:
    replica, sentinel = cluster.replicas[0], cluster.sentinels[2]
    replica.kill()
    sentinel.kill()
    status = operator.run("status")
    assert status.returncode == 1
    assert "nobody listens there" in status.stdout
    health = operator.json("health", code=1)
    assert health["health"] == "degraded"
    cluster.wait_for(lambda: "takes_for_down" in operator.run("status", "--json").stdout)
    verdict = operator.json("ready")  # one replica and two sentinels still do
    assert "warning" in {check["state"] for check in verdict["checks"]}
    doctor = operator.json("doctor", code=1)
    gone = {found["subject"] for found in check_of(doctor, "ports")}
    assert gone == {operator.name_of(replica.address), "sentinel-3"}
    for node in cluster.data_nodes:
        if node.running:
            node.kill()
    down = operator.json("health", code=2)
    assert down["health"] == "down"
    assert check_of(down, "application")[0]["state"] == "bad"


def test_the_doctor_finds_what_was_done_and_says_what_helps(
    cluster: Cluster, operator: OperatorCommand
) -> None:
    replica, sentinel = cluster.replicas[0], cluster.sentinels[0]
    with replica.client() as client:
        client.config_set("replica-priority", 10)
        client.config_set("repl-backlog-size", "1mb")
        client.config_set("save", "")
        client.config_set("appendonly", "no")
    with replica.client("app") as client, pytest.raises(Exception, match="permissions"):
        client.config_get("*")
    with sentinel.client() as client:
        client.execute_command(
            "SENTINEL", "SET", files.MASTER_NAME, "down-after-milliseconds", "60000"
        )
    doctor = operator.json("doctor", code=1)
    troubles = {f["check"]: f for f in doctor["findings"] if f["state"] in ("warning", "bad")}
    name = operator.name_of(replica.address)
    for check in ("replication buffers", "persistence", "ACL denials"):
        assert name in troubles[check]["subject"], check
    assert "10" in troubles["priorities"]["reason"]
    assert "failover timing" in troubles
    assert "certificates" in troubles  # the test's are good for two days
    assert all(f["remedy"] for f in troubles.values())


def test_two_masters_are_a_split_brain(cluster: Cluster, operator: OperatorCommand) -> None:
    other = cluster.replicas[0]
    with other.client() as client:
        client.execute_command("REPLICAOF", "NO", "ONE")
    doctor = operator.json("doctor", code=1)
    assert "say they are master" in check_of(doctor, "split brain")[0]["reason"]
    assert not operator.json("ready", code=1)["ready"]
    assert operator.run("status").returncode == 1
    assert ask_node(cluster.access(), other.address).role == "master"


def test_a_restarted_cluster_s_forgotten_replica_is_a_zombie(
    cluster: Cluster, operator: OperatorCommand
) -> None:
    gone = cluster.replicas[0].kill()
    name = operator.name_of(gone.address)

    def named() -> bool:
        found = json.loads(operator.run("doctor", "--json").stdout)
        return any(name in entry["reason"] for entry in check_of(found, "entries"))

    cluster.wait_for(named, 15.0)


def monitoring(operator: OperatorCommand) -> tuple["subprocess.Popen[str]", dict[str, Any]]:
    """Start `monitor` and return it with the first line that it said."""
    process = subprocess.Popen(
        [sys.executable, "-m", "redis_ha", "monitor", "--interval", "0.3", "--json"],
        env=operator.environment, cwd=operator.directory, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    return process, json.loads(process.stdout.readline())


def test_monitor_says_a_line_each_time_and_ends_cleanly_when_interrupted(
    cluster: Cluster, operator: OperatorCommand
) -> None:
    process, first = monitoring(operator)
    assert (first["health"], first["agreeing"]) == ("healthy", 3)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    summary = json.loads(out.splitlines()[-1])
    assert summary["summary"]
    assert summary["down"] == 0
    bounded = operator.run("monitor", "--interval", "0.2", "--duration", "0.5")
    assert bounded.returncode == 0
    # One look may take longer than the interval on a busy machine.
    assert 1 <= len(bounded.stdout.splitlines()) <= 3


def test_monitor_sums_up_when_it_is_terminated(operator: OperatorCommand) -> None:
    process, first = monitoring(operator)
    assert first["agreeing"] == 3
    process.terminate()
    out, err = process.communicate(timeout=30)
    assert process.returncode == 143, err
    summary = json.loads(out.splitlines()[-1])
    assert summary["summary"]
    assert summary["ticks"] >= 1


def test_settings_come_without_secrets_unless_asked(operator: OperatorCommand) -> None:
    plain = operator.run("env")
    assert files.PASSWORDS["app"] not in plain.stdout
    assert "REDIS_SENTINEL_HOST_1" in plain.stdout
    assert files.PASSWORDS["app"] in operator.run("env", "--secrets").stdout
    target = operator.directory / "written.env"
    assert operator.run("env", "-o", str(target)).returncode == 0
    assert target.stat().st_mode & 0o777 == 0o600
    # The file alone, where the command looks for it, is enough to find the cluster.
    target.rename(operator.directory / ".env.redis-ha")
    kept = {k: v for k, v in operator.environment.items() if not k.startswith("REDIS_")}
    done = subprocess.run(
        [sys.executable, "-m", "redis_ha", "status", "--json"],
        env=kept, cwd=operator.directory, capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["healthy"]
