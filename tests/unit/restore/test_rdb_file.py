"""A plain RDB file is described in whatever pieces it comes, and what is none is named."""

from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest

from backup_worker.errors import SnapshotCorrupt
from backup_worker.manifest import Content, Engine
from backup_worker.restore import journal as journals
from backup_worker.restore import rdb_file
from backup_worker.restore.rdb_file import RdbFile

HEAD = b"REDIS0012\xfa\x09redis-ver\x058.0.2\xfa\x05ctime\xc2\x00\x6d\x3b\x6a\xfe\x00"
WHOLE = HEAD + bytes(3000) + b"\xff" + bytes(8)


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


@pytest.mark.parametrize("size", [1, 7, 5000])
def test_it_is_described(size: int) -> None:
    described = rdb_file.describe(pieces(WHOLE, size), "copy.rdb")
    assert described == RdbFile(
        "copy.rdb",
        Engine("redis", "8.0.2", 12),
        datetime.fromtimestamp(0x6A3B6D00, UTC),
        Content(len(WHOLE), sha256(WHOLE).hexdigest()),
    )


@pytest.mark.parametrize("data", [b"", b"REDIS", b"PK\x03\x04zipped", HEAD[:20], b"REDISabcd" * 9])
def test_what_is_no_rdb_is_named_and_not_kept(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(SnapshotCorrupt, match=r"file copy\.rdb: it is no RDB"):
        rdb_file.describe(pieces(data, 4), "copy.rdb")
    with pytest.raises(SnapshotCorrupt, match=r"copy\.rdb"), journals.exclusive(tmp_path):
        rdb_file.keep(pieces(data, 4), "copy.rdb", tmp_path)
    assert not [path for path in tmp_path.rglob("*") if path.name != journals.LOCK_NAME]


def test_a_file_without_a_date_is_one_all_the_same() -> None:
    assert rdb_file.describe([b"REDIS0006\xfe\x00"], "old.rdb").taken_at is None


def test_a_copy_is_private_and_goes_unless_a_restore_is_open(tmp_path: Path) -> None:
    with journals.exclusive(tmp_path):
        assert rdb_file.keep(pieces(WHOLE, 999), "copy.rdb", tmp_path).kept
        (kept,) = tmp_path.rglob("*.rdb")
        assert kept.read_bytes() == WHOLE
        assert kept.stat().st_mode & 0o777 == 0o600
        assert kept.parent.stat().st_mode & 0o777 == 0o700
        (tmp_path / journals.FILE_NAME).write_text("{}")
    assert kept.exists()
    (tmp_path / journals.FILE_NAME).unlink()
    with journals.exclusive(tmp_path):
        assert not kept.exists()
