"""What cannot be restored is refused in one line with the right exit code, and changes nothing."""

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import age
from tests.processes.cluster import Cluster
from tests.processes.restore import dataset
from tests.processes.restore.conftest import Finished, Worker
from tests.processes.restore.test_live import assert_calm

Shared = tuple[Cluster, Worker]


@pytest.fixture(scope="module")
def snapshot(shared: Shared) -> str:
    cluster, worker = shared
    dataset.load(cluster, keys=300)
    identity = worker.snapshot()
    dataset.replace(cluster)
    return identity


@pytest.fixture
def unchanged(shared: Shared, snapshot: str) -> Iterator[None]:
    """Check that a test left the cluster as it found it, and nothing on the disk."""
    cluster, worker = shared
    digests, processes = cluster.digests(), [view.run_id for view in cluster.views()]
    stored = sorted(worker.store.rglob("*.age"))
    yield
    assert cluster.digests() == digests
    assert [view.run_id for view in cluster.views()] == processes
    assert [path for path in stored if path.exists()] == stored
    assert_calm(cluster, worker)


def assert_refused(finished: Finished, code: int, *parts: str) -> None:
    assert finished.code == code, finished.stderr
    assert all(part in finished.complaint for part in parts), finished.complaint
    assert "Traceback" not in finished.stderr


@contextmanager
def damaged(path: Path, change: Callable[[bytes], bytes]) -> Iterator[None]:
    whole = path.read_bytes()
    path.write_bytes(change(whole))
    try:
        yield
    finally:
        path.write_bytes(whole)


def flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


TARGETS = pytest.mark.parametrize("output", [None, "out.rdb", "out"])


def target(worker: Worker, output: str | None) -> tuple[str, ...]:
    return () if output is None else ("--output", str(worker.directory / output))


@TARGETS
def test_the_wrong_key(
    shared: Shared, snapshot: str, unchanged: None, output: str | None, tmp_path: Path
) -> None:
    _, worker = shared
    (tmp_path / "other.txt").write_text(age.Identity.generate().encode())
    words = ("--yes", "--identity", str(tmp_path / "other.txt"), *target(worker, output))
    assert_refused(worker.run("restore", *words, snapshot), 4, "snapshots/" + snapshot, "identit")
    assert not list(worker.directory.glob("*out*"))


@TARGETS
def test_a_flipped_bit(shared: Shared, snapshot: str, unchanged: None, output: str | None) -> None:
    _, worker = shared
    with damaged(worker.store / "snapshots" / snapshot / "dump.rdb.zst.age", flipped):
        finished = worker.restore(snapshot, *target(worker, output))
    assert_refused(finished, 4, "snapshots/" + snapshot, "chunk")
    assert not list(worker.directory.glob("*out*"))


@TARGETS
def test_a_truncated_object(
    shared: Shared, snapshot: str, unchanged: None, output: str | None
) -> None:
    _, worker = shared
    with damaged(worker.store / "snapshots" / snapshot / "dump.rdb.zst.age", lambda b: b[:-9]):
        finished = worker.restore(snapshot, *target(worker, output))
    assert_refused(finished, 4, snapshot, "bytes")
    assert not list(worker.directory.glob("*out*"))


def test_a_changed_manifest(shared: Shared, snapshot: str, unchanged: None) -> None:
    _, worker = shared
    with damaged(worker.store / "snapshots" / snapshot / "manifest.json", flipped):
        assert_refused(worker.restore(snapshot), 4, snapshot)


def test_an_unknown_snapshot(shared: Shared, unchanged: None) -> None:
    _, worker = shared
    assert_refused(worker.restore("20200101T000000Z-00000000"), 3, "20200101T000000Z", "list")


def test_an_unreachable_store(shared: Shared, snapshot: str, unchanged: None) -> None:
    _, worker = shared
    finished = worker.restore(snapshot, REDIS_BACKUP_STORE="file:///proc/1/none/store")
    assert_refused(finished, 5, "/proc/1/none/store")


def test_an_unreachable_cluster(shared: Shared, snapshot: str, unchanged: None) -> None:
    _, worker = shared
    nowhere = {f"REDIS_SENTINEL_PORT_{number}": "1" for number in (1, 2, 3)}
    assert_refused(worker.restore(snapshot, **nowhere), 6, "127.0.0.1:1", "sentinel")


def test_a_sentinel_that_is_down(shared: Shared, snapshot: str, unchanged: None) -> None:
    _, worker = shared
    assert_refused(
        worker.restore(snapshot, REDIS_SENTINEL_PORT_2="1"), 7, "127.0.0.1:1 does not answer"
    )


def test_missing_operator_credentials(shared: Shared, snapshot: str, unchanged: None) -> None:
    _, worker = shared
    finished = worker.restore(snapshot, REDIS_OPERATOR_PASSWORD="")
    assert_refused(finished, 2, "REDIS_OPERATOR_USERNAME")


def test_nobody_to_ask(shared: Shared, snapshot: str, unchanged: None) -> None:
    _, worker = shared
    finished = worker.run("restore", "--identity", str(worker.key), snapshot)
    assert_refused(finished, 2, "--yes")
    assert "replaces" in finished.stdout


def test_a_dry_run_checks_and_changes_nothing(
    shared: Shared, snapshot: str, unchanged: None
) -> None:
    cluster, worker = shared
    finished = worker.run("restore", "--dry-run", "--json", snapshot)
    assert finished.code == 0, finished.stderr
    assert finished.json["master"] == str(cluster.master.address)
    assert finished.json["keys_now"] == 100


def test_a_full_disk(shared: Shared, snapshot: str, unchanged: None, tmp_path: Path) -> None:
    _, worker = shared
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("mounting a small file system needs root")
    try:
        for output in ("x.rdb", "directory"):
            finished = worker.restore(snapshot, "--output", str(tmp_path / output))
            assert_refused(finished, 1, str(tmp_path), "No space left")
            assert list(tmp_path.iterdir()) == []
        finished = worker.restore(snapshot, REDIS_BACKUP_STATE=str(tmp_path / "state"))
        assert_refused(finished, 7, "bytes free")
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_data_nodes_that_cannot_attach_are_taken_back(
    shared: Shared, snapshot: str, unchanged: None
) -> None:
    """The scratch server takes another password than the nodes have: no link ever comes up."""
    _, worker = shared
    finished = worker.restore(snapshot, "--timeout", "4", REDIS_REPLICA_PASSWORD="wrong")
    assert_refused(finished, 1, "no progress for 4 s", "it was taken back")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_restore_is_taken_back(
    shared: Shared, snapshot: str, unchanged: None, number: signal.Signals, code: int
) -> None:
    _, worker = shared
    words = ("restore", "--yes", "--identity", str(worker.key), snapshot)
    with worker.start(*words, REDIS_REPLICA_PASSWORD="wrong") as process:
        while worker.stage() != "attach":
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(number)
        process.communicate(timeout=60)
    assert process.returncode == code


def test_a_node_that_would_evict_the_data(shared: Shared, snapshot: str, unchanged: None) -> None:
    cluster, worker = shared
    node = cluster.replicas[0]
    with node.client() as client:
        client.config_set("maxmemory", "100kb")
        try:
            finished = worker.restore(snapshot)
        finally:
            client.config_set("maxmemory", "0")
    assert_refused(finished, 7, str(node.address), "maxmemory")
