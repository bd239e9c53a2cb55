"""Whatever bytes come, cut wherever: the same commands, or an error; bounded memory, no hang."""

import tracemalloc
from collections.abc import Sequence
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_worker.errors import SnapshotCorrupt
from backup_worker.log.commands import KEPT_BYTES, Command, CommandReader, Long, commands


def resp(*words: bytes) -> bytes:
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)


def read(data: bytes, *, step: int = 1 << 20, offset: int = 0) -> list[Command]:
    chunks = (data[at : at + step] for at in range(0, len(data), step))
    return list(commands(chunks, offset=offset, db=None, subject="log/x"))


PLAIN = st.lists(st.binary(max_size=40), min_size=1, max_size=5).filter(
    lambda words: words[0].upper() not in {b"SELECT", b"MULTI", b"EXEC"}
)


@given(st.lists(PLAIN, max_size=20), st.integers(1, 50), st.integers(0, 10**12))
def test_what_was_written_is_read_in_pieces_of_any_size(
    written: list[list[bytes]], step: int, offset: int
) -> None:
    found = read(b"".join(resp(*words) for words in written), step=step, offset=offset)
    assert [list(one.words) for one in found] == written
    position = offset
    for one, words in zip(found, written, strict=True):
        assert (one.before, one.unit) == (position, position)
        position += len(resp(*words))
        assert one.end == position
        assert one.length == len(words)


@given(st.binary(max_size=300), st.integers(1, 30))
def test_any_bytes_are_commands_or_an_error_that_names_the_object(data: bytes, step: int) -> None:
    caught: list[str] = []
    try:
        read(data, step=step)
    except SnapshotCorrupt as error:
        caught.append(error.subject)
    assert caught in ([], ["log/x"])


@given(st.lists(PLAIN, min_size=1, max_size=5), st.data())
def test_a_changed_byte_never_hangs_and_truncation_is_seen(
    written: list[list[bytes]], data: st.DataObject
) -> None:
    whole = b"".join(resp(*words) for words in written)
    at = data.draw(st.integers(0, len(whole) - 1))
    damaged = whole[:at] + bytes([data.draw(st.integers(0, 255))]) + whole[at + 1 :]
    with suppress(SnapshotCorrupt):
        read(damaged, step=7)
    ends = [one.end for one in read(whole)]
    if at not in {0, *ends}:
        with pytest.raises(SnapshotCorrupt, match="inside a command"):
            read(whole[:at])


STREAM: Sequence[tuple[bytes, ...]] = (
    (b"SELECT", b"3"),
    (b"SET", b"a", b"1"),
    (b"MULTI",),
    (b"SET", b"b", b"1"),
    (b"select", b"0"),
    (b"DEL", b"b"),
    (b"exec",),
    (b"PING",),
)


def test_database_and_transaction_go_along() -> None:
    found = read(b"".join(resp(*words) for words in STREAM), offset=100)
    assert [one.db for one in found] == [3, 3, 3, 3, 0, 0, 0, 0]
    multi = found[2].before
    assert [one.unit for one in found[2:7]] == [multi] * 5
    assert found[7].unit == found[7].before == found[6].end
    assert [one.name for one in found] == [words[0].decode().upper() for words in STREAM]


def test_the_boundary_is_never_inside_a_transaction() -> None:
    reader = CommandReader(offset=0, db=None, subject="log/x")
    seen = [(one.end, reader.boundary) for words in STREAM for one in reader.feed(resp(*words))]
    inside = seen[1][0]
    assert [boundary for _, boundary in seen[2:6]] == [inside] * 4
    assert all(end == boundary for end, boundary in (*seen[:2], *seen[6:]))


def test_the_end_inside_a_transaction_is_an_error() -> None:
    with pytest.raises(SnapshotCorrupt, match="inside a transaction"):
        read(resp(b"MULTI") + resp(b"SET", b"a", b"1"))


@pytest.mark.parametrize(
    "data",
    [
        b"*0\r\n",
        b"*-1\r\n",
        b"+OK\r\n",
        b"PING\r\n",
        b"*1\r\n$-1\r\n",
        b"*1\r\n$3\r\nSETTT",
        b"*1\r\n" * 2,
        b"*99999999999999999999\r\n",
        b"*1\r\n$99999999999999\r\n",
        b"*" + b"1" * 100,
        resp(b"SELECT", b"x"),
        resp(b"SELECT"),
        b"\n",
    ],
)
def test_what_is_no_command(data: bytes) -> None:
    with pytest.raises(SnapshotCorrupt, match="log/x"):
        read(data)
    with pytest.raises(SnapshotCorrupt, match="log/x"):
        read(data, step=1)


def test_a_huge_value_takes_no_memory() -> None:
    size = 200 * 1024 * 1024
    reader = CommandReader(offset=0, db=0, subject="log/x")
    block = bytes(1024 * 1024)
    tracemalloc.start()
    found = list(reader.feed(b"*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$%d\r\n" % size))
    for _ in range(size // len(block)):
        found += reader.feed(block)
    found += reader.feed(b"\r\n" + resp(b"GET", bytes(KEPT_BYTES)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found[0].words == (b"SET", b"key", Long(size))
    assert found[1].words == (b"GET", bytes(KEPT_BYTES))
    assert reader.boundary == found[1].end
    assert peak < 4 * 1024 * 1024


def test_a_command_of_a_million_words_takes_bounded_memory() -> None:
    count = 300_000
    reader = CommandReader(offset=0, db=0, subject="log/x")
    words = b"".join(b"$9\r\n%09d\r\n" % number for number in range(count))
    tracemalloc.start()
    found = list(reader.feed(b"*%d\r\n" % count))
    for at in range(0, len(words), 4096):
        found += reader.feed(words[at : at + 4096])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [one.length for one in found] == [count]
    assert len(found[0].words) < count
    assert peak < 2 * 1024 * 1024
