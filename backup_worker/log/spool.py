"""The spool: segments on the local disk until the store has them. Always encrypted.

`<number>.<name>.zst.age` is a sealed segment's object, `<number>.<name>.json` its signed
manifest; the segment is sealed once the manifest is there. Whatever else lies in the directory
was left by a killed process, or is damaged, and goes. What an unknown signer signed is set aside in
`unknown-signer`, and taken back by a start that trusts it. Numbers ascend in the order of sealing.
"""

import errno
import logging
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from backup_worker.clock import steady_clock
from backup_worker.durable import private, sync_directory
from backup_worker.errors import BackupError, SnapshotCorrupt, SpoolFull, StoreFull
from backup_worker.log import segment as segments
from backup_worker.log.segment import Segment, SegmentName, Timeline
from backup_worker.transform.signing import UnknownSigner, verify
from redis_ha.eventlog import emit

_ASIDE = "unknown-signer"
_PARTIAL = ".partial"
_SEALED = re.compile(r"(\d{10})\.(.+\.json)")
_CHUNK = 256 * 1024
_FULL = {errno.ENOSPC, errno.EDQUOT}


@dataclass(frozen=True)
class Sealed:
    """A segment in the spool: its number, its name and timeline, and its bytes on disk.

    `name.term` is that of its sealing; it is shipped under the term of that time. `since` is when
    (s, steady) its first byte came.
    """

    number: int
    name: SegmentName
    timeline: Timeline
    size: int
    since: float


class Spool:
    """A directory of at most `limit` bytes, used by one process; every method is thread-safe.

    `changed` is set when a segment was sealed. Raises SpoolFull, StoreFull (no space on the disk)
    and BackupError (the disk fails).
    """

    def __init__(self, directory: Path, *, limit: int, trusted: Sequence[bytes]) -> None:
        self._directory = directory
        self._limit = limit
        self._trusted = trusted
        self._lock = threading.Lock()
        self.changed = threading.Event()
        with self._translated("open"):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._sealed = self._recover()
            self._number = self._last_number()
        self._open = 0

    @property
    def limit(self) -> int:
        """How many bytes may wait."""
        return self._limit

    @property
    def sealed(self) -> tuple[Sealed, ...]:
        """What waits for the store, in order."""
        with self._lock:
            return tuple(self._sealed)

    @property
    def size(self) -> int:
        """Bytes on disk, those of the open segment included."""
        with self._lock:
            return self._open + sum(sealed.size for sealed in self._sealed)

    def create(self) -> "PartialFile":
        """Begin the file of a segment; there is one at a time."""
        with self._translated("write to"):
            file = FileIO(self._directory / f"open{_PARTIAL}", "w", opener=private)
        with self._lock:
            self._open = 0
        return PartialFile(file, self._take)

    def seal(
        self, partial: "PartialFile", segment: Segment, envelope: bytes, *, since: float
    ) -> Sealed:
        """Make a segment of the file: it is there for good once this returns."""
        size = segment.stored.size + len(envelope)
        sealed = Sealed(self._number + 1, segment.name, segment.timeline, size, since)
        signed = self._directory / f"manifest{_PARTIAL}"
        with self._translated("seal a segment in"):
            partial.sync()
            _write_synced(signed, envelope)
            partial.path.rename(self._object(sealed))
            signed.rename(self._manifest(sealed))
            sync_directory(self._directory)
        with self._lock:
            self._number = sealed.number
            self._open = 0
            self._sealed.append(sealed)
        self.changed.set()
        return sealed

    def object_chunks(self, sealed: Sealed) -> "Chunks":
        """Give the encrypted bytes; they can be iterated again."""
        return Chunks(self._object(sealed))

    def read(self, sealed: Sealed) -> Segment:
        """Return its manifest. Raises SnapshotCorrupt."""
        with self._translated("read"):
            return self._opened(self._manifest(sealed).read_bytes(), sealed.name.manifest_key)

    def remove(self, sealed: Sealed) -> None:
        """Forget a segment, its manifest first; no error when it is gone already."""
        with self._translated("remove from"):
            self._manifest(sealed).unlink(missing_ok=True)
            self._object(sealed).unlink(missing_ok=True)
        with self._lock:
            self._sealed = [kept for kept in self._sealed if kept != sealed]

    def require_room(self) -> None:
        """Raise SpoolFull once it holds as much as it may; what is being written still fits."""
        if self.full(1.0):
            raise SpoolFull(
                operation="write to",
                subject=f"spool {self._directory}",
                cause=f"it holds {self.size} bytes that the store has not taken, of"
                f" {self._limit} allowed",
                hint="bring the store back; a larger spool bridges a longer outage",
            )

    def full(self, share: float) -> bool:
        """Say whether it holds this share of what it may, or more."""
        return self.size >= self._limit * share

    def _take(self, count: int) -> None:
        """Book bytes of the open segment."""
        with self._lock:
            self._open += count

    def _object(self, sealed: Sealed) -> Path:
        return self._directory / _file_name(sealed, sealed.name.object_key)

    def _manifest(self, sealed: Sealed) -> Path:
        return self._directory / _file_name(sealed, sealed.name.manifest_key)

    def _recover(self) -> list[Sealed]:
        """Find the sealed segments; tell of each that can't be shipped, and remove the rest."""
        self._take_back()
        found: list[Sealed] = []
        for path in self._files():
            if (match := _SEALED.fullmatch(path.name)) is None:
                continue
            try:
                found.append(self._read(path, int(match[1]), match[2]))
            except UnknownSigner as error:
                self._set_aside(path)
                emit("segment-set-aside", level=logging.ERROR, file=path.name, error=str(error))
            except SnapshotCorrupt as error:
                emit("segment-unreadable", level=logging.ERROR, file=path.name, error=str(error))
        kept = {path for s in found for path in (self._object(s), self._manifest(s))}
        for path in self._files():
            if path not in kept:
                path.unlink()
        return sorted(found, key=lambda sealed: sealed.number)

    def _take_back(self) -> None:
        """Look once more at what was set aside: its signer may be trusted by now."""
        aside = self._directory / _ASIDE
        if aside.is_dir():
            for path in aside.iterdir():
                path.rename(self._directory / path.name)
            aside.rmdir()

    def _set_aside(self, manifest: Path) -> None:
        """Move a segment's object, then its manifest."""
        aside = self._directory / _ASIDE
        aside.mkdir(mode=0o700, exist_ok=True)
        stored = manifest.with_name(
            manifest.name.removesuffix(segments.MANIFEST_SUFFIX) + segments.OBJECT_SUFFIX
        )
        for path in (stored, manifest):
            if path.exists():
                path.rename(aside / path.name)

    def _last_number(self) -> int:
        """Return the highest number that is taken, be it by a segment that was set aside."""
        aside = self._directory / _ASIDE
        names = [path.name for path in aside.iterdir()] if aside.is_dir() else []
        taken = [int(match[1]) for name in names if (match := _SEALED.fullmatch(name))]
        return max((*taken, *(sealed.number for sealed in self._sealed)), default=0)

    def _files(self) -> list[Path]:
        endings = (_PARTIAL, segments.MANIFEST_SUFFIX, segments.OBJECT_SUFFIX)
        return [path for path in self._directory.iterdir() if path.name.endswith(endings)]

    def _read(self, path: Path, number: int, name: str) -> Sealed:
        """Return a sealed segment; raises SnapshotCorrupt when it is not whole or not ours."""
        key = segments.LOG + name.replace(".", "/", 1)
        envelope = path.read_bytes()
        segment = self._opened(envelope, key)
        size = segment.stored.size + len(envelope)
        age = max(0.0, time.time() - segment.name.last_ms / 1000)
        sealed = Sealed(number, segment.name, segment.timeline, size, steady_clock() - age)
        stored = self._object(sealed)
        if not stored.is_file() or stored.stat().st_size != segment.stored.size:
            raise SnapshotCorrupt(
                operation="read",
                subject=str(stored),
                cause="it is missing or not whole",
                hint="check the disk; the log has a gap there",
            )
        return sealed

    def _opened(self, envelope: bytes, key: str) -> Segment:
        payload = verify(envelope, self._trusted, payload_type=segments.PAYLOAD_TYPE, subject=key)
        return segments.decode(payload, key=key)

    @contextmanager
    def _translated(self, operation: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise _failed(operation, self._directory, error) from error


class PartialFile:
    """The file of the segment that is being written; `take` books its bytes."""

    def __init__(self, file: FileIO, take: Callable[[int], None]) -> None:
        self._file = file
        self._take = take
        self._size = 0
        self.path = Path(os.fsdecode(file.name))

    def write(self, data: bytes) -> None:
        """Append."""
        self._take(len(data))
        self._size += len(data)
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            raise _failed("write to", self.path.parent, error) from error

    def sync(self) -> None:
        """Put it on the disk and close it."""
        os.fsync(self._file.fileno())
        self._file.close()

    def discard(self) -> None:
        """Remove it."""
        self._file.close()
        self.path.unlink(missing_ok=True)
        self._take(-self._size)
        self._size = 0


@dataclass(frozen=True)
class Chunks:
    """A file's bytes; each iteration opens it anew."""

    path: Path

    def __iter__(self) -> Iterator[bytes]:
        with self.path.open("rb", buffering=0) as file:
            while chunk := file.read(_CHUNK):
                yield chunk


def _file_name(sealed: Sealed, key: str) -> str:
    return f"{sealed.number:010d}.{key.removeprefix(segments.LOG).replace('/', '.')}"


def _failed(operation: str, directory: Path, error: OSError) -> BackupError:
    """Tell what the disk's error means."""
    full = error.errno in _FULL
    return (StoreFull if full else BackupError)(
        operation=operation,
        subject=f"spool {directory}",
        cause=error.strerror or str(error),
        hint="free some space on its disk" if full else "check the disk and who may write there",
    )


def _write_synced(path: Path, content: bytes) -> None:
    with FileIO(path, "w", opener=private) as file:
        file.write(content)
        os.fsync(file.fileno())
