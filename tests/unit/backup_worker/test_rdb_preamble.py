"""The RDB's beginning and end are read strictly, in whatever pieces they come."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_worker.errors import SnapshotCorrupt
from backup_worker.manifest import Engine
from backup_worker.replication.rdb import (
    MAX_PREAMBLE,
    Preamble,
    PreambleReader,
    TailReader,
    decompress_lzf,
)

SELECT_DB = b"\xfe\x00"


def text(value: bytes) -> bytes:
    if len(value) < 64:
        return bytes([len(value)]) + value
    if len(value) < 1 << 14:
        return bytes([0x40 | len(value) >> 8, len(value) & 0xFF]) + value
    return b"\x80" + len(value).to_bytes(4, "big") + value


def aux(name: bytes, value: bytes) -> bytes:
    return b"\xfa" + text(name) + value


def read(*pieces: bytes) -> Preamble | None:
    reader, found = PreambleReader(), None
    for piece in pieces:
        found = found or reader.feed(piece)
    return found


# As a Redis 7.0 replica sent it: numbers in their short encodings.
REDIS_7 = (
    b"REDIS0010"
    + aux(b"redis-ver", text(b"7.0.15"))
    + aux(b"redis-bits", b"\xc0\x40")
    + aux(b"ctime", b"\xc2" + (1_795_509_089).to_bytes(4, "little"))
    + aux(b"used-mem", b"\xc2" + (1_309_904).to_bytes(4, "little"))
    + aux(b"repl-stream-db", b"\xc0\x00")
    + aux(b"repl-id", text(b"2eb993472ea3e242d0b3078112a179cb88fbbf3e"))
    + aux(b"repl-offset", b"\xc1\x29\x02")
    + aux(b"aof-base", b"\xc0\x00")
)


def test_a_real_preamble_is_read() -> None:
    found = read(REDIS_7 + SELECT_DB)
    assert found is not None
    assert found.engine == Engine("redis", "7.0.15", 10)
    assert found.fields["repl-id"] == "2eb993472ea3e242d0b3078112a179cb88fbbf3e"
    assert found.number("repl-offset") == 553
    assert found.number("ctime") == 1_795_509_089
    assert found.number("repl-stream-db") == 0


@pytest.mark.parametrize("magic", [b"REDIS0011", b"VALKEY080"])
def test_valkey_is_told_by_its_version_field(magic: bytes) -> None:
    found = read(magic + aux(b"valkey-ver", text(b"8.1.1")) + SELECT_DB)
    assert found is not None
    assert found.engine == Engine("valkey", "8.1.1", int(magic[-3:]))


@given(
    fields=st.dictionaries(
        st.text("abcdefgh-", min_size=1, max_size=20),
        st.text("abcdefgh0123456789", max_size=300),
        max_size=8,
    ),
    follows=st.sampled_from([b"\xfe", b"\xff", b"\xf5", b"\xf7", b"\x00"]),
    places=st.lists(st.integers(0, 3000), max_size=20),
)
def test_every_preamble_survives_every_cut(
    fields: dict[str, str], follows: bytes, places: list[int]
) -> None:
    stream = b"REDIS0012"
    for name, value in fields.items():
        stream += aux(name.encode(), text(value.encode()))
    stream += follows
    edges = [0, *sorted(min(place, len(stream)) for place in places), len(stream)]
    pieces = [stream[a:b] for a, b in itertools.pairwise(edges)]
    assert read(*pieces) == Preamble(12, fields)


@given(st.binary(max_size=400))
def test_noise_is_refused_or_waited_on(noise: bytes) -> None:
    for stream in (noise, b"REDIS0010\xfa" + noise):
        try:
            read(stream)
        except SnapshotCorrupt as error:
            assert error.subject == "RDB stream"  # noqa: PT017 - either outcome is right


@pytest.mark.parametrize(
    "stream",
    [
        b"RIDES",
        b"REDIS00x0",
        b"VALKEYX",
        b"\x1f\x8b" + bytes(20),
        b"REDIS0010\xfa\xc7",
        b"REDIS0010\xfa\xbf",
        b"REDIS0010\xfa\x80\xff\xff\xff\xff",
        b"REDIS0010\xfa\x81" + b"\xff" * 8,
        b"REDIS0010" + aux(b"a", text(bytes(1000))) * (MAX_PREAMBLE // 1000 + 1),
    ],
)
def test_what_is_no_rdb_is_refused_at_once(stream: bytes) -> None:
    with pytest.raises(SnapshotCorrupt):
        read(stream)


def test_a_missing_number_is_a_corrupt_snapshot() -> None:
    with pytest.raises(SnapshotCorrupt, match="repl-offset"):
        Preamble(10, {}).number("repl-offset")


def test_lzf_expands_overlapping_references() -> None:
    assert decompress_lzf(b"\x00a\xe0\x10\x00", 26) == b"a" * 26
    field = b"\xfa" + text(b"repl-id") + b"\xc3\x05\x1a" + b"\x00a\xe0\x10\x00"
    found = read(b"REDIS0010" + field + SELECT_DB)
    assert found is not None
    assert found.fields == {"repl-id": "a" * 26}


@pytest.mark.parametrize(
    ("packed", "size"),
    [(b"\x00a\xe0\x10\x00", 25), (b"\x05ab", 6), (b"\xe0", 9), (b"\x00a\x20\x09", 4)],
)
def test_broken_lzf_is_refused(packed: bytes, size: int) -> None:
    with pytest.raises(SnapshotCorrupt):
        decompress_lzf(packed, size)


@given(body=st.binary(), places=st.lists(st.integers(0, 300), max_size=10))
def test_the_end_is_recognised_across_pieces(body: bytes, places: list[int]) -> None:
    stream = body + b"\xff" + b"\x01" * 8
    edges = [0, *sorted(min(place, len(stream)) for place in places), len(stream)]
    tail = TailReader()
    for start, end in itertools.pairwise(edges):
        tail.feed(stream[start:end])
    tail.check()


@pytest.mark.parametrize("stream", [b"", b"\xff" * 8, b"\xff" + bytes(7), bytes(50)])
def test_an_rdb_that_does_not_end_as_one_is_refused(stream: bytes) -> None:
    tail = TailReader()
    tail.feed(stream)
    with pytest.raises(SnapshotCorrupt, match="EOF opcode"):
        tail.check()
