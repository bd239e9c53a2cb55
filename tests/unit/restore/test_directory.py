"""Nothing that is there is overwritten."""

from pathlib import Path

import pytest

from backup_worker.errors import BackupError, RefusedForSafety
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


def test_an_empty_directory_is_used(tmp_path: Path) -> None:
    directory.write([b"REDIS"], tmp_path)
    assert (tmp_path / "dump.rdb").exists()


def test_a_directory_in_use_is_refused(tmp_path: Path) -> None:
    (tmp_path / "dump.rdb").write_text("mine")
    with pytest.raises(RefusedForSafety, match="not empty"):
        directory.write([b"REDIS"], tmp_path)
    assert (tmp_path / "dump.rdb").read_text() == "mine"


@pytest.mark.parametrize("name", ["dump.rdb", "notes.txt"])
def test_a_file_that_is_there_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(RefusedForSafety, match=r"it (exists|is a file)"):
        directory.write([b"REDIS"], tmp_path / name)
    assert (tmp_path / name).read_text() == "mine"


def test_a_place_that_cannot_be_written_is_named() -> None:
    with pytest.raises(BackupError, match="/proc/nothing"):
        directory.write([b"REDIS"], Path("/proc/nothing/x.rdb"))
