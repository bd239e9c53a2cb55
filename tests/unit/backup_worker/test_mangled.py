"""Whatever bytes come, a reader reads them or says what is wrong: no crash, no hang.

What each reader takes is mangled: bits, cuts, repetitions, JSON values of other kinds; and
streams come in whatever pieces. REDIS_HA_TEST_EXAMPLES raises the number of examples;
`--hypothesis-seed` repeats a run.
"""

import json
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import age
from backup_worker import manifest
from backup_worker.contents import document as contents
from backup_worker.errors import BackupError, ProtocolError, SnapshotCorrupt
from backup_worker.lease import document as lease
from backup_worker.log import segment
from backup_worker.log.boundary import Boundary, BoundaryWalker
from backup_worker.log.commands import CommandReader
from backup_worker.proving import proof
from backup_worker.replication.protocol import ReplicationParser
from backup_worker.replication.rdb import PreambleReader, TailReader, decompress_lzf
from backup_worker.transform.compression import Compress, Decompress
from backup_worker.transform.encryption import Decrypt, Encrypt
from backup_worker.transform.signing import Signer, verify
from tests.unit.backup_worker.test_rdb_preamble import REDIS_7

GOLDEN = Path(__file__).parents[1] / "golden"
EXAMPLES = int(os.environ.get("REDIS_HA_TEST_EXAMPLES", "100"))
SIGNER, IDENTITY = Signer.generate(), age.Identity.generate()
REPLID = b"a1" * 20
PLAIN = b"what was encrypted " * 10


@dataclass(frozen=True)
class Reader:
    """Reads pieces; raises one of `refusals` for what it does not take."""

    name: str
    sample: bytes
    read: Callable[[list[bytes]], object]
    refusals: tuple[type[Exception], ...]


def _whole(decode: Callable[[bytes], object]) -> Callable[[list[bytes]], object]:
    return lambda pieces: decode(b"".join(pieces))


def _walk(pieces: list[bytes]) -> None:
    walker = BoundaryWalker(Boundary(100, 0))
    fed = 100
    for piece in pieces:
        before = walker.boundary.offset
        walker.feed(piece)
        fed += len(piece)
        assert before <= walker.boundary.offset <= fed


def _commands(pieces: list[bytes]) -> None:
    reader = CommandReader(offset=100, db=0, subject="a segment")
    for piece in pieces:
        for command in reader.feed(piece):
            assert command.name is not None
    reader.finish()


def _link(pieces: list[bytes]) -> None:
    parser = ReplicationParser()
    for piece in pieces:
        list(parser.feed(piece))


def _rdb(pieces: list[bytes]) -> None:
    reader, tail, preamble = PreambleReader(), TailReader(), None
    for piece in pieces:
        tail.feed(piece)
        preamble = preamble or reader.feed(piece)
    tail.check()
    if preamble is not None:
        assert preamble.engine.rdb_version > 0
        preamble.number("repl-stream-db")


def _decrypt(pieces: list[bytes]) -> None:
    opener = Decrypt([IDENTITY], subject="an object")
    plain = b"".join(map(opener.update, pieces)) + opener.finish()
    assert plain == PLAIN


def _decompress(pieces: list[bytes]) -> None:
    unpacked = Decompress(subject="an object")
    for piece in pieces:
        assert len(unpacked.update(piece)) < 1 << 30
    unpacked.finish()


def _sealed(stage: Any) -> bytes:
    return bytes(stage.update(PLAIN) + stage.finish())


def _envelope(envelope: bytes) -> None:
    read = verify(envelope, [SIGNER.public_key], payload_type="text/plain", subject="a manifest")
    assert read == PLAIN


STREAM = (
    b"*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n*1\r\n$5\r\nMULTI\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4\r\n\r\n*1\r\n"
    b"*1\r\n$4\r\nEXEC\r\n*1\r\n$4\r\nPING\r\n*3\r\n$8\r\nREPLCONF\r\n$6\r\nGETACK\r\n$1\r\n*\r\n"
)
LINK = b"\n+FULLRESYNC " + REPLID + b" 553\r\n\n$20\r\n" + b"R" * 20 + STREAM
MARKED = b"+FULLRESYNC " + REPLID + b" 553\r\n$EOF:" + b"e" * 40 + b"\r\nRDB" + b"e" * 40 + STREAM
STREAMS = [
    Reader("boundary", STREAM, _walk, (ProtocolError,)),
    Reader("commands", STREAM, _commands, (SnapshotCorrupt,)),
    Reader("link", LINK, _link, (ProtocolError,)),
    Reader("link with an end mark", MARKED, _link, (ProtocolError,)),
    Reader("RDB", REDIS_7 + b"\xfe\x00\xff" + b"c" * 8, _rdb, (SnapshotCorrupt,)),
    Reader("LZF", b"\x04abcde\x20\x00", _whole(lambda b: decompress_lzf(b, 8)), (SnapshotCorrupt,)),
    Reader("age", _sealed(Encrypt([IDENTITY.to_public()])), _decrypt, (BackupError,)),
    Reader("zstd", _sealed(Compress()), _decompress, (SnapshotCorrupt,)),
    Reader(
        "envelope",
        SIGNER.sign(PLAIN, payload_type="text/plain"),
        _whole(_envelope),
        (SnapshotCorrupt,),
    ),
]


def _golden(name: str) -> bytes:
    return (GOLDEN / name).read_bytes()


LEASE = lease.encode(lease.Document("worker", lease.Phase.HELD, 7))
DOCUMENTS = [
    Reader(
        "manifest",
        _golden("manifest-v2.json"),
        _whole(lambda b: manifest.decode(b, key="x")),
        (SnapshotCorrupt,),
    ),
    Reader(
        "old manifest",
        _golden("manifest-v1.json"),
        _whole(lambda b: manifest.decode(b, key="x")),
        (SnapshotCorrupt,),
    ),
    Reader(
        "segment",
        _golden("segment-v1.json"),
        _whole(lambda b: segment.decode(b, key="x")),
        (SnapshotCorrupt,),
    ),
    Reader(
        "proof",
        _golden("proof-v1.json"),
        _whole(lambda b: proof.decode(b, key="x")),
        (SnapshotCorrupt,),
    ),
    Reader(
        "contents",
        _golden("contents-v1.json"),
        _whole(lambda b: contents.decode(b, key="x")),
        (SnapshotCorrupt,),
    ),
    Reader("lease", LEASE, _whole(lease.decode), ()),
]


def read(reader: Reader, pieces: list[bytes]) -> None:
    """Read; whatever is raised otherwise than on purpose fails the test."""
    with suppress(*reader.refusals):
        reader.read(pieces)


@st.composite
def mangled(draw: st.DrawFn, sample: bytes) -> bytes:
    """Change a sample in a few places; or take any bytes at all."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=200))
    content = bytearray(sample)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(content)))
        other = draw(st.integers(place, min(len(content), place + 40)))
        change = draw(st.integers(0, 3))
        if change == 0:
            content[place:other] = draw(st.binary(max_size=20))
        elif change == 1:
            content[place:place] = content[place:other]
        elif change == 2:
            content[place : place + 1] = draw(st.sampled_from((b"0", b"9" * 25, b"-1", b"\r\n")))
        else:
            del content[place:other]
    return bytes(content)


@st.composite
def pieces(draw: st.DrawFn, content: bytes) -> list[bytes]:
    """Cut bytes in a few places."""
    places = sorted(draw(st.lists(st.integers(0, len(content)), max_size=8)))
    return [content[a:b] for a, b in zip([0, *places], [*places, len(content)], strict=True)]


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from((-1, 2**63, 10**400)),
    st.floats(),
    st.text(max_size=20),
)
VALUES = st.recursive(
    SCALARS, lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(max_size=5), v, max_size=3)
)


@st.composite
def changed(draw: st.DrawFn, document: Any) -> Any:
    """Put other values in places of a JSON document, leave some out, add some."""
    if draw(st.integers(0, 5)) == 0 or not isinstance(document, dict | list) or not document:
        return draw(VALUES)
    places = list(document) if isinstance(document, dict) else list(range(len(document)))
    place = draw(st.sampled_from(places))
    other = document.copy()
    kind = draw(st.integers(0, 5))
    if kind == 0:
        del other[place]
    elif kind == 1 and isinstance(other, dict):
        other[draw(st.text(max_size=8))] = draw(VALUES)
    else:
        other[place] = draw(changed(document[place]))
    return other


def bounded(test: Callable[..., None]) -> Callable[..., None]:
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(max_examples=EXAMPLES, suppress_health_check=checks, print_blob=True)(test)


@pytest.mark.parametrize("reader", STREAMS + DOCUMENTS, ids=lambda reader: reader.name)
@bounded
@given(data=st.data())
def test_mangled_bytes_are_read_or_refused(reader: Reader, data: st.DataObject) -> None:
    read(reader, data.draw(pieces(data.draw(mangled(reader.sample)))))


@pytest.mark.parametrize("reader", STREAMS + DOCUMENTS, ids=lambda reader: reader.name)
def test_what_is_not_mangled_is_read(reader: Reader) -> None:
    for size in (1, 3, len(reader.sample)):
        parts = range(0, len(reader.sample), size)
        if reader.name != "segment":  # its key names what it holds
            reader.read([reader.sample[start : start + size] for start in parts])


@pytest.mark.parametrize("reader", DOCUMENTS, ids=lambda reader: reader.name)
@bounded
@given(data=st.data())
def test_documents_with_other_values_are_read_or_refused(
    reader: Reader, data: st.DataObject
) -> None:
    document = data.draw(changed(json.loads(reader.sample)))
    read(reader, [json.dumps(document).encode()])


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'{"format":1,"a":['])
@pytest.mark.parametrize("reader", DOCUMENTS, ids=lambda reader: reader.name)
def test_a_document_nested_without_end_is_refused(reader: Reader, opening: bytes) -> None:
    read(reader, [opening * 100_000])


@bounded
@given(text=st.text(max_size=80) | st.from_regex(segment._NAME))
def test_any_key_of_the_log_is_a_segment_or_none(text: str) -> None:
    segment.parse_key(text)
