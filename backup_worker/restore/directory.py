"""Files that stock Redis starts from: an RDB, or a directory, with the log after it or without.

With `appendonly yes` and only a dump.rdb Redis starts EMPTY: the directory also holds an
appendonlydir whose base file is the same RDB (a hard link), so that it starts in both modes.
With a log there is no dump.rdb: it would lack what the log holds.
"""

import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from backup_worker.durable import sync_directory
from backup_worker.errors import RefusedForSafety
from backup_worker.restore.files import published, unwritable
from backup_worker.restore.opening import write_checked

AOF_DIRECTORY = "appendonlydir"
AOF_NAME = "appendonly.aof"
BASE_NAME = f"{AOF_NAME}.1.base.rdb"
LOG_NAME = f"{AOF_NAME}.1.incr.aof"
MANIFEST_NAME = f"{AOF_NAME}.manifest"
_BASE_LINE = f"file {BASE_NAME} seq 1 type b\n"
_LOG_LINE = f"file {LOG_NAME} seq 1 type i\n"
_ELSEWHERE = "name a new or empty directory, or a new file that ends in .rdb"


def is_file_target(target: Path) -> bool:
    """Say whether `--output` names a file: it ends in .rdb and is no directory."""
    return target.suffix == ".rdb" and not target.is_dir()


def check_target(target: Path) -> None:
    """Raise RefusedForSafety when something is in the way: nothing is ever overwritten.

    A directory is written beside its place and takes it at the end: of a link or a mount point it
    can't, and what it took until then would lie on another disk.
    """
    if is_file_target(target):
        if target.exists():
            raise _in_the_way(target, "it exists")
        return
    if target.is_symlink():
        raise _in_the_way(target, "it is a symbolic link")
    if target.is_mount():
        raise _in_the_way(target, "it is a mount point", hint="name a new directory in it")
    if target.exists() and not target.is_dir():
        raise _in_the_way(target, "it is a file that does not end in .rdb")
    if target.is_dir() and any(target.iterdir()):
        raise _in_the_way(target, "it is not empty")


def write(
    content: Iterable[bytes], target: Path, *, beside: Mapping[str, bytes] | None = None
) -> None:
    """Write the RDB as a file or as a directory; whole under its name, or not at all.

    `beside` are more files of a directory, by their path in it. Raises what `content` raises,
    RefusedForSafety, StoreFull, BackupError.
    """
    check_target(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(target, error) from error
    if is_file_target(target):
        write_checked(content, target)
    else:
        with _directory(target) as temporary:
            _write_base(content, temporary)
            _write_beside(beside or {}, temporary)


def write_with_log(
    content: Iterable[bytes],
    log: Iterable[bytes],
    target: Path,
    *,
    beside: Mapping[str, bytes] | None = None,
) -> None:
    """Write a directory of an RDB and the log after it; whole, or not at all; `beside` as above.

    Raises what its content raises, RefusedForSafety, StoreFull, BackupError.
    """
    check_target(target)
    with _directory(target) as temporary:
        write_append_only(content, log, temporary)
        _write_beside(beside or {}, temporary)


def write_append_only(content: Iterable[bytes], log: Iterable[bytes], directory: Path) -> None:
    """Write an appendonlydir into a directory: it is complete once its manifest is there.

    `log` begins with the SELECT of its first database.
    """
    append_only = directory / AOF_DIRECTORY
    try:
        append_only.mkdir(mode=0o700)
        write_checked(content, append_only / BASE_NAME)
        write_checked(log, append_only / LOG_NAME)
        with published(append_only / MANIFEST_NAME) as file:
            file.write((_BASE_LINE + _LOG_LINE).encode())
    except OSError as error:
        raise unwritable(directory, error) from error


def _write_base(content: Iterable[bytes], directory: Path) -> None:
    append_only = directory / AOF_DIRECTORY
    append_only.mkdir(mode=0o700)
    write_checked(content, directory / "dump.rdb")
    os.link(directory / "dump.rdb", append_only / BASE_NAME)
    with published(append_only / MANIFEST_NAME) as file:
        file.write(_BASE_LINE.encode())


def _write_beside(beside: Mapping[str, bytes], directory: Path) -> None:
    for name, content in beside.items():
        path = directory / name
        path.parent.mkdir(mode=0o700, exist_ok=True)
        with published(path) as file:
            file.write(content)


@contextmanager
def _directory(target: Path) -> Iterator[Path]:
    """Give an empty directory (0700) that takes the target's name when the block ended well."""
    target = target.absolute()
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.partial")
    try:
        temporary.mkdir(mode=0o700, parents=True)
        yield temporary
        sync_directory(temporary)
        with suppress(FileNotFoundError):
            target.rmdir()
        temporary.replace(target)
        sync_directory(target.parent)
    except OSError as error:
        raise unwritable(target, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _in_the_way(target: Path, cause: str, *, hint: str = _ELSEWHERE) -> RefusedForSafety:
    return RefusedForSafety(
        operation="restore into",
        subject=str(target),
        cause=cause,
        hint=hint,
    )
