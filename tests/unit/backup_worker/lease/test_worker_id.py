"""One process a state directory, one id a directory."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from backup_worker.errors import RefusedForSafety, UsageError
from backup_worker.lease.worker_id import ID_FILE, worker_id

OWNER = """
import sys, time
from pathlib import Path
from backup_worker.lease.worker_id import worker_id

with worker_id(Path(sys.argv[1])) as me:
    print(me, flush=True)
    time.sleep(60)
"""


def id_of(state: Path) -> str:
    with worker_id(state) as me:
        return me


def test_an_id_stays_from_run_to_run_and_differs_between_directories(tmp_path: Path) -> None:
    assert id_of(tmp_path / "a") == id_of(tmp_path / "a")
    assert id_of(tmp_path / "a") != id_of(tmp_path / "b")
    assert (tmp_path / "a" / ID_FILE).stat().st_mode & 0o777 == 0o600


def test_a_copied_directory_is_another_worker(tmp_path: Path) -> None:
    before = id_of(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "copy")
    assert id_of(tmp_path / "copy") != before


def test_a_second_process_is_refused_until_the_first_is_gone(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with subprocess.Popen([sys.executable, "-c", OWNER, state], stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        first = owner.stdout.readline().decode().strip()
        with pytest.raises(RefusedForSafety, match="another process works") as raised:
            id_of(state)
        assert raised.value.exit_code == 7
        os.kill(owner.pid, signal.SIGKILL)
    assert id_of(state) == first


def test_a_spoilt_id_is_replaced(tmp_path: Path) -> None:
    before = id_of(tmp_path)
    (tmp_path / ID_FILE).write_bytes(b"\xff\x00 nonsense")
    after = id_of(tmp_path)
    assert after != before
    assert id_of(tmp_path) == after


def test_a_directory_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UsageError, match="REDIS_BACKUP_STATE"):
        id_of(tmp_path / "file")


def test_an_error_in_the_block_is_not_the_directory_s(tmp_path: Path) -> None:
    with pytest.raises(ConnectionResetError), worker_id(tmp_path):
        raise ConnectionResetError
