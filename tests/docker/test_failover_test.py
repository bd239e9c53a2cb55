"""`redis-ha failover-test` on real containers: each fault, healed; killed in the middle, too."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from redis_ha.prediction import FENCING_EXTRA
from tests.docker.stack import REPOSITORY, LiveCluster, docker, eventually, run


@dataclass
class Command:
    """The command as an operator runs it after `source .redis-ha/env`."""

    cluster: LiveCluster
    state: Path

    @property
    def environment(self) -> dict[str, str]:
        own = {"REDIS_TLS_CA": str(self.cluster.ca), "XDG_STATE_HOME": str(self.state)}
        return os.environ | self.cluster.env | own

    def line(self, *args: str) -> list[str]:
        quick = ["--duration", "1", "--writers", "1", "--client", "redis-ha"]
        return ["redis-ha", "failover-test", "--yes", *quick, *args]

    def run(self, *args: str) -> dict[str, Any]:
        done = run(self.line("--json", *args), env=self.environment, check=False)
        assert done.returncode in (0, 1), done.stderr
        document: dict[str, Any] = json.loads(done.stdout)
        return document

    @property
    def journal(self) -> str:
        return "".join(path.read_text() for path in self.state.rglob("failover-test-*.json"))


@pytest.fixture
def command(cluster: LiveCluster, tmp_path: Path) -> Iterator[Command]:
    ready = Command(cluster, tmp_path)
    yield ready
    for node in cluster.nodes:
        state = docker("inspect", "-f", "{{.State.Status}}", cluster.container(node))
        assert state == "running", f"{node} was left {state}"


def troubles(document: dict[str, Any]) -> list[str]:
    """Everything that failed but the times: those belong to a machine with nothing else to do."""
    checks = document["runs"][0]["checks"]
    failed = [c for c in checks if not c["passed"] and not c["name"].startswith("outage")]
    return [f"{check['name']}: {check['reason']}" for check in failed]


def addresses(cluster: LiveCluster) -> dict[str, str]:
    form = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    return {n: docker("inspect", "-f", form, cluster.container(n)) for n in cluster.nodes}


@pytest.mark.parametrize("fault", ["crash", "hang"])
def test_a_fault_is_judged_and_healed(command: Command, fault: str) -> None:
    judged_and_healed(command, "--fault", fault)


def judged_and_healed(command: Command, *args: str) -> dict[str, Any]:
    """Run a fault that must cost what is allowed, and leave nothing behind; return the document."""
    before = addresses(command.cluster)
    found = command.run(*args)
    assert troubles(found) == []
    assert addresses(command.cluster) == before
    assert '"injuries": []' in command.journal
    with command.cluster.client(command.cluster.master()) as client:
        assert client.keys("failover-test:*") == []
    return found


def test_a_cut_off_master_stops_taking_writes(command: Command) -> None:
    found = judged_and_healed(command, "--fault", "partition")
    (row,) = found["faults"]
    fence = found["settings"]["max_lag"] + FENCING_EXTRA
    assert 0 < row["inside_worst"] <= fence
    assert row["overlap_worst"] == 0


def test_a_master_that_can_not_answer_the_sentinels_is_replaced(command: Command) -> None:
    found = command.run("--fault", "asymmetric-partition")
    assert troubles(found) == []
    victim = command.cluster.container(found["runs"][0]["victim"])
    routes = docker("exec", victim, "cat", "/proc/net/route")
    assert [line for line in routes.splitlines()[1:] if line.startswith("*")] == []


@pytest.mark.parametrize("fault", ["switchover", "crash"])
def test_a_fault_beside_its_plain_peer_and_the_report(
    command: Command, tmp_path: Path, fault: str
) -> None:
    """A switchover beside `SENTINEL FAILOVER`, a crash beside one that no witness saw."""
    page = tmp_path / "report.html"
    judged_and_healed(command, "--fault", fault, "--compare", "--report", str(page))
    text = page.read_text()
    assert text.count("<svg") == 2
    assert 'data-mark="promoted"' in text


def test_killed_in_the_middle_the_next_run_heals(command: Command) -> None:
    cluster = command.cluster
    process = subprocess.Popen(
        command.line("--fault", "partition"),
        env=command.environment,
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        eventually(lambda: '"partition"' in command.journal, within=60, what="the fault")
        victim = str(json.loads(command.journal)["injuries"][0]["details"]["container"])
        eventually(lambda: is_hurt(victim), within=20, what="a hurt master")
    finally:
        process.kill()
        process.wait()
    assert is_hurt(victim)
    node = victim.removeprefix(cluster.stack.prefix)
    # Healed before the sentinels have acted, the cluster would see their failover in the next run.
    eventually(
        lambda: cluster.master(other_than=node) not in {"", node}, within=30, what="a new master"
    )
    found = command.run("--fault", "switchover")
    assert troubles(found) == []
    assert not is_hurt(victim)
    cluster.wait_until_healthy()


def is_hurt(container: str) -> bool:
    shown = json.loads(docker("inspect", container))[0]
    return bool(shown["State"]["Paused"] or not shown["NetworkSettings"]["Networks"])


def test_interrupted_by_hand_it_heals_at_once(command: Command) -> None:
    process = subprocess.Popen(
        command.line("--fault", "hang"),
        env=command.environment,
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    eventually(lambda: '"hang"' in command.journal, within=60, what="the fault")
    time.sleep(1)
    process.terminate()
    _, said = process.communicate(timeout=180)
    assert process.returncode == 143, said
    assert '"injuries": []' in command.journal
    command.cluster.wait_until_healthy()


def test_a_production_stack_is_refused(command: Command) -> None:
    marked = command.environment | {"REDIS_PRODUCTION": "true"}
    refused = run(command.line("--fault", "crash"), env=marked, check=False)
    assert refused.returncode == 7
    assert "--yes-production" in refused.stderr
    assert command.journal == ""


def test_without_a_terminal_it_wants_yes(command: Command) -> None:
    line = [word for word in command.line("--fault", "crash") if word != "--yes"]
    refused = run(line, env=command.environment, check=False)
    assert refused.returncode == 2
    assert "--yes" in refused.stderr
