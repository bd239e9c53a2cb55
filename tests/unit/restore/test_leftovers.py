"""Decrypted data lies in directories that go with their users, killed ones included."""

import subprocess
import sys
from pathlib import Path

from backup_worker.restore.leftovers import private_directory, sweep_saved

KILLED = """
import os, signal, sys
from pathlib import Path
from backup_worker.restore.leftovers import private_directory
with private_directory(Path(sys.argv[1])) as directory:
    (directory / "dump.rdb").write_bytes(b"REDIS0010")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def left_by_a_killed_process(state: Path) -> list[Path]:
    subprocess.run([sys.executable, "-c", KILLED, str(state)], check=False)
    found = list(state.rglob("dump.rdb"))
    assert found
    return found


def test_it_lies_below_the_state_directory_for_its_owner_only(tmp_path: Path) -> None:
    with private_directory(tmp_path) as directory:
        assert directory.is_relative_to(tmp_path)
        assert directory.stat().st_mode & 0o777 == 0o700
        (directory / "dump.rdb").write_bytes(b"REDIS0010")
    assert not list(tmp_path.rglob("dump.rdb"))


def test_without_a_state_directory_it_is_a_temporary_one(tmp_path: Path) -> None:
    with private_directory(tmp_path / "none") as directory:
        assert directory.is_dir()
    assert not directory.exists()
    assert not (tmp_path / "none").exists()


def test_what_a_killed_process_left_is_swept(tmp_path: Path) -> None:
    left_by_a_killed_process(tmp_path)
    sweep_saved(tmp_path)
    assert not list(tmp_path.rglob("dump.rdb"))


def test_the_next_one_sweeps_as_well_and_what_is_in_use_stays(tmp_path: Path) -> None:
    left_by_a_killed_process(tmp_path)
    with private_directory(tmp_path) as one, private_directory(tmp_path) as other:
        sweep_saved(tmp_path)
        assert one.is_dir()
        assert other.is_dir()
        assert not list(tmp_path.rglob("dump.rdb"))


def test_where_nothing_lies_nothing_is_swept(tmp_path: Path) -> None:
    sweep_saved(tmp_path)
    assert list(tmp_path.iterdir()) == []
