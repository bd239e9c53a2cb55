"""The log after a snapshot is replayed up to exactly the point asked for."""

import random
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from backup_worker.restore import journal as journals
from tests.processes.restore.test_files import stock_redis
from tests.processes.restore.test_live import assert_calm
from tests.processes.restore_point.conftest import ROUNDS, Moment, Shared, moment, written_to
from tests.processes.restore_point.recorder import Recorder

SELECT = b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n"


@pytest.mark.timeout(100 * ROUNDS + 200)
def test_back_to_the_moment_before_a_flushall(shared: Shared) -> None:
    cluster, worker = shared
    generator = random.Random(4)
    for number in range(ROUNDS):
        with Recorder(cluster, worker) as recorder:
            base = worker.snapshot()
            with written_to(cluster, seed=number):
                time.sleep(generator.uniform(0.3, 1.5))
                before = moment(cluster, "FLUSHALL")
                time.sleep(generator.uniform(0.1, 0.5))
            recorder.seal()
        finished = worker.restore("--before-command", "flushall")
        assert finished.code == 0, finished.stderr
        assert cluster.digests() == [before.digest] * 3
        assert finished.json["snapshot"] == base
        point = finished.json["point"]
        assert point["replid"] == recorder.replid
        # A SELECT may stand between the moment and the FLUSHALL.
        assert point["offset"] - before.offset in {0, len(SELECT)}
    assert_calm(cluster, worker)


@pytest.fixture(scope="module")
def moments(shared: Shared) -> tuple[Recorder, list[Moment], list[datetime]]:
    """Write for some seconds; give the log, and what the master held at some offsets and times."""
    cluster, worker = shared
    found, times = [], []
    with Recorder(cluster, worker, seal_bytes=20_000) as recorder:
        with written_to(cluster, seed=77):
            time.sleep(0.3)
        worker.snapshot()
        with written_to(cluster, seed=78):
            for _ in range(6):
                time.sleep(0.2)
                found.append(moment(cluster))
        for _ in range(2):
            found.append(moment(cluster, "SET", "between", "times"))
            recorder.seal()
            times.append(datetime.now(UTC))
            time.sleep(0.3)
        moment(cluster, "SET", "after", "all")
        recorder.seal()
        received = recorder.received
    assert b"GETACK" in received
    assert b"MULTI" in received
    assert received.count(b"SELECT") > 2
    return recorder, found, times


Moments = tuple[Recorder, list[Moment], list[datetime]]


def test_every_offset_gives_what_the_master_held_there(
    shared: Shared, moments: Moments, tmp_path: Path
) -> None:
    _, worker = shared
    recorder, found, _ = moments
    for number, one in enumerate(found):
        target = tmp_path / str(number)
        words = (
            "--offset",
            f"{recorder.replid[:8]}:{one.offset}",
            "--output",
            str(target),
        )
        finished = worker.restore(*words)
        assert finished.code == 0, finished.stderr
        assert finished.json["point"]["offset"] == one.offset
        assert not (target / "dump.rdb").exists()
        with stock_redis(target, appendonly="yes") as client:
            assert client.execute_command("DEBUG", "DIGEST") == one.digest


def test_an_offset_inside_a_command_ends_before_it(
    shared: Shared, moments: Moments, tmp_path: Path
) -> None:
    _, worker = shared
    inside = moments[1][3].offset + 5
    finished = worker.restore("--offset", str(inside), "--output", str(tmp_path / "x"))
    assert finished.code == 0, finished.stderr
    assert finished.json["point"]["offset"] == moments[1][3].offset
    with stock_redis(tmp_path / "x", appendonly="yes") as client:
        assert client.execute_command("DEBUG", "DIGEST") == moments[1][3].digest


def test_a_time_gives_all_that_had_arrived_by_then(
    shared: Shared, moments: Moments, tmp_path: Path
) -> None:
    _, worker = shared
    _, found, times = moments
    # A moment's digest is taken before its SET: the next one holds it.
    target = str(tmp_path / "x.rdb")
    finished = worker.restore("--at", times[0].isoformat(), "--output", target)
    assert finished.code == 0, finished.stderr
    (tmp_path / "loaded").mkdir()
    (tmp_path / "x.rdb").rename(tmp_path / "loaded" / "dump.rdb")
    with stock_redis(tmp_path / "loaded", appendonly="no") as client:
        assert client.execute_command("DEBUG", "DIGEST") == found[-1].digest


def test_standard_output_gets_one_rdb_of_the_point(
    shared: Shared, moments: Moments, tmp_path: Path
) -> None:
    _, worker = shared
    words = ("restore", "--identity", str(worker.key), "--offset", str(moments[1][2].offset))
    with worker.start(*words, "--output", "-", binary=True) as process:
        content, complaint = process.communicate(timeout=60)
    assert process.returncode == 0, complaint
    (tmp_path / "dump.rdb").write_bytes(content)
    command = ["redis-check-rdb", tmp_path / "dump.rdb"]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0
    with stock_redis(tmp_path, appendonly="no") as client:
        assert client.execute_command("DEBUG", "DIGEST") == moments[1][2].digest


def test_a_killed_restore_of_a_point_is_resumed_to_that_point(
    shared: Shared, moments: Moments
) -> None:
    cluster, worker = shared
    one = moments[1][4]
    place = f"{moments[0].replid}:{one.offset}"
    worker.kill_at("attach", "--offset", place, later=0.2)
    journal = journals.load(worker.state)
    assert journal is not None
    assert journal.point == journals.Point(moments[0].replid, one.offset)
    finished = worker.restore("--resume")
    assert finished.code == 0, finished.stderr
    assert cluster.digests() == [one.digest] * 3
    assert not list(worker.state.rglob("*.aof"))
    assert_calm(cluster, worker)


def test_keys_that_expire_live_and_die_as_they_did(shared: Shared, tmp_path: Path) -> None:
    """Loading drops none whose time has passed by now, but that a later command kept."""
    cluster, worker = shared
    with Recorder(cluster, worker) as recorder, cluster.master.client() as client:
        client.set("kept from before", "x", px=5000)
        client.set("gone from before", "x", px=5000)
        worker.snapshot()
        assert client.persist("kept from before")
        client.set("kept", "x", px=300)
        client.append("kept", "y")
        client.persist("kept")
        client.set("gone", "x", px=300)
        time.sleep(0.5)
        assert client.get("gone") is None
        client.set("gone", "again", px=500)
        one = moment(cluster)
        recorder.seal()
        cluster.wait_for(lambda: not client.exists("gone", "gone from before"))
    for words in ((), ("--output", str(tmp_path / "x")), ("--output", str(tmp_path / "x.rdb"))):
        finished = worker.restore("--offset", str(one.offset), *words)
        assert finished.code == 0, finished.stderr
    (tmp_path / "dump").mkdir()
    (tmp_path / "x.rdb").rename(tmp_path / "dump" / "dump.rdb")
    names = ("kept from before", "kept", "gone from before", "gone")
    with (
        cluster.master.client() as live,
        stock_redis(tmp_path / "x", appendonly="yes") as directory,
        stock_redis(tmp_path / "dump", appendonly="no") as file,
    ):
        for client in (live, directory, file):
            assert [client.get(name) for name in names] == ["x", "xy", None, None]
