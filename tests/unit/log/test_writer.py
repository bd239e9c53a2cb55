"""Segments end between commands, at the right time, and hold what was received."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from age import Identity
from backup_worker.errors import ProtocolError, SpoolFull
from backup_worker.log.segment import Segment, Timeline
from backup_worker.log.spool import Sealed, Spool
from backup_worker.log.timeline import Position
from backup_worker.log.writer import QUIET_SECONDS, LogWriter, Sealing
from backup_worker.manifest import Content
from backup_worker.transform.compression import Decompress
from backup_worker.transform.encryption import Decrypt
from backup_worker.transform.hashing import Measure
from backup_worker.transform.pipeline import transformed
from backup_worker.transform.signing import Signer
from tests.unit.log.test_boundary import PING, command, naive, pieces, streams

IDENTITY = Identity.generate()
SIGNER = Signer.generate()
START = Position(Timeline("a" * 40), 1000)
SET = command(b"SET", b"key", b"value")


def sealing(*, seconds: float = 10.0, size: int = 1 << 20) -> Sealing:
    return Sealing([IDENTITY.to_public()], SIGNER, lambda: 4, seconds=seconds, size=size)


def spool_at(directory: Path, *, limit: int = 1 << 30) -> Spool:
    return Spool(directory, limit=limit, trusted=(SIGNER.public_key,))


def writer_on(spool: Spool, *, seconds: float = 10.0, size: int = 1 << 20) -> LogWriter:
    return LogWriter(spool, sealing(seconds=seconds, size=size), START, source="10.0.0.2:6380")


def opened(spool: Spool, sealed: Sealed) -> tuple[Segment, bytes]:
    """Return a segment's manifest and its bytes, checked against it."""
    segment, subject = spool.read(sealed), sealed.name.object_key
    stored, plain = Measure(), Measure()
    stages = Decrypt([IDENTITY], subject=subject), Decompress(subject=subject)
    data = b"".join(transformed(spool.object_chunks(sealed), stored, *stages, plain))
    assert segment.stored == Content(stored.size, stored.sha256)
    assert segment.plain == Content(plain.size, plain.sha256)
    return segment, data


@settings(max_examples=60)
@given(
    stream=streams,
    cuts=st.lists(st.integers(0, 10**6), max_size=9),
    pause=st.sampled_from([0.01, 3, 20]),
)
def test_segments_hold_the_stream_and_end_between_commands(
    tmp_path_factory: pytest.TempPathFactory,
    stream: bytes,
    cuts: list[int],
    pause: float,
) -> None:
    spool = spool_at(tmp_path_factory.mktemp("spool"))
    writer, now = writer_on(spool, size=200), 0.0
    for piece in pieces(stream, cuts):
        now += pause
        writer.feed(piece, now=now, wall_ms=int(now * 1000))
    writer.close()
    ends = {boundary.offset for boundary in naive(stream)}
    found = [opened(spool, sealed) for sealed in spool.sealed]
    assert b"".join(held for _, held in found) == stream[: max(ends) - START.offset]
    reached = START.offset
    for segment, _ in found:
        assert segment.start == reached + 1
        assert {mark.offset for mark in segment.marks} <= ends
        assert segment.marks[-1].offset == segment.end
        reached = segment.end
    assert writer.position.offset == reached == max(ends)


def test_a_segment_is_due_before_its_time_and_needs_no_more_data_to_end(tmp_path: Path) -> None:
    spool = spool_at(tmp_path)
    writer = writer_on(spool, seconds=10.0)
    writer.feed(SET + SET[:9], now=100.0, wall_ms=1)
    writer.seal_if_due(105.0)
    assert spool.sealed == ()
    writer.seal_if_due(109.5)
    (sealed,) = spool.sealed
    assert opened(spool, sealed)[1] == SET
    writer.feed(SET[9:], now=110.0, wall_ms=2)
    writer.close()
    assert opened(spool, spool.sealed[1])[1] == SET


def test_signs_of_life_alone_stay_open_longer(tmp_path: Path) -> None:
    spool = spool_at(tmp_path)
    writer = writer_on(spool, seconds=1.0)
    writer.feed(PING, now=0.0, wall_ms=1)
    writer.seal_if_due(QUIET_SECONDS - 1)
    assert (spool.sealed, writer.since) == ((), None)
    writer.feed(SET, now=QUIET_SECONDS - 0.5, wall_ms=2)
    assert opened(spool, spool.sealed[0])[1] == PING + SET


def test_half_a_huge_command_is_not_sealed_however_old(tmp_path: Path) -> None:
    spool = spool_at(tmp_path)
    writer = writer_on(spool, seconds=1.0, size=1000)
    writer.feed(SET, now=0.0, wall_ms=1)
    writer.feed(b"*2\r\n$3\r\nGET\r\n$90000\r\n", now=0.1, wall_ms=2)
    for second in range(1, 10):
        writer.feed(b"v" * 10_000, now=float(second), wall_ms=second)
    assert spool.sealed == ()
    writer.feed(b"\r\n" + SET[:3], now=10.0, wall_ms=10)
    segment, data = opened(spool, spool.sealed[0])
    assert data.endswith(b"v\r\n")
    assert [mark.time_ms for mark in segment.marks] == [1, 10]


def test_marks_come_back_from_a_leap_of_the_clock(tmp_path: Path) -> None:
    spool = spool_at(tmp_path)
    writer, hours = writer_on(spool), 6 * 3_600_000
    for ms in (5000, 6000 + hours, 7000, 6900, 8000 + hours):
        writer.feed(SET, now=1.0, wall_ms=ms)
    writer.close()
    writer.feed(SET, now=2.0, wall_ms=9000)
    writer.close()
    marks = [m.time_ms for sealed in spool.sealed for m in opened(spool, sealed)[0].marks]
    assert marks == [5000, 6000 + hours, 7000, 8000 + hours, 9000]


def test_marks_ascend_when_the_clock_steps_back_a_little(tmp_path: Path) -> None:
    spool = spool_at(tmp_path)
    writer = writer_on(spool)
    for ms in (5000, 9000, 1000, 9500, 2000):
        writer.feed(SET, now=1.0, wall_ms=ms)
    writer.close()
    writer.feed(SET, now=2.0, wall_ms=300)
    writer.close()
    marks = [m.time_ms for sealed in spool.sealed for m in opened(spool, sealed)[0].marks]
    assert marks == [5000, 9000, 9500, 9500, 9500]


def test_a_long_segment_keeps_its_manifest_small(tmp_path: Path) -> None:
    spool = spool_at(tmp_path)
    writer = writer_on(spool, seconds=1e9, size=1 << 40)
    for number in range(20_000):
        writer.feed(SET, now=1.0, wall_ms=number * 50)
    writer.close()
    segment, _ = opened(spool, spool.sealed[0])
    assert 1000 < len(segment.marks) <= 4097
    assert segment.marks[-1].time_ms == 19_999 * 50


def test_a_full_spool_takes_nothing_and_keeps_what_is_whole(tmp_path: Path) -> None:
    spool = spool_at(tmp_path, limit=100)
    writer = writer_on(spool, size=10)
    writer.feed(SET, now=1.0, wall_ms=1)
    with pytest.raises(SpoolFull, match="of 100 allowed"):
        writer.feed(SET, now=2.0, wall_ms=2)
    writer.close()
    assert [sealed.name.end for sealed in spool.sealed] == [START.offset + len(SET)]


def test_garbage_leaves_nothing_behind(tmp_path: Path) -> None:
    spool = spool_at(tmp_path)
    writer = writer_on(spool)
    writer.feed(SET, now=1.0, wall_ms=1)
    with pytest.raises(ProtocolError):
        writer.feed(b"garbage\r\n", now=1.0, wall_ms=1)
    writer.abandon()
    assert (list(tmp_path.iterdir()), writer.position) == ([], START)
    assert spool.size == 0


def test_the_selected_database_is_noted_at_each_start(tmp_path: Path) -> None:
    spool = spool_at(tmp_path)
    writer = writer_on(spool, size=1)
    for piece in (SET, command(b"SELECT", b"7"), SET):
        writer.feed(piece, now=1.0, wall_ms=1)
    assert [opened(spool, s)[0].db for s in spool.sealed] == [None, None, 7]
    assert writer.position.db == 7
    assert {opened(spool, s)[0].term for s in spool.sealed} == {4}


@pytest.mark.parametrize(
    ("lost", "sealed_after"), [(None, 8.8), (99.0, 7.8), (50.0, 4.4), (100.0, 8.8)]
)
def test_what_waited_for_a_new_link_is_sealed_sooner(
    tmp_path: Path, lost: float | None, sealed_after: float
) -> None:
    """The link comes at 100 s; it has half of the usual time to catch up at the least."""
    spool = spool_at(tmp_path)
    writer = LogWriter(spool, sealing(), START, source="10.0.0.2:6380", silent_since=lost)
    writer.feed(SET, now=100.0, wall_ms=1)
    writer.seal_if_due(100.0 + sealed_after - 0.01)
    assert spool.sealed == ()
    writer.seal_if_due(100.0 + sealed_after + 0.01)
    assert len(spool.sealed) == 1
    writer.feed(SET, now=200.0, wall_ms=2)
    writer.seal_if_due(208.79)
    assert len(spool.sealed) == 1, "only the first segment has waited"
    writer.close()
