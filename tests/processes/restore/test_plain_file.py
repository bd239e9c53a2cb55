"""`restore --from`: an RDB file of no store goes the way of a snapshot, and is left nowhere."""

import subprocess
from pathlib import Path

import pytest

from tests.processes.cluster import Cluster
from tests.processes.restore import dataset
from tests.processes.restore.conftest import Finished, Worker
from tests.processes.restore.test_host import beside
from tests.processes.restore.test_live import assert_calm, settings

Shared = tuple[Cluster, Worker]


@pytest.fixture(scope="module")
def saved(shared: Shared, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Give a file that a data node saved, and the digest at that moment."""
    cluster, _ = shared
    dataset.load(cluster, keys=300)
    path = tmp_path_factory.mktemp("saved") / "dump.rdb"
    node = cluster.replicas[0]
    with node.client(timeout=30.0) as client:
        client.save()
        place = (
            Path(client.config_get("dir")["dir"]) / client.config_get("dbfilename")["dbfilename"]
        )
    path.write_bytes(place.read_bytes())
    return path, cluster.digest()


def from_file(worker: Worker, path: Path, *args: str) -> Finished:
    return worker.run("restore", "--yes", "--json", "--from", str(path), *args)


def test_everything_is_back_and_no_process_was_restarted(
    shared: Shared, saved: tuple[Path, str]
) -> None:
    cluster, worker = shared
    path, digest = saved
    dataset.replace(cluster)
    processes, replaced = [view.run_id for view in cluster.views()], cluster.digest()

    finished = from_file(worker, path)

    assert finished.code == 0, finished.stderr
    assert cluster.digests() == [digest] * 3
    assert dataset.functions(cluster) == [{"before"}] * 3
    assert [view.run_id for view in cluster.views()] == processes
    assert_calm(cluster, worker)
    assert (finished.json["snapshot"], finished.json["full_syncs"]) == (f"file {path}", 0)
    undone = worker.restore(finished.json["safety_snapshot"])
    assert undone.code == 0, undone.stderr
    assert cluster.digests() == [replaced] * 3


@pytest.mark.parametrize("stage", ["hold", "attach", "promote"])
def test_a_killed_one_is_resumed_without_the_file_and_without_a_key(
    shared: Shared, saved: tuple[Path, str], stage: str, tmp_path: Path
) -> None:
    cluster, worker = shared
    path, digest = saved
    dataset.replace(cluster)
    mine = tmp_path / "mine.rdb"
    mine.write_bytes(path.read_bytes())
    worker.kill_at(stage, "--from", str(mine))
    mine.unlink()
    assert len(list(worker.state.glob("restore-from/*"))) == 1

    assert from_file(worker, path).code == 7
    finished = worker.run("restore", "--resume", "--json")

    assert finished.code == 0, finished.stderr
    assert cluster.digests() == [digest] * 3
    assert_calm(cluster, worker)


@pytest.mark.parametrize("stage", ["attach", "promote"])
def test_a_killed_one_is_undone(shared: Shared, saved: tuple[Path, str], stage: str) -> None:
    cluster, worker = shared
    dataset.replace(cluster)
    replaced = cluster.digest()
    worker.kill_at(stage, "--from", str(saved[0]))
    finished = worker.restore("--undo")
    assert finished.code == 0, finished.stderr
    assert cluster.digests() == [replaced] * 3
    assert_calm(cluster, worker)


def newer(data: bytes) -> bytes:
    return b"REDIS0079" + data[9:]


def flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("no RDB", 4, "it is no RDB file"),
        ("empty", 4, "it is no RDB file"),
        ("truncated", 4, "load file"),
        ("flipped", 4, "load file"),
        ("newer", 7, "does not read RDB version 79"),
        ("missing", 2, "No such file"),
        ("directory", 2, "Is a directory"),
    ],
)
@pytest.mark.parametrize("place", ["here", "beside the container"])
def test_what_can_not_be_restored_is_named_and_changes_nothing(
    shared: Shared, saved: tuple[Path, str], name: str, code: int, said: str, place: str,
    tmp_path: Path,
) -> None:  # fmt: skip
    cluster, worker = shared
    whole, path = saved[0].read_bytes(), tmp_path / f"{name}.rdb"
    contents = {
        "no RDB": b"PK\x03\x04" + whole,
        "empty": b"",
        "truncated": whole[:-500],
        "flipped": flipped(whole),
        "newer": newer(whole),
    }
    if name in contents:
        path.write_bytes(contents[name])
    elif name == "directory":
        path.mkdir()
    before, held = cluster.digests(), settings(cluster)
    (tmp_path / "host").mkdir()
    run_in = worker if place == "here" else beside(worker, tmp_path / "host")

    finished = from_file(run_in, path)

    assert finished.code == code, finished.stderr
    assert said in finished.stderr
    assert str(path) in finished.stderr
    assert "Traceback" not in finished.stderr
    assert (cluster.digests(), settings(cluster)) == (before, held)
    assert_calm(cluster, worker)


def test_a_dry_run_checks_and_changes_nothing(shared: Shared, saved: tuple[Path, str]) -> None:
    cluster, worker = shared
    before = cluster.digests()
    shown = worker.run("restore", "--dry-run", "--json", "--from", str(saved[0])).json
    assert shown["master"] == str(cluster.master.address)
    assert shown["rdb_bytes"] == saved[0].stat().st_size
    assert cluster.digests() == before
    assert_calm(cluster, worker)


def test_nobody_to_ask(shared: Shared, saved: tuple[Path, str], tmp_path: Path) -> None:
    _, worker = shared
    for run_in in (worker, beside(worker, tmp_path)):
        finished = run_in.run("restore", "--from", str(saved[0]))
        assert (finished.code, "--yes" in finished.complaint) == (2, True), finished.stderr
        assert "replaces" in finished.stdout
        assert str(saved[0]) in finished.stdout
    assert not list(worker.state.glob("restore-from*"))


@pytest.mark.parametrize("way", ["here by pipe", "from the host", "from the host by pipe"])
def test_it_comes_by_pipe_and_from_the_host(
    shared: Shared, saved: tuple[Path, str], way: str, tmp_path: Path
) -> None:
    cluster, worker = shared
    path, digest = saved
    dataset.replace(cluster)
    run_in = worker if way == "here by pipe" else beside(worker, tmp_path)
    with path.open("rb") as file:
        piped = way.endswith("by pipe")
        finished = run_in.run(
            "restore", "--yes", "--json", "--from", "-" if piped else str(path),
            stdin=file if piped else subprocess.DEVNULL,
        )  # fmt: skip
    assert finished.code == 0, finished.stderr
    assert finished.json["snapshot"] == f"file {'standard input' if piped else path}"
    assert cluster.digests() == [digest] * 3
    assert_calm(cluster, worker)
