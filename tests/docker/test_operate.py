"""`redis-ha` on the real stack, from the host, as after `source .redis-ha/env`."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.docker.stack import Finished, LiveCluster, docker, eventually, run

Figure = Callable[[str], None]


def redis_ha(
    cluster: LiveCluster, *args: str, code: int | None = 0, more: Mapping[str, str] | None = None
) -> Finished:
    """Run a command; `code` is how it must end, None for either way."""
    env = os.environ | cluster.env | {"REDIS_TLS_CA": str(cluster.ca)} | dict(more or {})
    done = run(["redis-ha", *args], env=env, check=False)
    assert code in (None, done.returncode), f"{args}\n{done.stdout}\n{done.stderr}"
    return done


def described(cluster: LiveCluster, *args: str, code: int | None = 0) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(redis_ha(cluster, *args, "--json", code=code).stdout)
    return document


def is_ready(cluster: LiveCluster) -> bool:
    return redis_ha(cluster, "ready", code=None).returncode == 0


@pytest.fixture
def without_a_replica(cluster: LiveCluster) -> Iterator[str]:
    """Name a replica that is stopped for this test."""
    replica = next(node for node in cluster.nodes if node != cluster.master())
    docker("stop", cluster.container(replica))
    yield replica
    docker("start", cluster.container(replica))
    # The sentinels connect to it again later than its replication does.
    eventually(lambda: is_ready(cluster), within=60, what="a cluster ready to fail over")


def test_status_knows_the_names_and_the_last_proven_backup(cluster: LiveCluster) -> None:
    def proven() -> bool:
        backup = described(cluster, "status", code=None)["backup"]
        return backup["proof_age"] is not None and backup["troubles"] == []

    eventually(proven, within=60, what="a proven snapshot", every=1.0)
    shown = described(cluster, "status")
    assert {n["name"]: n["address"] for n in shown["nodes"]} == {
        name: str(address) for name, address in cluster.nodes.items()
    }
    assert (shown["master"], shown["healthy"]) == (cluster.master(), True)
    assert {s["names"] for s in shown["sentinels"]} == {cluster.master()}
    assert shown["backup"]["running"]
    lines = redis_ha(cluster, "status").stdout.splitlines()
    (backup,) = [line.split("\t") for line in lines if line.startswith("backup")]
    assert backup[1].startswith(shown["backup"]["snapshot"])
    assert backup[2].endswith(" ago")


def test_health_knows_all_four_levels(cluster: LiveCluster) -> None:
    shown = described(cluster, "health")
    states = {level["check"]: level["state"] for level in shown["levels"]}
    assert states == dict.fromkeys(("container", "sentinel", "replication", "application"), "ok")
    container = next(level for level in shown["levels"] if level["check"] == "container")
    assert "all 6 run" in container["reason"]


def test_a_stopped_replica_is_named_by_status_health_and_doctor(
    cluster: LiveCluster, without_a_replica: str
) -> None:
    shown = described(cluster, "status", code=1)
    assert shown["healthy"] is False
    assert next(n["role"] for n in shown["nodes"] if n["name"] == without_a_replica) is None
    health = described(cluster, "health", code=1)
    assert health["health"] == "degraded"
    subjects = {level["subject"] for level in health["levels"] if level["check"] == "container"}
    assert subjects == {cluster.container(without_a_replica)}
    advice = redis_ha(cluster, "doctor", code=1).stdout
    assert without_a_replica in advice
    # It is one of the cluster's, and comes back: to forget it would be the next trouble.
    assert "SENTINEL RESET" not in advice


def test_a_failover_would_work_and_the_doctor_finds_nothing(cluster: LiveCluster) -> None:
    checks = described(cluster, "ready")["checks"]
    assert {check["state"] for check in checks} == {"ok"}
    found = [f for f in described(cluster, "doctor", code=None)["findings"] if f["state"] != "ok"]
    assert found == []


def test_stats_measure_and_plan_predicts(cluster: LiveCluster) -> None:
    stats = described(cluster, "stats", "--samples", "50")
    assert (stats["availability"], stats["agreeing"]) == (1.0, 3)
    assert stats["master"] == cluster.master()
    faults = {fault["fault"]: fault["outage"] for fault in described(cluster, "plan")["faults"]}
    assert {"crash", "hang", "partition", "switchover"} <= set(faults)


def test_env_writes_a_file_that_is_enough_by_itself(cluster: LiveCluster, tmp_path: Path) -> None:
    secrets = [value for name, value in cluster.env.items() if name.endswith("_PASSWORD")]
    shown = redis_ha(cluster, "env").stdout
    assert "REDIS_SENTINEL_HOST_1" in shown
    assert [secret for secret in secrets if secret in shown] == []
    file = tmp_path / ".env.redis-ha"
    redis_ha(cluster, "env", "-o", str(file))
    assert file.stat().st_mode & 0o777 == 0o600
    bare = {name: os.environ[name] for name in ("PATH", "HOME")}
    done = run(["env", "-C", str(tmp_path), "redis-ha", "health"], env=bare)
    assert done.stdout.splitlines()[-1] == "healthy"


def test_failover_under_load_loses_nothing(cluster: LiveCluster, figure: Figure) -> None:
    old, began = cluster.master(), datetime.now(UTC)
    with cluster.writers(4) as ledger:
        ledger.wait_for_writes(2000)
        done = described(cluster, "failover", "--yes")
        ledger.wait_for_writes(2000)
    cluster.wait_until_healthy()
    new = cluster.master()
    assert new != old
    assert new in str(done)
    assert ledger.missing_on(cluster.client(new)) == []
    figure(f"{ledger.acknowledged} acknowledged, 0 lost, longest gap {ledger.longest_gap:.2f} s")
    timeline = described(cluster, "events", "--since", began.isoformat())
    assert [(f["cause"], f["from"], f["to"]) for f in timeline["failovers"]] == [
        ("switchover", old, new)
    ]


def test_the_logs_of_all_containers_are_one_stream(cluster: LiveCluster) -> None:
    lines = [json.loads(line) for line in redis_ha(cluster, "logs", "--json").stdout.splitlines()]
    assert {line["node"] for line in lines} >= {*cluster.nodes, "sentinel-1", "backup-worker"}
    assert {line["component"] for line in lines} >= {"redis", "sentinel", "guard", "worker"}
    times = [line["time"] for line in lines]
    assert times == sorted(times)


def test_what_can_not_be_done_has_its_own_exit_code(cluster: LiveCluster) -> None:
    assert "redis-9" in redis_ha(cluster, "failover", "--to", "redis-9", "--yes", code=3).stderr
    nowhere = {f"REDIS_SENTINEL_PORT_{n}": "1" for n in (1, 2, 3)}
    assert "no sentinel answers" in redis_ha(cluster, "status", code=6, more=nowhere).stderr
    wrong = redis_ha(cluster, "status", code=6, more={"REDIS_OPERATOR_PASSWORD": "wrong"})
    assert "password" in wrong.stderr
