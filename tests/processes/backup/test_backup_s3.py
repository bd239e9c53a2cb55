"""The same on a real S3 server process; and the memory that each kind of store takes."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.store import servers
from tests.processes.backup.conftest import objects
from tests.processes.worker_command import WorkerCommand, watch_memory

MIB = 1024 * 1024


@pytest.fixture
def s3(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Give the settings of a store in a bucket; the bucket's folder is tmp_path/s3/bucket."""
    (tmp_path / "s3").mkdir()
    with servers.versitygw(tmp_path / "s3") as endpoint:
        (tmp_path / "s3" / "bucket").mkdir()
        yield {
            **servers.CREDENTIALS,
            "AWS_DEFAULT_REGION": "us-east-1",
            "REDIS_BACKUP_STORE": "s3://bucket/cluster",
            "REDIS_BACKUP_S3_ENDPOINT": endpoint,
        }


def fill(worker: WorkerCommand, megabytes: int) -> None:
    with worker.cluster.master.client("app") as client:
        for number in range(megabytes * 4):
            client.set(f"large:{number}", os.urandom(256 * 1024))
    worker.cluster.wait_until_healthy()


def test_a_snapshot_lives_in_a_bucket(
    worker: WorkerCommand, s3: dict[str, str], tmp_path: Path
) -> None:
    described = worker.snapshot(settings=s3)
    assert worker.list(settings=s3) == [described]
    stored = tmp_path / "s3" / "bucket" / "cluster" / described["object_key"]
    assert stored.stat().st_size == described["size"]
    assert stored.read_bytes().startswith(b"age-encryption.org/v1\n")
    told = worker.run("prune", "--json", settings=s3)
    assert json.loads(told.stdout)["deleted"] == []


def test_a_wrong_s3_key_is_told(worker: WorkerCommand, s3: dict[str, str]) -> None:
    done = worker.run("snapshot", settings=s3 | {"AWS_SECRET_ACCESS_KEY": "wrong"}, timeout=120)
    assert done.returncode == 5
    assert "bucket" in done.stderr or "snapshots/" in done.stderr


@pytest.mark.parametrize(("kind", "limit"), [("file", 64), ("s3", 96)])
def test_memory_does_not_grow_with_the_data(
    worker: WorkerCommand, s3: dict[str, str], kind: str, limit: int
) -> None:
    fill(worker, 80)
    with worker.start("snapshot", settings=s3 if kind == "s3" else None) as process:
        peak = watch_memory(process)
        _, err = process.communicate()
    assert process.returncode == 0, err
    assert peak < limit * MIB
    assert len(objects(worker)) == (4 if kind == "file" else 0)
