"""Nothing that is there is overwritten."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from backup_worker.errors import BackupError, RefusedForSafety, SnapshotCorrupt
from backup_worker.restore import directory


def test_a_directory_holds_the_rdb_and_an_append_only_base(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "restored"
    directory.write([b"RE", b"DIS"], target)
    assert sorted(str(path.relative_to(target)) for path in target.rglob("*")) == [
        "appendonlydir",
        "appendonlydir/appendonly.aof.1.base.rdb",
        "appendonlydir/appendonly.aof.manifest",
        "dump.rdb",
    ]
    assert (target / "dump.rdb").read_bytes() == b"REDIS"
    assert (target / "dump.rdb").stat().st_nlink == 2
    assert target.stat().st_mode & 0o777 == 0o700


def test_a_log_lies_beside_the_base_and_there_is_no_dump(tmp_path: Path) -> None:
    target = tmp_path / "restored"
    directory.write_with_log([b"RE", b"DIS"], [b"SELECT", b" 0"], target)
    append_only = target / "appendonlydir"
    assert {path.name: path.read_text() for path in append_only.iterdir()} == {
        "appendonly.aof.1.base.rdb": "REDIS",
        "appendonly.aof.1.incr.aof": "SELECT 0",
        "appendonly.aof.manifest": "file appendonly.aof.1.base.rdb seq 1 type b\n"
        "file appendonly.aof.1.incr.aof seq 1 type i\n",
    }
    assert [path.name for path in target.iterdir()] == ["appendonlydir"]


def test_a_log_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield b"SELECT"
        raise SnapshotCorrupt(operation="read", subject="log/x", cause="cut", hint="")

    with pytest.raises(SnapshotCorrupt):
        directory.write_with_log([b"REDIS"], broken(), tmp_path / "restored")
    assert list(tmp_path.iterdir()) == []


def test_an_empty_directory_is_used(tmp_path: Path) -> None:
    directory.write([b"REDIS"], tmp_path)
    assert (tmp_path / "dump.rdb").exists()


def test_a_directory_in_use_is_refused(tmp_path: Path) -> None:
    (tmp_path / "dump.rdb").write_text("mine")
    with pytest.raises(RefusedForSafety, match="not empty"):
        directory.write([b"REDIS"], tmp_path)
    assert (tmp_path / "dump.rdb").read_text() == "mine"


@pytest.mark.parametrize("there", [True, False])
def test_a_link_is_refused_before_anything_is_read(there: bool, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "real")
    if there:
        (tmp_path / "real").mkdir()
    with pytest.raises(RefusedForSafety, match="a symbolic link"):
        directory.write(_unread(), tmp_path / "link")


def test_a_mount_point_is_refused_before_anything_is_read() -> None:
    with pytest.raises(RefusedForSafety, match="a mount point; name a new directory in it"):
        directory.write(_unread(), Path("/proc"))


def _unread() -> Iterator[bytes]:
    pytest.fail("it was read")
    yield b""


@pytest.mark.parametrize("name", ["dump.rdb", "notes.txt"])
def test_a_file_that_is_there_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(RefusedForSafety, match=r"it (exists|is a file)"):
        directory.write([b"REDIS"], tmp_path / name)
    assert (tmp_path / name).read_text() == "mine"


def test_a_place_that_cannot_be_written_is_named() -> None:
    with pytest.raises(BackupError, match="/proc/nothing"):
        directory.write([b"REDIS"], Path("/proc/nothing/x.rdb"))
