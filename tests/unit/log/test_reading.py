"""A segment's bytes come out checked, cut where asked, or with an error that names the object."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import age
from backup_worker.cli.log_text import print_left_out
from backup_worker.errors import PointNotFound, RefusedForSafety, SnapshotCorrupt, WrongKey
from backup_worker.log.history import History
from backup_worker.log.lineage import Piece
from backup_worker.log.plan import AtOffset, AtTime, Replay
from backup_worker.log.reading import SegmentReader, clipped
from backup_worker.log.segment import Timeline
from backup_worker.manifest import ReplicationPoint
from backup_worker.progress import Report, ignore
from backup_worker.restore import replay as replays
from backup_worker.restore.journal import Point
from backup_worker.restore.replay import Opener
from tests.unit.backup_worker.snapshots import made
from tests.unit.log.stored import IDENTITY, A, B, StoredLog, resp

SET = (b"SET", b"key", b"value")
SIZE = len(resp(*SET))


@given(st.binary(min_size=1, max_size=60), st.integers(1, 20), st.data())
def test_clipped_is_a_slice(data: bytes, step: int, draw: st.DataObject) -> None:
    start = 100
    first = draw.draw(st.integers(start, start + len(data) - 1))
    last = draw.draw(st.integers(first, start + len(data) - 1))
    chunks = [data[at : at + step] for at in range(0, len(data), step)]
    found = b"".join(clipped(chunks, start, first, last))
    assert found == data[first - start : last - start + 1]


def test_many_pieces_come_in_order() -> None:
    log = StoredLog()
    written = [log.write((b"SET", b"key", b"%d" % number)) for number in range(20)]
    pieces = [Piece(one.name, one.start, one.end) for one in written]
    found = b"".join(log.reader.pieces(pieces, log.history.log.read))
    assert found == b"".join(resp(b"SET", b"key", b"%d" % number) for number in range(20))
    assert list(log.reader.pieces([], log.history.log.read)) == []


def test_pieces_of_several_segments_follow_on_each_other() -> None:
    log = StoredLog()
    written = [log.write(SET, SET), log.write(SET), log.write(SET, SET, SET)]
    whole = resp(*SET) * 6
    told: list[int] = []
    pieces = [
        Piece(written[0].name, 5, written[0].end),
        Piece(written[1].name, written[1].start, written[1].end),
        Piece(written[2].name, written[2].start, written[2].start + 9),
    ]
    found = b"".join(log.reader.pieces(pieces, log.history.log.read, on_progress=told.append))
    assert found == whole[4 : written[2].start + 9]
    assert told[-1] == len(found)


@pytest.mark.parametrize(
    "damage",
    [
        lambda stored: stored[:-1],
        lambda stored: stored[: len(stored) // 2],
        lambda stored: b"",
        lambda stored: stored + b"x",
        lambda stored: stored[:-9] + bytes([stored[-9] ^ 1]) + stored[-8:],
    ],
)
@pytest.mark.parametrize("ahead", [True, False])
def test_damage_is_named_even_where_only_the_beginning_is_wanted(
    damage: Callable[[bytes], bytes], ahead: bool
) -> None:
    log = StoredLog()
    segment = log.write(SET, SET)
    key = segment.name.object_key
    log.store.put(key, [damage(b"".join(log.store.get(key)))])
    piece = Piece(segment.name, 1, 5)
    read = log.reader.pieces([piece], lambda _: segment) if ahead else log.reader.upto(segment, 5)
    with pytest.raises(SnapshotCorrupt) as caught:
        list(read)
    assert caught.value.subject == key


def test_an_object_that_is_gone_and_a_wrong_key_are_named() -> None:
    log = StoredLog()
    segment = log.write(SET)
    key = segment.name.object_key
    with pytest.raises(WrongKey, match=key):
        list(SegmentReader(log.store, [age.Identity.generate()]).whole(segment))
    log.store.delete(key)
    for read in (
        log.reader.whole(segment),
        log.reader.pieces([Piece(segment.name, 1, 2)], lambda _: segment),
    ):
        with pytest.raises(SnapshotCorrupt, match=f"{key}: it is gone"):
            list(read)


def test_the_bytes_of_another_segment_are_refused() -> None:
    log = StoredLog()
    segment = log.write(SET)
    other = StoredLog().write(SET, SET)
    with pytest.raises(SnapshotCorrupt, match="bytes"):
        list(log.reader.whole(replace(segment, stored=other.stored)))


TRANSACTION = ((b"MULTI",), SET, SET, (b"EXEC",))


def test_a_cut_moves_to_the_last_boundary() -> None:
    log = StoredLog()
    log.snapshot(replace(made(), replication=ReplicationPoint(A, 0, 0)))
    first = log.write(SET, *TRANSACTION, SET)
    log.write(SET)
    history = log.history
    multi = SIZE
    ends = {0: 0, SIZE - 1: 0, SIZE: SIZE, multi + 3: multi, first.end - SIZE - 1: multi}
    ends |= {first.end - SIZE: first.end - SIZE, first.end: first.end, first.end + 1: first.end}
    for wanted, expected in ends.items():
        replay = history.cut(history.plan(AtOffset(wanted)), [IDENTITY])
        assert replay.offset == expected
        assert replay.size == expected
        assert replay.pieces == () or replay.pieces[-1].last == expected


def test_timelines_are_learnt_from_their_first_or_last_segment() -> None:
    log = StoredLog()
    log.write(SET)
    fork = log.end
    unknown = log.write(SET, timeline=Timeline(B), start=fork + 1)
    log.write(SET, timeline=Timeline(B, A, fork))
    assert log.history.timelines == {A: Timeline(A), B: Timeline(B, A, fork)}
    # One that can't be read costs nothing while another says the same.
    log.store.put(unknown.name.manifest_key, [b"{}"])
    assert log.history.timelines[B].parent == A


def test_a_timeline_that_cannot_be_placed_hides_no_other(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log = StoredLog()
    base = log.snapshot(replace(made(), replication=ReplicationPoint(B, SIZE, 0)))
    log.write(SET)
    fork = log.end
    log.write(SET, timeline=Timeline(B, A, fork), start=fork + 1, at_ms=2000)
    log.store.put(log.written[0].name.manifest_key, [b"{}"])
    history = log.history
    assert [name.replid for name in history.names] == [B]
    assert history.plan(AtOffset(log.end)).base == base
    assert history.coverage().ranges[-1].last == log.end
    print_left_out(history)
    assert log.written[0].name.manifest_key in capsys.readouterr().err


def test_what_ended_before_a_time_may_be_unreadable() -> None:
    log = StoredLog()
    log.write(SET, at_ms=1000)
    unreadable = log.write(SET, at_ms=2000)
    log.snapshot(replace(made(), replication=ReplicationPoint(A, log.end, 0)))
    log.write(SET, SET, at_ms=3000)
    log.store.put(unreadable.name.manifest_key, [b"{}"])
    at = AtTime(datetime.fromtimestamp(3, UTC))
    assert log.history.plan(at).offset == log.end - SIZE
    log.store.put(log.written[2].name.manifest_key, [b"{}"])
    with pytest.raises(SnapshotCorrupt, match=log.written[2].name.manifest_key):
        log.history.plan(at)


def test_a_named_snapshot_after_the_point_is_said_to_be_one() -> None:
    log = StoredLog()
    log.write(SET, SET)
    base = log.snapshot(replace(made(), replication=ReplicationPoint(A, SIZE, 0)))
    with pytest.raises(PointNotFound, match=base.id):
        log.history.plan(AtOffset(1), base=base)
    assert log.history.plan(AtOffset(2 * SIZE), base=base).size == SIZE


def test_a_point_inside_a_transaction_is_refused_and_never_written(tmp_path: Path) -> None:
    log = StoredLog()
    base = log.snapshot(replace(made(), replication=ReplicationPoint(A, 0, 0)))
    log.write(SET, *TRANSACTION, SET)
    inside = Point(A, SIZE + len(resp(b"MULTI")) + SIZE)
    opener = Opener(log.catalog, [IDENTITY])
    with pytest.raises(RefusedForSafety, match=rf"after {SIZE}.*--offset {A[:12]}:{SIZE}"):
        opener.write(base.id, inside, tmp_path, ignore)
    assert list(tmp_path.iterdir()) == []


def test_a_replay_begins_in_the_database_of_its_snapshot() -> None:
    log = StoredLog()
    log.snapshot(replace(made(), replication=ReplicationPoint(A, SIZE, 12)))
    log.write(SET, SET)
    replay = log.history.plan(AtOffset(log.end))
    found = b"".join(Opener(log.catalog, [IDENTITY]).log(log.history, replay, ignore))
    assert found == resp(b"SELECT", b"12") + resp(*SET)


class Full(Exception):
    """The disk has no room, as far as this test goes."""


@dataclass(frozen=True)
class OnFullDisk(Opener):
    """Shows where it would write, and writes nothing."""

    def write_replay(
        self, history: History, replay: Replay, directory: Path, report: Report
    ) -> None:
        raise Full(directory)


def test_what_is_saved_lies_below_the_state_directory_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a directory for temporary files nobody would find what a killed process left."""
    monkeypatch.setattr(replays, "require_reader", lambda _: None)
    log = StoredLog()
    log.snapshot(replace(made(), replication=ReplicationPoint(A, 0, 0)))
    log.write(SET, SET)
    opener = OnFullDisk(log.catalog, [IDENTITY], tmp_path)
    with pytest.raises(Full) as found:
        list(opener.saved(log.history, log.history.plan(AtOffset(log.end)), ignore))
    assert found.value.args[0].is_relative_to(tmp_path)
    assert not found.value.args[0].exists()
