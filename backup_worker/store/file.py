"""Objects as files below a directory."""

import contextlib
import errno
import fcntl
import os
import secrets
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from backup_worker.durable import private, sync_directory
from backup_worker.errors import (
    AlreadyExists,
    BackupError,
    DeletionRefused,
    ObjectNotFound,
    RefusedForSafety,
    StoreFull,
    StoreUnreachable,
)
from backup_worker.store.contract import StoredObject, no_rules, require_key, require_prefix

_CHUNK = 256 * 1024
_PARTIAL = ".partial"
# A writer locks its file right after it made it: what is older and unlocked has lost its writer.
_STALE_SECONDS = 60.0
_FULL = {errno.ENOSPC, errno.EDQUOT}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
_IN_THE_WAY = {errno.ENOTDIR, errno.EISDIR, errno.ENOTEMPTY}
_ABSENT = (FileNotFoundError, NotADirectoryError, IsADirectoryError)


class FileStore:
    """A Store in a directory, which is made if its parent is there.

    Files are 0600. An object is written under a temporary name beside its own, synced, and then
    renamed (linked, when it must be absent). The first write removes what killed writers left.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._swept = False
        try:
            root.mkdir(exist_ok=True)
            self._resolved = root.resolve(strict=True)
        except OSError as error:
            raise self._failed("open", str(root), error) from error

    def put(self, key: str, chunks: Iterable[bytes], *, if_absent: bool = False) -> StoredObject:
        """Write an object and make it survive a crash of the machine."""
        path = self._path(key)
        self._sweep_once()
        with self._translated("put", key):
            if if_absent and path.is_file():
                raise _already_exists(key)
            file = self._create_temporary(path.parent)
        temporary = Path(os.fsdecode(file.name))
        try:
            size = self._write(file, chunks, key)
            with self._translated("put", key), file:
                _publish(file, path, if_absent=if_absent)
        finally:
            self._tidy(file, temporary)
            self._remove_empty_directories(path, key)
        return StoredObject(key, size)

    def get(self, key: str, *, offset: int = 0) -> Generator[bytes, None, None]:
        """Yield an object's bytes."""
        path = self._path(key)
        with self._translated("get", key), path.open("rb", buffering=0) as file:
            file.seek(offset)
            while chunk := file.read(_CHUNK):
                yield chunk

    def head(self, key: str) -> StoredObject:
        """Describe an object."""
        path = self._path(key)
        with self._translated("head", key):
            if path.is_dir():
                raise IsADirectoryError(errno.EISDIR, "Is a directory")
            return StoredObject(key, path.stat().st_size)

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """Yield the objects under a prefix, the names of one directory after another in memory."""
        require_prefix(prefix)
        with self._translated("list", prefix or str(self._root)):
            for path in self._files(self._root, prefix):
                yield from self._describe(path)

    def expire(self, key: str) -> None:
        """Refuse: nobody removes marked files."""
        raise no_rules(key)

    def delete(self, key: str) -> None:
        """Remove an object, and the directories that it leaves empty."""
        path = self._path(key)
        with self._translated("delete", key):
            try:
                path.unlink()
            except _ABSENT:
                return
            with contextlib.suppress(FileNotFoundError):  # emptied and removed by another `delete`
                sync_directory(path.parent)
        self._remove_empty_directories(path, key)

    def _path(self, key: str) -> Path:
        require_key(key)
        path = self._root / key
        if not Path(os.path.realpath(path)).is_relative_to(self._resolved):
            raise RefusedForSafety(
                operation="open",
                subject=key,
                cause=f"a symbolic link leads it out of {self._root}",
                hint="remove the link from the store's directory",
            )
        return path

    def _files(self, directory: Path, prefix: str) -> Iterator[Path]:
        """Walk in the order of the keys: a directory's place is that of its name and a slash."""
        folder = "" if directory == self._root else f"{self._key(directory)}/"
        for name in self._names(directory):
            key = folder + name
            if not key.startswith(prefix) and not (name.endswith("/") and prefix.startswith(key)):
                continue
            if name.endswith("/"):
                yield from self._files(directory / name, prefix)
            else:
                yield directory / name

    def _names(self, directory: Path) -> Sequence[str]:
        """Name what is in a directory, sorted, directories with a slash; links to some are none."""
        try:
            with os.scandir(directory) as found:
                names = [_named(entry) for entry in found if not entry.name.startswith(".")]
        except FileNotFoundError:  # emptied by a `delete` since it was listed
            if directory == self._root:
                raise
            return []
        return sorted(filter(None, names))

    def _key(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()

    def _describe(self, path: Path) -> Iterator[StoredObject]:
        with contextlib.suppress(FileNotFoundError):  # deleted since it was listed
            yield StoredObject(self._key(path), path.stat().st_size)

    def _create_temporary(self, directory: Path) -> FileIO:
        """Make a new file, locked while it is open."""
        name = directory / f".{secrets.token_hex(8)}{_PARTIAL}"
        self._make_directory(directory)
        try:
            file = FileIO(name, "x", opener=private)
        except FileNotFoundError:  # a `delete` removed the directory in between
            self._make_directory(directory)
            file = FileIO(name, "x", opener=private)
        fcntl.flock(file, fcntl.LOCK_EX)
        return file

    def _make_directory(self, directory: Path) -> None:
        if directory == self._root or directory.is_dir():
            return
        self._make_directory(directory.parent)
        try:
            directory.mkdir(exist_ok=True)
        except FileExistsError:
            raise NotADirectoryError(errno.ENOTDIR, f"{directory} is an object") from None
        sync_directory(directory.parent)

    def _tidy(self, file: FileIO, temporary: Path) -> None:
        """Close and remove; what can't be removed is hidden, and swept by a later process."""
        with contextlib.suppress(OSError):
            file.close()
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)

    def _remove_empty_directories(self, path: Path, key: str) -> None:
        for directory in list(path.parents)[: key.count("/")]:
            try:
                directory.rmdir()
            except OSError:
                return

    def _write(self, file: FileIO, chunks: Iterable[bytes], key: str) -> int:
        size = 0
        for chunk in chunks:  # its own errors pass through: they are not the store's
            with self._translated("put", key):
                _write_all(file, chunk)
            size += len(chunk)
        return size

    def _sweep_once(self) -> None:
        if self._swept:
            return
        self._swept = True
        with contextlib.suppress(OSError):
            for path in self._root.rglob(f".*{_PARTIAL}"):
                with contextlib.suppress(OSError):
                    _remove_if_abandoned(path)

    @contextmanager
    def _translated(self, operation: str, key: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._failed(operation, key, error) from error

    def _failed(self, operation: str, key: str, error: OSError) -> BackupError:
        if isinstance(error, FileExistsError) and operation == "put":
            return _already_exists(key)
        kind, hint = self._diagnose(operation, error)
        cause = error.strerror or str(error)
        return kind(operation=operation, subject=key, cause=cause, hint=hint)

    def _diagnose(self, operation: str, error: OSError) -> tuple[type[BackupError], str]:
        if error.errno in _FULL:
            return StoreFull, f"{self._free_space()}free some, or shorten the retention"
        if operation in {"get", "head"} and isinstance(error, _ABSENT):
            return ObjectNotFound, "`backup-worker list` shows what is there"
        if operation == "delete" and error.errno in _FORBIDDEN:
            return DeletionRefused, "let the worker delete there, or remove old objects otherwise"
        if error.errno in _IN_THE_WAY:
            return BackupError, "a name cannot be an object and a folder: choose another name"
        return StoreUnreachable, f"check that {self._root} is mounted and that you may write to it"

    def _free_space(self) -> str:
        try:
            disk = os.statvfs(self._root)
        except OSError:
            return ""
        return f"{disk.f_bavail * disk.f_frsize // 2**20} MiB are free in {self._root}; "


def _named(entry: os.DirEntry[str]) -> str:
    if not entry.is_dir():
        return entry.name
    return "" if entry.is_symlink() else f"{entry.name}/"


def _write_all(file: FileIO, chunk: bytes) -> None:
    rest = memoryview(chunk)
    while rest:
        rest = rest[file.write(rest) :]


def _publish(file: FileIO, path: Path, *, if_absent: bool) -> None:
    os.fsync(file.fileno())
    temporary = Path(os.fsdecode(file.name))
    if if_absent:
        path.hardlink_to(temporary)
    else:
        temporary.replace(path)
    sync_directory(path.parent)


def _remove_if_abandoned(path: Path) -> None:
    if time.time() - path.stat().st_mtime < _STALE_SECONDS:
        return
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()


def _already_exists(key: str) -> AlreadyExists:
    return AlreadyExists(
        operation="put",
        subject=key,
        cause="an object of that name is there",
        hint="choose another name, or read the one that is there",
    )
