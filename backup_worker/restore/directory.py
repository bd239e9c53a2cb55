"""`--output`: files that stock Redis starts from.

With `appendonly yes` and only a dump.rdb Redis starts EMPTY: the directory also holds an
appendonlydir whose base file is the same RDB (a hard link), so that it starts in both modes.
"""

import os
import secrets
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from backup_worker.errors import RefusedForSafety
from backup_worker.restore.files import published, sync_directory, unwritable
from backup_worker.restore.opening import write_checked

AOF_DIRECTORY = "appendonlydir"
AOF_NAME = "appendonly.aof"
BASE_NAME = f"{AOF_NAME}.1.base.rdb"
_AOF_MANIFEST = f"file {BASE_NAME} seq 1 type b\n"


def is_file_target(target: Path) -> bool:
    """Say whether `--output` names a file: it ends in .rdb and is no directory."""
    return target.suffix == ".rdb" and not target.is_dir()


def check_target(target: Path) -> None:
    """Raise RefusedForSafety when something is in the way: nothing is ever overwritten."""
    if is_file_target(target):
        if target.exists():
            raise _in_the_way(target, "it exists")
        return
    if target.exists() and not target.is_dir():
        raise _in_the_way(target, "it is a file that does not end in .rdb")
    if target.is_dir() and any(target.iterdir()):
        raise _in_the_way(target, "it is not empty")


def write(content: Iterable[bytes], target: Path) -> None:
    """Write the RDB as a file or as a directory; whole under its name, or not at all.

    Raises what `content` raises, RefusedForSafety, StoreFull, BackupError.
    """
    check_target(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(target, error) from error
    if is_file_target(target):
        write_checked(content, target)
    else:
        _write_directory(content, target)


def _write_directory(content: Iterable[bytes], target: Path) -> None:
    target = target.absolute()
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.partial")
    try:
        append_only = temporary / AOF_DIRECTORY
        append_only.mkdir(mode=0o700, parents=True)
        temporary.chmod(0o700)
        write_checked(content, temporary / "dump.rdb")
        os.link(temporary / "dump.rdb", append_only / BASE_NAME)
        with published(append_only / f"{AOF_NAME}.manifest") as file:
            file.write(_AOF_MANIFEST.encode())
        sync_directory(temporary)
        with suppress(FileNotFoundError):
            target.rmdir()
        temporary.replace(target)
        sync_directory(target.parent)
    except OSError as error:
        raise unwritable(target, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _in_the_way(target: Path, cause: str) -> RefusedForSafety:
    return RefusedForSafety(
        operation="restore into",
        subject=str(target),
        cause=cause,
        hint="name a new or empty directory, or a new file that ends in .rdb",
    )
