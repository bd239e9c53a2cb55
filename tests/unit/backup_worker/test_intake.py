"""An RDB is checked on its way through: its beginning, its end, and where it stands."""

from collections.abc import Iterator

import pytest

from backup_worker.errors import SnapshotCorrupt
from backup_worker.intake import Intake
from backup_worker.manifest import ReplicationPoint
from backup_worker.replication.protocol import Event, FullResync, RdbChunk, RdbEnd, RdbStart

REPLID = "8de1787ba490483314a4d30f1c628bc5025eb761"
RDB = (
    b"REDIS0010\xfa\x09redis-ver\x067.0.15\xfa\x0erepl-stream-db\xc0\x03"
    b"\xfa\x07repl-id\x28" + REPLID.encode() + b"\xfa\x0brepl-offset\xc1\x29\x02"
    b"\xfe\x00\xfb\x00\x00\xff" + bytes(8)
)


def events(rdb: bytes, *, replid: str = REPLID, offset: int = 553) -> Iterator[Event]:
    yield FullResync(replid, offset)
    yield RdbStart(None)
    yield from (RdbChunk(rdb[at : at + 7]) for at in range(0, len(rdb), 7))
    yield RdbEnd()


def test_a_whole_rdb_passes_unchanged_and_says_where_it_stands() -> None:
    intake = Intake(events(RDB))
    assert b"".join(intake.chunks()) == RDB
    assert intake.point == ReplicationPoint(REPLID, 553, stream_db=3)
    assert intake.preamble.engine.version == "7.0.15"


@pytest.mark.parametrize(
    ("rdb", "cause"),
    [
        (RDB[:-1], "EOF opcode"),
        (RDB.replace(b"\xff" + bytes(8), bytes(9)), "EOF opcode"),
        (b"RIDES" + RDB[5:], "not REDIS or VALKEY"),
        (RDB.replace(b"repl-offset", b"repl-nonset"), "repl-offset"),
        (RDB.replace(b"repl-stream-db", b"repl-stream-xx"), "repl-stream-db"),
        (b"REDIS0010", "EOF opcode"),
    ],
)
def test_what_is_no_whole_rdb_ends_in_an_error(rdb: bytes, cause: str) -> None:
    with pytest.raises(SnapshotCorrupt, match=cause):
        list(Intake(events(rdb)).chunks())


@pytest.mark.parametrize("announced", [{"offset": 554}, {"replid": "f" * 40}])
def test_a_server_that_announced_another_point_is_not_believed(announced: dict[str, int]) -> None:
    with pytest.raises(SnapshotCorrupt, match="the server announced"):
        list(Intake(events(RDB, **announced)).chunks())  # type: ignore[arg-type]
