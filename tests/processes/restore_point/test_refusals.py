"""What can't be gone back to is said, with the ranges; damage is named; nothing is touched."""

import json
import random
import subprocess
import time
from base64 import b64decode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import age
from tests.processes.restore.conftest import Finished
from tests.processes.restore.test_failures import assert_refused, damaged
from tests.processes.restore.test_live import assert_calm
from tests.processes.restore_point.conftest import ROUNDS, Shared, moment, written_to
from tests.processes.restore_point.recorder import Recorder


@pytest.fixture(scope="module")
def recorded(shared: Shared) -> Recorder:
    """Give a log of several segments with a snapshot in its first half."""
    cluster, worker = shared
    with Recorder(cluster, worker, seal_bytes=30_000) as recorder:
        with written_to(cluster, seed=5):
            time.sleep(0.3)
            worker.snapshot()
            time.sleep(0.7)
        # Lies uncompressed in the log: larger than the snapshot.
        with cluster.master.client() as client:
            client.set("user:1", "secret")
            client.set("big", "x" * 300_000)
        moment(cluster, "DEL", "user:1")
        recorder.seal()
    assert len(recorder.written) > 3
    return recorder


@pytest.fixture
def unchanged(shared: Shared, recorded: Recorder) -> Iterator[None]:
    cluster, worker = shared
    digests, processes = cluster.digests(), [view.run_id for view in cluster.views()]
    yield
    assert cluster.digests() == digests
    assert [view.run_id for view in cluster.views()] == processes
    assert_calm(cluster, worker)


@pytest.mark.parametrize("output", [None, "out", "out.rdb"])
@pytest.mark.parametrize("distance", [timedelta(hours=-1), timedelta(hours=1)])
def test_a_time_outside_says_the_range(
    shared: Shared, recorded: Recorder, unchanged: None, distance: timedelta, output: str | None
) -> None:
    _, worker = shared
    words = () if output is None else ("--output", str(worker.directory / output))
    finished = worker.restore("--at", (datetime.now(UTC) + distance).isoformat(), *words)
    last = recorded.written[-1]
    until = datetime.fromtimestamp(last.last_ms / 1000, UTC).isoformat(timespec="milliseconds")
    assert_refused(
        finished, 3, until.removesuffix("+00:00"), f"to {last.end} of {last.replid[:12]}"
    )
    assert not list(worker.directory.glob("*out*"))


@pytest.mark.parametrize("point", ["1", "999999999", "ffff:1"])
def test_an_offset_outside_says_the_range(
    shared: Shared, recorded: Recorder, unchanged: None, point: str
) -> None:
    _, worker = shared
    assert_refused(worker.restore("--offset", point), 3, f"to {recorded.written[-1].end} of")


def test_a_snapshot_that_is_named_and_lies_after_the_point(
    shared: Shared, recorded: Recorder, unchanged: None
) -> None:
    _, worker = shared
    later = worker.snapshot()
    point = str(recorded.written[-1].end - 1)
    assert_refused(worker.restore("--offset", point, later), 3, later, "no snapshot lies before")
    assert worker.restore("--offset", point, "--dry-run").code == 0


def test_a_command_that_is_not_in_the_log(
    shared: Shared, recorded: Recorder, unchanged: None
) -> None:
    _, worker = shared
    assert_refused(worker.restore("--before-command", "FLUSHDB"), 3, "FLUSHDB", "segments")


def test_damage_is_named(shared: Shared, recorded: Recorder, unchanged: None) -> None:
    """Bits flipped anywhere, and cuts anywhere, in objects and manifests, of any segment needed."""
    _, worker = shared
    generator = random.Random(9)
    end = str(recorded.written[-1].end)
    needed = [name for name in recorded.written if name.end > recorded.written[-3].start]
    for _ in range(4 * ROUNDS):
        name = generator.choice(needed)
        key = generator.choice((name.object_key, name.manifest_key))
        size = (worker.store / key).stat().st_size
        at = generator.randrange(size)

        def flipped(data: bytes, at: int = at) -> bytes:
            return data[:at] + bytes([data[at] ^ (1 << at % 8)]) + data[at + 1 :]

        def cut(data: bytes, at: int = at) -> bytes:
            return data[:at]

        whole = (worker.store / key).read_bytes()
        with damaged(worker.store / key, generator.choice((flipped, cut))):
            if says_the_same(whole, (worker.store / key).read_bytes()):
                continue
            target = str(worker.directory / "out")
            assert_refused(worker.restore("--offset", end, "--output", target), 4, key)
        assert not list(worker.directory.glob("*out*"))


def says_the_same(whole: bytes, damaged: bytes) -> bool:
    """Say whether what is signed is as before: then `verify` tells of it, and a restore goes on.

    A signature covers neither the key's name beside it nor the spaces of its envelope.
    """
    content = signed_content(whole)
    return content is not None and content == signed_content(damaged)


def signed_content(envelope: bytes) -> tuple[bytes, ...] | None:
    """Give type, payload and signature; None for what is no envelope."""
    try:
        fields = json.loads(envelope)
        (signature,) = fields["signatures"]
        texts = (fields["payload"], signature["sig"])
        return fields["payloadType"].encode(), *(b64decode(text, validate=True) for text in texts)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


@pytest.mark.parametrize("kind", ["object_key", "manifest_key"])
def test_live_damage_is_named(
    shared: Shared, recorded: Recorder, unchanged: None, kind: str
) -> None:
    _, worker = shared
    key = getattr(recorded.written[-1], kind)
    with damaged(worker.store / key, lambda data: data[:-3] + b"abc"):
        finished = worker.restore("--offset", str(recorded.written[-1].end))
    assert_refused(finished, 4, key)


def test_a_segment_that_is_gone_is_a_gap(
    shared: Shared, recorded: Recorder, unchanged: None, tmp_path: Path
) -> None:
    _, worker = shared
    name = recorded.written[-2]
    moved = [worker.store / name.object_key, worker.store / name.manifest_key]
    places = [path.rename(tmp_path / str(index)) for index, path in enumerate(moved)]
    try:
        finished = worker.restore("--offset", str(recorded.written[-1].end))
        listed = json.loads(worker.run("log", "--json").stdout)
    finally:
        for place, path in zip(places, moved, strict=True):
            place.rename(path)
    assert_refused(finished, 3, "gap", f"to {name.start - 1} of")
    assert listed["gaps"] == [{"replid": name.replid, "first": name.start, "last": name.end}]


def test_the_wrong_key(shared: Shared, recorded: Recorder, unchanged: None, tmp_path: Path) -> None:
    _, worker = shared
    (tmp_path / "other.txt").write_text(age.Identity.generate().encode())
    key = ("restore", "--yes", "--identity", str(tmp_path / "other.txt"))
    for point in (("--offset", str(recorded.written[-1].end - 1)), ("--before-command", "DEL")):
        assert_refused(worker.run(*key, *point), 4, "log/", "identit")


def test_too_little_disk_for_the_log(
    shared: Shared, recorded: Recorder, unchanged: None, tmp_path: Path
) -> None:
    """Enough for the snapshot, not for the log after it: refused before anything is loaded."""
    _, worker = shared
    size = f"size={16 * 1024 + 200}k"
    mount = ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(tmp_path)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("mounting a small file system needs root")
    try:
        state = {"REDIS_BACKUP_STATE": str(tmp_path / "state")}
        point = str(recorded.written[-1].end)
        base = worker.restore("--dry-run", "--offset", point).json["snapshot"]
        assert worker.restore("--dry-run", base, **state).code == 0
        assert_refused(worker.restore("--offset", point, **state), 7, "bytes free")
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_what_a_dry_run_says(shared: Shared, recorded: Recorder, unchanged: None) -> None:
    _, worker = shared
    words = (
        "restore",
        "--dry-run",
        "--identity",
        str(worker.key),
        "--before-command",
        "DEL user:*",
    )
    shown = worker.run(*words)
    assert shown.code == 0, shown.stderr
    assert "of the log in" in shown.stdout
    assert "> gone" in shown.stdout
    assert "DEL user:1" in shown.stdout
    assert "SET big <300000 bytes>" in shown.stdout
    assert "  kept" in shown.stdout
    assert "secret" not in shown.stdout
    assert "secret" in worker.run(*words, "--values").stdout
    without_key = worker.run("restore", "--dry-run", "--offset", str(recorded.written[-1].end - 1))
    assert "at most offset" in without_key.stdout
    assert_refused(worker.run("restore", "--dry-run", "--before-command", "DEL"), 2, "--identity")


def test_the_log_lists_commands_and_hides_values(
    shared: Shared, recorded: Recorder, unchanged: None
) -> None:
    _, worker = shared

    def log(*words: str) -> Finished:
        return worker.run("log", "--identity", str(worker.key), *words)

    lines = log("--limit", "3").stdout.splitlines()
    assert [line.split("\t")[-1] for line in lines] == [
        "SET big <300000 bytes>", "DEL user:1", "SET sealed <3 bytes>"
    ]  # fmt: skip
    place = lines[1].split("\t")[1]
    assert worker.restore("--dry-run", "--offset", place).json["point"]["offset"] == int(
        place.partition(":")[2]
    )
    everything = log("--limit", "0", "--values").stdout.splitlines()
    assert len(everything) > 100
    assert [int(line.split("\t")[1].partition(":")[2]) for line in everything] == sorted(
        int(line.split("\t")[1].partition(":")[2]) for line in everything
    )
    assert not any("\tPING" in line or "\tREPLCONF" in line for line in everything)
    found = log("--grep", "SET big", "--json").stdout.splitlines()
    assert [json.loads(line)["command"] for line in found] == ["SET big <300000 bytes>"]
    assert log("--until", "2 hours ago").stdout == ""
    assert len(log("--since", "2 hours ago", "--limit", "7").stdout.splitlines()) == 7
    assert_refused(log("--grep", "'"), 2, "pattern")
    assert_refused(worker.run("log", "--grep", "SET"), 2, "--identity")


def test_without_a_key_the_log_shows_what_it_covers(
    shared: Shared, recorded: Recorder, unchanged: None
) -> None:
    _, worker = shared
    covered = json.loads(worker.run("log", "--json").stdout)
    (stretch,) = [one for one in covered["stretches"] if one["last"] == recorded.written[-1].end]
    assert stretch["first"] == recorded.written[0].start
    assert stretch["segments"] == len(recorded.written)
    assert covered["gaps"] == []
    assert "restorable" in worker.run("log").stdout
