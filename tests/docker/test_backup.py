"""Snapshot, disaster, restore: through the host's command, the real worker and stock tools."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.docker import dataset
from tests.docker.stack import LiveCluster, docker, run

KEYS = 100_000


def listed(cluster: LiveCluster) -> list[dict[str, Any]]:
    snapshots: list[dict[str, Any]] = json.loads(cluster.worker("list", "--json").stdout)
    return snapshots


def run_ids(cluster: LiveCluster) -> dict[str, str]:
    return {name: view.run_id for name, view in cluster.views().items()}


def config_epoch(cluster: LiveCluster) -> int:
    with cluster.access().connect(cluster.access().sentinels[0]) as sentinel:
        state = sentinel.execute_command("SENTINEL", "MASTER", cluster.access().master_name)
    fields = state if isinstance(state, dict) else dict(zip(state[::2], state[1::2], strict=True))
    return int(fields["config-epoch"])


@pytest.fixture
def loaded(cluster: LiveCluster) -> LiveCluster:
    with cluster.access("REDIS").connect(
        cluster.nodes[cluster.master()], decode=False, timeout=30
    ) as client:
        dataset.load(client, keys=KEYS)
    return cluster


def test_first_snapshot_was_taken_by_itself(cluster: LiveCluster) -> None:
    assert [snapshot["state"] for snapshot in listed(cluster)][:1] == ["proven"]


def test_flushall_is_undone_by_a_restore_without_restart_or_failover(
    loaded: LiveCluster, figure: Callable[[str], None]
) -> None:
    before, processes, epoch = loaded.digests(), run_ids(loaded), config_epoch(loaded)
    assert len(before) == 1
    loaded.worker("snapshot")
    loaded.inside(loaded.master(), "FLUSHALL")
    loaded.inside(loaded.master(), "FUNCTION", "FLUSH")
    assert loaded.digests() != before
    done = loaded.worker("restore", "latest", "--yes")
    loaded.wait_until_healthy()
    assert loaded.digests() == before
    assert run_ids(loaded) == processes
    assert config_epoch(loaded) == epoch
    with loaded.access("REDIS").connect(loaded.nodes[loaded.master()]) as app:
        assert app.fcall("triple", 0, 14) == 42
        app.set("writable", "again")
    figure(done.stdout)


def test_object_opens_with_stock_tools(loaded: LiveCluster, tmp_path: Path) -> None:
    loaded.worker("snapshot")
    key = json.loads(loaded.worker("show", "latest", "--json").stdout)["object_key"]
    encrypted = tmp_path / "object"
    docker("cp", f"{loaded.container('backup-worker')}:/backup/{key}", str(encrypted))
    opened = subprocess.run(
        f"age -d -i {loaded.identity} < {encrypted} | zstd -d > {tmp_path}/dump.rdb",
        shell=True,
        check=True,
        executable="/bin/bash",
    )
    assert opened.returncode == 0
    container = loaded.container("redis-1")
    docker("cp", f"{tmp_path}/dump.rdb", f"{container}:/tmp/dump.rdb")
    checked = docker("exec", container, "redis-check-rdb", "/tmp/dump.rdb")
    assert "RDB looks OK" in checked


def test_restore_into_a_directory_arrives_on_the_host(loaded: LiveCluster, tmp_path: Path) -> None:
    target = tmp_path / "restored"
    loaded.worker("restore", "latest", "--output", str(target))
    assert (target / "dump.rdb").read_bytes()[:5] == b"REDIS"
    assert list((target / "appendonlydir").glob("*.base.rdb"))


def test_errors_name_object_cause_and_remedy(cluster: LiveCluster, tmp_path: Path) -> None:
    stranger = tmp_path / "stranger.txt"
    run(["age-keygen", "-o", str(stranger)])
    wrong = cluster.worker("restore", "latest", "--yes", "--identity", str(stranger), check=False)
    assert (wrong.returncode, "Traceback" in wrong.stderr) == (4, False)
    unknown = cluster.worker("restore", "20200101T000000Z-00000000", "--yes", check=False)
    assert unknown.returncode == 3
    assert len(unknown.stderr.strip().splitlines()) == 1
