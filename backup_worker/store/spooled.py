"""A bounded spool on disk before a store: whoever writes is never slowed down by the store.

A snapshot's bytes come from a fork of the database that waits for its slowest reader. So they are
taken at full speed into small files, and the store reads behind. What lies there is encrypted
already, and only what the store has not yet taken lies there.
"""

import fcntl
import os
import secrets
import shutil
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, wait
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from backup_worker.durable import private
from backup_worker.errors import SpoolFull
from backup_worker.store.contract import Store, StoredObject

_PIECE = 1024 * 1024
_CHUNK = 256 * 1024
_FOLDER = "put-"
# A store that is told to stop may be in the middle of a request.
_ABORT_SECONDS = 10.0


@dataclass(frozen=True)
class Spool:
    """A directory (made if its parent is there) and how many bytes may wait in it.

    `moved` is called, from another thread, each time the store has taken some of them: the source
    may have ended long before, and whoever waits shows by it that the work gets on.
    """

    directory: Path
    limit: int
    moved: Callable[[], None] = lambda: None


class SpooledStore:
    """A Store whose `put` of an iterator takes all of it at the source's own speed.

    Raises SpoolFull, at once and with nothing written, when more than the limit would wait.
    Other objects go straight to `store`: a list is in memory already, and what can be iterated
    again can be sent again. Files that a killed process left are removed at the start.
    """

    def __init__(self, store: Store, spool: Spool) -> None:
        self._store = store
        self._folder = _Folder(spool)
        self._folder.sweep()

    def put(self, key: str, chunks: Iterable[bytes], *, if_absent: bool = False) -> StoredObject:
        """Write an object; returns when the store has all of it."""
        if not isinstance(chunks, Iterator):
            return self._store.put(key, chunks, if_absent=if_absent)
        pieces = _Pieces(self._folder, key)
        stored: Future[StoredObject] = Future()

        def carry() -> None:
            try:
                with closing(pieces.read()) as behind:
                    stored.set_result(self._store.put(key, behind, if_absent=if_absent))
            except BaseException as error:  # noqa: BLE001 - the waiting thread raises it
                stored.set_exception(error)

        threading.Thread(target=carry, name="spool", daemon=True).start()
        try:
            return _drain(chunks, pieces, stored)
        except BaseException:
            pieces.abandon()
            wait([stored], timeout=_ABORT_SECONDS)
            raise
        finally:
            pieces.remove()

    def get(self, key: str, *, offset: int = 0) -> Generator[bytes, None, None]:
        """Yield an object's bytes."""
        return self._store.get(key, offset=offset)

    def head(self, key: str) -> StoredObject:
        """Describe an object."""
        return self._store.head(key)

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """Yield the objects under a prefix."""
        return self._store.list(prefix)

    def delete(self, key: str) -> None:
        """Remove an object."""
        self._store.delete(key)

    def expire(self, key: str) -> None:
        """Mark an object for the store's own rules."""
        self._store.expire(key)


def _drain(
    chunks: Iterator[bytes], pieces: "_Pieces", stored: "Future[StoredObject]"
) -> StoredObject:
    for chunk in chunks:
        if stored.done():  # only an error ends it before the pieces do
            break
        pieces.write(chunk)
    else:
        pieces.finish()
    return stored.result()


class _Folder:
    """This process's folder in the spool, locked while it lives, and what waits in it."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self.moved = spool.moved
        self._lock = threading.Lock()
        self._waiting = 0
        self._path: Path | None = None
        self._descriptor = -1

    def sweep(self) -> None:
        """Remove what killed processes left; an unusable spool is told at the first put."""
        with suppress(OSError), self._alone():
            for left in self._spool.directory.glob(f"{_FOLDER}*"):
                with suppress(OSError):
                    os.close(_locked(left))
                    shutil.rmtree(left)

    def create(self) -> FileIO:
        """Make a new file."""
        with self._lock:
            path = self._path or self._claim()
        return FileIO(path / secrets.token_hex(8), "x", opener=private)

    def reserve(self, size: int, key: str) -> None:
        """Count bytes as waiting. Raises SpoolFull."""
        with self._lock:
            if self._waiting + size > self._spool.limit:
                cause = f"{self._waiting} bytes wait for the store, {self._spool.limit} may"
                raise self.full(key, cause)
            self._waiting += size

    def release(self, size: int) -> None:
        """Count bytes as gone."""
        with self._lock:
            self._waiting -= size

    def full(self, key: str, cause: str) -> SpoolFull:
        """Make the error."""
        return SpoolFull(
            operation="spool",
            subject=f"{key} in {self._spool.directory}",
            cause=cause,
            hint="see why the store is slow, or give the spool more room",
        )

    def _claim(self) -> Path:
        self._spool.directory.mkdir(mode=0o700, exist_ok=True)
        with self._alone():
            path = self._spool.directory / f"{_FOLDER}{secrets.token_hex(8)}"
            path.mkdir(mode=0o700)
            self._descriptor = _locked(path)
        self._path = path
        return path

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep others from taking a new folder for one without an owner."""
        descriptor = os.open(self._spool.directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


class _Pieces:
    """One object's bytes on their way: written by one thread, read by another."""

    def __init__(self, folder: _Folder, key: str) -> None:
        self._folder = folder
        self._key = key
        self._change = threading.Condition()
        self._ready: deque[tuple[Path, int]] = deque()
        self._file: FileIO | None = None
        self._size = 0
        self._finished = self._abandoned = False

    def write(self, chunk: bytes) -> None:
        """Take the next bytes. Raises SpoolFull."""
        self._folder.reserve(len(chunk), self._key)
        self._size += len(chunk)
        try:
            self._file = self._file or self._folder.create()
            rest = memoryview(chunk)
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            raise self._folder.full(self._key, error.strerror or str(error)) from error
        if self._size >= _PIECE:
            self._seal()

    def finish(self) -> None:
        """Say that these were all."""
        self._seal()
        with self._change:
            self._finished = True
            self._change.notify()

    def abandon(self) -> None:
        """Make the reader fail."""
        with self._change:
            self._abandoned = True
            self._change.notify()

    def read(self) -> Generator[bytes, None, None]:
        """Yield what was written; each file is removed when it has been read."""
        while (piece := self._next()) is not None:
            path, size = piece
            try:
                with FileIO(path) as file:
                    path.unlink()
                    while chunk := file.read(_CHUNK):
                        yield chunk
                        self._folder.moved()
            finally:
                self._folder.release(size)

    def remove(self) -> None:
        """Remove what was not read."""
        with self._change:
            self._abandoned = True
            self._seal_file()
            while self._ready:
                path, size = self._ready.popleft()
                path.unlink(missing_ok=True)
                self._folder.release(size)

    def _next(self) -> tuple[Path, int] | None:
        with self._change:
            self._change.wait_for(lambda: self._ready or self._finished or self._abandoned)
            if self._abandoned:
                raise _SourceFailed
            return self._ready.popleft() if self._ready else None

    def _seal(self) -> None:
        with self._change:
            self._seal_file()
            self._change.notify()

    def _seal_file(self) -> None:
        if self._file is not None:
            self._file.close()
            self._ready.append((Path(os.fsdecode(self._file.name)), self._size))
        elif self._size:
            self._folder.release(self._size)
        self._file, self._size = None, 0


class _SourceFailed(Exception):
    """Ends the store's put; nobody sees it, the source's own error is raised."""


def _locked(path: Path) -> int:
    """Open a directory and lock it; raises BlockingIOError while another process has it."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
