"""Who this worker is: an id that no other process can have while this one runs."""

import fcntl
import hashlib
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from backup_worker.durable import private
from backup_worker.errors import RefusedForSafety, UsageError

ID_FILE = "worker-id"
LOCK_FILE = "worker.lock"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_ID = re.compile(r"[0-9a-f]{16}")


@contextmanager
def worker_id(state: Path) -> Iterator[str]:
    """Own a state directory (made if absent) during the block and yield this worker's id.

    The id stays the same from run to run until the machine boots or the directory is copied:
    what a lock proves, that this worker's last process is gone, it proves on this kernel and
    for this file only. Raises RefusedForSafety while another process owns the directory,
    UsageError when it can't be used.
    """
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = FileIO(state / LOCK_FILE, "a", opener=private)
    except OSError as error:
        raise _unusable(state, error) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise _taken(state) from error
        try:
            name = f"{_own_name(state)}-{_circumstances(lock)}"
        except OSError as error:
            raise _unusable(state, error) from error
        yield name


def _own_name(state: Path) -> str:
    path = state / ID_FILE
    if path.exists() and _ID.fullmatch(found := path.read_text(errors="replace").strip()):
        return found
    name = secrets.token_hex(8)
    temporary = state / f".{ID_FILE}"
    with FileIO(temporary, "w", opener=private) as file:
        file.write(f"{name}\n".encode())
        os.fsync(file.fileno())
    temporary.replace(path)
    return name


def _circumstances(lock: FileIO) -> str:
    """Tell this kernel's run and this very file from any other."""
    stat = os.fstat(lock.fileno())
    try:
        boot = _BOOT_ID.read_text().strip()
    except OSError:  # a kernel that hides it: then no run is known to follow another
        boot = secrets.token_hex(8)
    text = f"{boot} {stat.st_dev} {stat.st_ino}"
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _taken(state: Path) -> RefusedForSafety:
    return RefusedForSafety(
        operation="start",
        subject=f"worker in {state}",
        cause="another process works with that state directory",
        hint="stop it, or give each worker a state directory of its own (REDIS_BACKUP_STATE)",
    )


def _unusable(state: Path, error: OSError) -> UsageError:
    return UsageError(
        operation="open",
        subject=f"state directory {state}",
        cause=error.strerror or str(error),
        hint="set REDIS_BACKUP_STATE to a directory that this user may write to",
    )
