"""What `--output` writes, stock Redis starts from, with append-only files and without."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from tests.processes.cluster import Cluster
from tests.processes.ports import HOST, free_ports
from tests.processes.restore import dataset
from tests.processes.restore.conftest import Worker

Shared = tuple[Cluster, Worker]


@pytest.fixture(scope="module")
def snapshot(shared: Shared) -> tuple[str, str]:
    """Give a snapshot's id and the digest at that moment."""
    cluster, worker = shared
    dataset.load(cluster, keys=300)
    return worker.snapshot(), cluster.digest()


@contextmanager
def stock_redis(directory: Path, *, appendonly: str) -> Iterator["redis.Redis"]:
    port = free_ports(1)[0]
    words = ["--port", str(port), "--dir", str(directory), "--appendonly", appendonly]
    words += ["--enable-debug-command", "local", "--save", ""]
    with subprocess.Popen(["redis-server", *words], stdout=subprocess.DEVNULL) as process:
        client: redis.Redis = redis.Redis(host=HOST, port=port, decode_responses=True)
        try:
            for _ in range(200):
                try:
                    if client.ping():
                        break
                except redis.ConnectionError:
                    process.poll()
            yield client
        finally:
            client.close()
            process.kill()


@pytest.mark.parametrize("appendonly", ["yes", "no"])
def test_a_directory(
    shared: Shared, snapshot: tuple[str, str], appendonly: str, tmp_path: Path
) -> None:
    _, worker = shared
    identity, digest = snapshot
    finished = worker.restore(identity, "--output", str(tmp_path / "restored"))
    assert finished.code == 0, finished.stderr
    with stock_redis(tmp_path / "restored", appendonly=appendonly) as client:
        assert client.execute_command("DEBUG", "DIGEST") == digest
        assert client.fcall(dataset.FUNCTION, 0) == 42


def test_a_file_that_redis_check_rdb_accepts(
    shared: Shared, snapshot: tuple[str, str], tmp_path: Path
) -> None:
    _, worker = shared
    finished = worker.restore(snapshot[0], "--output", str(tmp_path / "copy.rdb"))
    assert finished.code == 0, finished.stderr
    command = ["redis-check-rdb", tmp_path / "copy.rdb"]
    checked = subprocess.run(command, check=False, capture_output=True)
    assert checked.returncode == 0, checked.stdout


def test_standard_output(shared: Shared, snapshot: tuple[str, str], tmp_path: Path) -> None:
    _, worker = shared
    words = ("restore", "--identity", str(worker.key), snapshot[0], "--output")
    assert worker.run(*words, str(tmp_path / "copy.rdb")).code == 0
    with worker.start(*words, "-", binary=True) as process:
        content, _ = process.communicate(timeout=60)
    assert content == (tmp_path / "copy.rdb").read_bytes()


def test_no_cluster_is_needed(shared: Shared, snapshot: tuple[str, str], tmp_path: Path) -> None:
    _, worker = shared
    nothing = {name: "" for name in worker.environment if name.startswith("REDIS_SENTINEL")}
    nothing |= {"REDIS_TLS_CA": "", "REDIS_OPERATOR_PASSWORD": "", "REDIS_BACKUP_PASSWORD": ""}
    finished = worker.restore(snapshot[0], "--output", str(tmp_path / "copy.rdb"), **nothing)
    assert finished.code == 0, finished.stderr


def test_a_target_in_use_is_refused(
    shared: Shared, snapshot: tuple[str, str], tmp_path: Path
) -> None:
    _, worker = shared
    (tmp_path / "mine").write_text("mine")
    finished = worker.restore(snapshot[0], "--output", str(tmp_path))
    assert finished.code == 7
    assert "not empty" in finished.complaint
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
