"""The guide's scripts on a real stack, each line as it stands there."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docker.stack import REPOSITORY, Finished, LiveCluster, docker, run

SCRIPTS = REPOSITORY / "scripts" / "redis"


@pytest.fixture
def all_running(cluster: LiveCluster) -> Iterator[LiveCluster]:
    """The cluster; whatever a test stopped is started again."""
    yield cluster
    stopped = docker("ps", "--all", "--filter", "status=exited", "--format", "{{.Names}}").split()
    ours = [name for name in stopped if name.startswith(cluster.stack.prefix)]
    if ours:
        docker("start", *ours)


def script(cluster: LiveCluster, name: str, *args: str, check: bool = True) -> Finished:
    own = {"REDIS_TLS_CA": str(cluster.ca), "REDIS_BACKUP_IDENTITY": str(cluster.identity)}
    command = ["sh", str(SCRIPTS / name), *args]
    return run(command, env=os.environ | cluster.env | own, check=check)


def setup(cluster: LiveCluster, *args: str) -> Finished:
    return script(cluster, "redis-ha-setup.sh", *args)


def test_status_and_check_know_the_master(cluster: LiveCluster) -> None:
    rows = [line.split("\t") for line in setup(cluster, "status").stdout.splitlines()]
    masters = [row[1] for row in rows if row[3] == "master"]
    assert masters == [cluster.master()]
    assert script(cluster, "redis-ha-check.sh", "check").returncode == 0


def test_monitor_prints_a_line_a_second(cluster: LiveCluster) -> None:
    shown = script(cluster, "redis-ha-check.sh", "monitor", "--interval", "1", "--duration", "2")
    assert len(shown.stdout.splitlines()) >= 2


def test_failover_hands_over(cluster: LiveCluster) -> None:
    old = cluster.master()
    setup(cluster, "failover", "--yes")
    cluster.wait_until_healthy()
    assert cluster.master() != old


def test_backup_to_a_path_and_restore(cluster: LiveCluster, tmp_path: Path) -> None:
    client = cluster.client(cluster.master())
    client.set("guide", "before")
    setup(cluster, "backup", str(tmp_path / "copy.rdb"))
    assert (tmp_path / "copy.rdb").read_bytes().startswith(b"REDIS")
    client.set("guide", "after")
    setup(cluster, "restore", "latest", "--yes")
    cluster.wait_until_healthy()
    assert cluster.client(cluster.master()).get("guide") == "before"


def test_restore_takes_a_plain_file(cluster: LiveCluster, tmp_path: Path) -> None:
    file = tmp_path / "dump.rdb"
    cluster.client(cluster.master()).set("guide", "in the file")
    before = cluster.digests()
    cluster.worker("snapshot")
    cluster.worker("restore", "latest", "--output", str(file))
    cluster.client(cluster.master()).flushall()
    setup(cluster, "restore", str(file), "--yes")
    cluster.wait_until_healthy()
    assert cluster.digests() == before
    # A drill, of the snapshot that the worker takes after a restore, has a file of its own.
    others = ["(", "-path", "/proc", "-o", "-name", "drill", ")", "-prune", "-o"]
    left = ["find", "/", *others, "-name", "*.rdb", "-print"]
    # What it may not read makes it complain, and hides no file of the worker's.
    assert docker("exec", cluster.container("backup-worker"), *left, check=False) == ""
    file.write_bytes(b"no RDB")
    refused = script(cluster, "redis-ha-setup.sh", "restore", str(file), "--yes", check=False)
    assert refused.returncode == 4
    assert str(file) in refused.stderr
    assert cluster.digests() == before


def test_stop_keeps_the_data_and_restart_brings_all_back(all_running: LiveCluster) -> None:
    cluster = all_running
    cluster.client(cluster.master()).set("survives", "a stop")
    setup(cluster, "stop")
    assert docker("ps", "--filter", f"name=^{cluster.stack.prefix}", "--quiet") == ""
    setup(cluster, "restart")
    cluster.wait_until_healthy()
    assert cluster.client(cluster.master()).get("survives") == "a stop"


def test_restart_of_a_running_cluster_loses_no_write(all_running: LiveCluster) -> None:
    cluster = all_running
    before = started(cluster)
    with cluster.writers(2) as ledger:
        ledger.wait_for_writes(500)
        setup(cluster, "restart")
        ledger.wait_for_writes(500)
    cluster.wait_until_healthy()
    assert ledger.missing_on(cluster.client(cluster.master())) == []
    after = started(cluster)
    assert [node for node in before if before[node] == after[node]] == []


def started(cluster: LiveCluster) -> dict[str, str]:
    nodes = [n["name"] for n in (*cluster.outputs["nodes"], *cluster.outputs["sentinels"])]
    return {n: docker("inspect", "-f", "{{.State.StartedAt}}", cluster.container(n)) for n in nodes}
