"""What a scratch server's last words say of the snapshot that it was to load."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from backup_worker.errors import BackupError, SnapshotCorrupt
from backup_worker.proving import scratch

OUT_OF_MEMORY = """\
2710:M 30 Nov 2026 08:00:00.000 # Out Of Memory allocating 83886096 bytes!
=== REDIS BUG REPORT START: Cut & paste starting from here ===
2710:M 30 Nov 2026 08:00:00.001 # Guru Meditation: Redis aborting for OUT OF MEMORY. Allocating \
83886096 bytes! #server.c:6704
"""
ASSERTION = "2710:M 30 Nov 2026 08:00:00.000 # === ASSERTION FAILED ===\n"
CUT_SHORT = "2710:M 30 Nov 2026 08:00:00.000 # Short read or OOM loading DB. Aborting now.\n"


@pytest.mark.parametrize(
    ("log", "kind", "cause"),
    [
        (OUT_OF_MEMORY, BackupError, "it aborted: Out Of Memory allocating 83886096 bytes"),
        (ASSERTION, SnapshotCorrupt, "the server crashed: ASSERTION FAILED"),
        (CUT_SHORT, SnapshotCorrupt, "Short read or OOM"),
    ],
)
def test_only_what_the_data_is_to_blame_for_makes_a_snapshot_corrupt(
    log: str, kind: type[BackupError], cause: str, tmp_path: Path
) -> None:
    (tmp_path / "log").write_text(log)
    process = subprocess.Popen(["sh", "-c", "kill -ABRT $$"])
    assert process.wait() == -signal.SIGABRT
    server = scratch.ScratchServer("for a drill", tmp_path, process, pytest.fail)
    with (
        pytest.raises(BackupError, match=cause) as caught,
        scratch.loaded(server, patience=1.0, on_progress=pytest.fail),
    ):
        pass
    assert type(caught.value) is kind


@pytest.mark.parametrize(("parent", "said"), [(os.getpid(), "ran\n"), (1, "")])
def test_who_has_lost_its_parent_already_is_not_run(parent: int, said: str) -> None:
    command = scratch.bound("echo", "ran", parent=parent)
    assert subprocess.run(command, capture_output=True, text=True, check=False).stdout == said
