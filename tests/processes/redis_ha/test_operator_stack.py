"""`redis-ha --stack`: the cluster found by the outputs of a stack that the real Pulumi keeps."""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.processes.cluster import Cluster
from tests.processes.redis_ha.operator_command import Finished, OperatorCommand

SECRET = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270"}


@dataclass(frozen=True)
class StackedOperator:
    """An operator who knows nothing but the stack's name."""

    operator: OperatorCommand
    environment: Mapping[str, str]

    def run(self, *words: str) -> Finished:
        hidden = {name: "" for name in self.operator.environment if name.startswith("REDIS_")}
        return self.operator.run(*words, settings={**hidden, **self.environment})

    def pulumi(self, *words: str, stdin: str = "") -> None:
        subprocess.run(
            ["pulumi", *words, "--non-interactive"],
            env=os.environ | self.environment, cwd=self.operator.directory, input=stdin,
            text=True, check=True, capture_output=True, timeout=60,
        )  # fmt: skip


def outputs_of(cluster: Cluster, operator: OperatorCommand) -> dict[str, Any]:
    """Build the outputs that the program gives of such a cluster (infra: Cluster.outputs)."""

    def described(process: Any, role: str) -> dict[str, Any]:
        host, port = process.address.host, process.address.port
        place = {"address": host, "port": port, "hostPort": port}
        return {"name": process.name, "role": role, "container": f"test-{process.name}", **place}

    env = {k: v for k, v in operator.environment.items() if k.startswith("REDIS_")}
    del env["REDIS_TLS_CA"]
    fault = {"fault": "crash", "outage": "5.4-6.3 s", "loss": "usually none", "basis": "measured"}
    return {
        "nodes": [described(node, "data") for node in cluster.data_nodes],
        "sentinels": [described(node, "sentinel") for node in cluster.sentinels],
        "env": {**SECRET, "plaintext": json.dumps(env)},
        "ca": cluster.tls.ca.read_text(),
        "plan": {"faults": [fault]},
    }


@pytest.fixture
def stacked(cluster: Cluster, operator: OperatorCommand, tmp_path: Path) -> StackedOperator:
    """Give an operator with a stack `dev` whose outputs name the cluster."""
    if shutil.which("pulumi") is None:
        pytest.skip("pulumi is not on the PATH: `make test` brings it")
    (tmp_path / "backend").mkdir()
    (operator.directory / "Pulumi.yaml").write_text("name: redis-ha\nruntime: python\n")
    environment = {
        "PULUMI_BACKEND_URL": f"file://{tmp_path / 'backend'}",
        "PULUMI_CONFIG_PASSPHRASE": "test",
        "PULUMI_HOME": str(tmp_path / "home"),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "TMPDIR": str(tmp_path),
    }
    found = StackedOperator(operator, environment)
    found.pulumi("stack", "init", "empty")
    found.pulumi("stack", "init", "dev")
    exported = subprocess.run(
        ["pulumi", "stack", "export", "-s", "dev"],
        env=os.environ | environment, cwd=operator.directory,
        text=True, check=True, capture_output=True, timeout=60,
    ).stdout  # fmt: skip
    state = json.loads(exported)
    resource = {
        "urn": "urn:pulumi:dev::redis-ha::pulumi:pulumi:Stack::redis-ha-dev",
        "type": "pulumi:pulumi:Stack",
        "custom": False,
        "outputs": outputs_of(cluster, operator),
    }
    state["deployment"]["resources"] = [resource]
    found.pulumi("stack", "import", "-s", "dev", stdin=json.dumps(state))
    return found


def test_the_cluster_is_found_by_its_stack(cluster: Cluster, stacked: StackedOperator) -> None:
    # The nodes' names are the stack's, also where their addresses are in another order.
    status = stacked.run("status", "--stack", "dev", "--json")
    assert status.returncode == 0, status.stderr
    names = {node["name"]: node["address"] for node in json.loads(status.stdout)["nodes"]}
    assert names == {node.name: str(node.address) for node in cluster.data_nodes}
    health = json.loads(stacked.run("health", "--stack", "dev", "--json").stdout)
    assert health["health"] in ("healthy", "degraded")  # no containers of those names here
    plan = stacked.run("plan", "--stack", "dev")
    assert plan.stdout.startswith("crash\t5.4-6.3 s")
    chosen = cluster.replicas[0].name
    done = stacked.run("failover", "--stack", "dev", "--to", chosen, "--yes", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["to"] == chosen == cluster.master.name


def test_no_stack_of_that_name_and_none_with_a_cluster(stacked: StackedOperator) -> None:
    unknown = stacked.run("status", "--stack", "nosuch")
    assert (unknown.returncode, len(unknown.stderr.splitlines())) == (3, 1)
    assert "there is no stack of that name" in unknown.stderr
    empty = stacked.run("status", "--stack", "empty")
    assert empty.returncode == 3
    assert "nothing is up" in empty.stderr
    elsewhere = stacked.operator.directory / "Pulumi.yaml"
    elsewhere.unlink()
    lost = stacked.run("status", "--stack", "dev")
    assert lost.returncode == 3
    assert "not the project's folder" in lost.stderr
