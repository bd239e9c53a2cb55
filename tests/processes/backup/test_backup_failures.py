"""Whatever ends a snapshot early, one line tells it and nothing half-done stays behind."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes.backup.conftest import objects, set_key_delay, wait_for_transfer
from tests.processes.worker_command import WorkerCommand


def complaint(done: subprocess.CompletedProcess[str]) -> str:
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    return lines[0]


def test_a_replica_killed_in_the_middle_is_replaced_by_the_other(slow: WorkerCommand) -> None:
    with slow.start("snapshot") as process:
        source = wait_for_transfer(slow, process)
        source.kill()
        out, err = process.communicate(timeout=40)
    assert process.returncode == 0, err
    (listed,) = slow.list()
    assert listed["id"] in out
    assert listed["source"] != str(source.address)
    assert len(objects(slow)) == 4


def test_with_every_replica_killed_it_fails_clean(slow: WorkerCommand) -> None:
    with slow.start("snapshot") as process:
        replicas = slow.cluster.replicas
        wait_for_transfer(slow, process)
        for node in replicas:
            node.kill()
        _, err = process.communicate(timeout=60)
    assert process.returncode == 6
    assert "replica" in err or "take a snapshot from" in err
    assert objects(slow) == []


def test_a_source_promoted_in_the_middle_is_left_for_a_replica_of_it(
    slow: WorkerCommand,
) -> None:
    set_key_delay(slow.cluster, 100_000)
    with slow.start("snapshot") as process:
        source = wait_for_transfer(slow, process)
        slow.cluster.prefer(source)
        old = slow.cluster.master
        old.kill()
        assert slow.cluster.wait_for_master(other_than=old) is source
        set_key_delay(slow.cluster, 0)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    (listed,) = slow.list()
    assert listed["source"] not in {str(old.address), str(source.address)}


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGKILL, -9)]
)
def test_a_signal_in_the_middle_leaves_no_snapshot(
    slow: WorkerCommand, number: signal.Signals, code: int
) -> None:
    # A whole transfer takes 20 s then.
    set_key_delay(slow.cluster, 10_000)
    with slow.start("snapshot") as process:
        wait_for_transfer(slow, process)
        process.send_signal(number)
        process.communicate(timeout=15)
    assert process.returncode == code
    assert slow.list() == []
    if number != signal.SIGKILL:
        assert objects(slow) == []
    set_key_delay(slow.cluster, 0)
    kept = slow.snapshot()
    assert [listed["id"] for listed in slow.list()] == [kept["id"]]


def test_an_unreachable_store_is_told(worker: WorkerCommand, tmp_path: Path) -> None:
    away = {"REDIS_BACKUP_STORE": f"file://{tmp_path}/missing/store"}
    done = worker.run("snapshot", settings=away)
    assert done.returncode == 5
    assert f"{tmp_path}/missing/store" in complaint(done)


def test_an_unreachable_object_store_is_told(worker: WorkerCommand) -> None:
    away = {
        "REDIS_BACKUP_STORE": "s3://bucket/prefix",
        "REDIS_BACKUP_S3_ENDPOINT": "http://127.0.0.1:9",
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "y",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    done = worker.run("snapshot", settings=away, timeout=120)
    assert done.returncode == 5
    assert "127.0.0.1:9" in done.stderr.splitlines()[-1]


def test_an_unreachable_cluster_is_told(worker: WorkerCommand) -> None:
    worker.cluster.end()
    done = worker.run("snapshot")
    assert done.returncode == 6
    assert "sentinels" in complaint(done)
    assert objects(worker) == []


def test_without_a_healthy_replica_the_master_is_left_alone(worker: WorkerCommand) -> None:
    for node in worker.cluster.replicas:
        node.kill()
    done = worker.run("snapshot")
    assert done.returncode == 6
    assert "never taken from the master" in complaint(done)
    assert objects(worker) == []


def test_a_wrong_password_is_told(worker: WorkerCommand) -> None:
    done = worker.run("snapshot", settings={"REDIS_BACKUP_PASSWORD": "sesame"})
    assert done.returncode == 6
    assert "the user or the password is wrong" in complaint(done)
    assert "sesame" not in complaint(done)


def test_a_user_without_psync_is_told(worker: WorkerCommand) -> None:
    for node in worker.cluster.data_nodes:
        with node.client() as client:
            client.execute_command("ACL", "SETUSER", "backup", "-psync")
    done = worker.run("snapshot")
    assert done.returncode == 6
    assert "+psync" in complaint(done)
    assert objects(worker) == []


def test_no_recipient_is_refused(worker: WorkerCommand) -> None:
    done = worker.run("snapshot", settings={"REDIS_BACKUP_RECIPIENT": ""})
    assert done.returncode == 2
    assert "REDIS_BACKUP_RECIPIENT" in complaint(done)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Give a file system of 1 MiB."""
    mount = tmp_path / "small"
    mount.mkdir()
    options = ["-t", "tmpfs", "-o", "size=1m", "tmpfs", str(mount)]
    if os.geteuid() or subprocess.run(["mount", *options], check=False).returncode:
        pytest.skip("mounting takes root")
    yield mount
    subprocess.run(["umount", str(mount)], check=True)


def test_a_full_disk_is_told_and_left_empty(worker: WorkerCommand, small_disk: Path) -> None:
    with worker.cluster.master.client("app") as client:
        for number in range(40):
            client.set(f"large:{number}", os.urandom(50_000))
    worker.cluster.wait_until_healthy()
    done = worker.run("snapshot", settings={"REDIS_BACKUP_STORE": f"file://{small_disk}/store"})
    assert done.returncode == 1
    assert "No space left" in complaint(done) or "space" in complaint(done)
    assert [path for path in small_disk.rglob("*") if path.is_file()] == []
