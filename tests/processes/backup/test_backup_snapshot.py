"""Snapshots of a real cluster: what they hold, where they come from, what stock tools see."""

import json
import subprocess
import time
from pathlib import Path

import redis

from tests.processes.backup.conftest import objects, transfers
from tests.processes.cluster import Cluster
from tests.processes.ports import HOST, free_ports
from tests.processes.restore import dataset
from tests.processes.worker_command import WorkerCommand


def digest_of(rdb: Path) -> str:
    """Load an RDB into a stock server without any of our settings; return its DEBUG DIGEST."""
    (port,) = free_ports(1)
    command = ["redis-server", "--port", str(port), "--bind", HOST, "--dir", str(rdb.parent)]
    command += ["--dbfilename", rdb.name, "--save", "", "--enable-debug-command", "local"]
    with (
        subprocess.Popen(command, stdout=subprocess.DEVNULL) as server,
        redis.Redis(HOST, port, decode_responses=True) as client,
    ):
        try:
            deadline = time.monotonic() + 20
            while True:
                try:
                    return str(client.execute_command("DEBUG", "DIGEST"))
                except redis.RedisError:
                    assert time.monotonic() < deadline
                    time.sleep(0.05)
        finally:
            server.kill()


def test_stock_tools_open_what_was_written(cluster: Cluster, tmp_path: Path) -> None:
    dataset.load(cluster)
    worker = WorkerCommand(tmp_path, cluster)
    described = worker.snapshot()
    rdb = tmp_path / "dump.rdb"
    subprocess.run(
        f"age -d -i {worker.identity_file} < {worker.store / described['object_key']}"
        f" | zstd -d > {rdb}",
        shell=True,
        check=True,
    )
    checked = subprocess.run(
        ["redis-check-rdb", str(rdb)], check=True, capture_output=True, text=True
    )
    assert "RDB looks OK" in checked.stdout
    assert rdb.stat().st_size == described["rdb_size"]
    assert digest_of(rdb) == cluster.digest()


def test_the_master_is_never_the_source(worker: WorkerCommand) -> None:
    cluster = worker.cluster
    before = transfers(cluster.master)
    sources = {worker.snapshot()["source"] for _ in range(3)}
    assert sources <= {str(node.address) for node in cluster.replicas}
    assert transfers(cluster.master) == before
    assert cluster.complaints() == []


def test_what_a_snapshot_says_of_itself_is_true(worker: WorkerCommand) -> None:
    described = worker.snapshot()
    (listed,) = worker.list()
    assert listed == described
    view = next(v for v in worker.cluster.views() if str(v.address) == described["source"])
    assert described["replid"] == view.replid
    assert 0 < described["offset"] <= view.offset
    assert (described["engine"], described["rdb_version"]) == ("redis", 10)
    operator, one_time = described["recipients"]
    assert operator == str(worker.identity.to_public())
    assert one_time.startswith("age1")
    assert objects(worker) == [
        f"snapshots/{described['id']}/contents.json.zst.age",
        f"snapshots/{described['id']}/dump.rdb.zst.age",
        f"snapshots/{described['id']}/manifest.json",
        f"snapshots/{described['id']}/proof.json",
    ]
    shown = worker.run("show", described["id"][:20])
    assert shown.returncode == 0
    assert f"sha256\t{described['sha256']}\n" in shown.stdout


def test_an_empty_cluster_has_a_snapshot_too(cluster: Cluster, tmp_path: Path) -> None:
    assert WorkerCommand(tmp_path, cluster).snapshot()["rdb_size"] > 0


def test_the_least_privileged_user_is_enough(worker: WorkerCommand) -> None:
    worker.snapshot()
    for node in (*worker.cluster.data_nodes, *worker.cluster.sentinels):
        with node.client() as client:
            assert client.acl_log() == []


def test_a_snapshot_of_a_stranger_is_listed_as_bad(worker: WorkerCommand, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    good = worker.snapshot()
    shared = {"REDIS_BACKUP_STORE": f"file://{worker.store}"}
    strange = WorkerCommand(other, worker.cluster, settings=shared).snapshot()
    listed = {row["id"]: row for row in worker.list()}
    bad = listed[strange["id"]]
    assert listed == {good["id"]: good, strange["id"]: bad}
    assert bad["state"] == "bad"
    assert "not trusted" in bad["problem"]
    shown = worker.run("show", strange["id"])
    assert shown.returncode == 4
    assert json.loads(worker.run("show", "latest", "--json").stdout) == good
