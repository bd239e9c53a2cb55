"""A plain RDB file as what a live restore loads, and its copy beside the journal.

The copy (0600) stays while the restore is open: --resume needs the operator's file no more.
"""

import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from backup_worker.durable import sync_directory
from backup_worker.errors import SnapshotCorrupt
from backup_worker.manifest import Content, Engine, Manifest
from backup_worker.replication.rdb import Preamble, PreambleReader
from backup_worker.restore.files import published, unwritable
from backup_worker.transform.hashing import Measure

_DIRECTORY = "restore-from"
_NAME = "dump.rdb"
# No snapshot's id begins so.
_PREFIX = "file "


@dataclass(frozen=True)
class RdbFile:
    """`name` as the operator gave it; who wrote it, and when, if it says so; its bytes.

    `kept` tells that the copy is there: loading it takes no more space on the disk.
    """

    name: str
    engine: Engine
    taken_at: datetime | None
    rdb: Content
    kept: bool = False

    @property
    def id(self) -> str:
        """What stands where a snapshot's id does, in the journal and in errors."""
        return f"{_PREFIX}{self.name}"


# What a live restore can load; both have an id, an engine and `rdb`.
Restorable = Manifest | RdbFile


def is_file(restored: str) -> bool:
    """Say whether a journal's `snapshot` is a plain file's id."""
    return restored.startswith(_PREFIX)


def describe(content: Iterable[bytes], name: str) -> RdbFile:
    """Read a file to its end; raises SnapshotCorrupt, naming it, when it is no RDB."""
    reading = _Reading(name)
    for _ in reading.passed(content):
        pass
    return reading.result(kept=False)


def keep(content: Iterable[bytes], name: str, state: Path) -> RdbFile:
    """Copy a file into the state directory; raises as `describe`, StoreFull, BackupError.

    The caller holds journal.exclusive, which removes the copy once no restore is open.
    """
    directory, reading = state / _DIRECTORY, _Reading(name)
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
        with published(directory / _NAME) as file:
            for chunk in reading.passed(content):
                file.write(chunk)
            described = reading.result(kept=True)
        sync_directory(state)
    except OSError as error:
        raise unwritable(directory, error) from error
    return described


def lay_out(state: Path, directory: Path) -> None:
    """Lay the copy where a scratch server loads it, and deletes it, as a second name of it."""
    try:
        os.link(state / _DIRECTORY / _NAME, directory / _NAME)
    except OSError as error:
        raise unwritable(directory / _NAME, error) from error


def forget(state: Path) -> None:
    """Delete the copy, if there is one."""
    shutil.rmtree(state / _DIRECTORY, ignore_errors=True)


@dataclass
class _Reading:
    """Describes what passes."""

    name: str
    _head: PreambleReader = field(default_factory=PreambleReader)
    _preamble: Preamble | None = None
    _measure: Measure = field(default_factory=Measure)

    def passed(self, content: Iterable[bytes]) -> Iterator[bytes]:
        for chunk in content:
            self._measure.update(chunk)
            if self._preamble is None:
                self._preamble = self._feed(chunk)
            yield chunk

    def result(self, *, kept: bool) -> RdbFile:
        if self._preamble is None:
            raise _no_rdb(self.name, f"it ends after {self._measure.size} bytes")
        return RdbFile(
            name=self.name,
            engine=self._preamble.engine,
            taken_at=_written(self._preamble),
            rdb=Content(self._measure.size, self._measure.sha256),
            kept=kept,
        )

    def _feed(self, chunk: bytes) -> Preamble | None:
        try:
            return self._head.feed(chunk)
        except SnapshotCorrupt as error:
            raise _no_rdb(self.name, error.cause) from error


def _written(preamble: Preamble) -> datetime | None:
    """Files before Redis 3.2 don't say when they were written."""
    try:
        return datetime.fromtimestamp(int(preamble.fields["ctime"]), UTC)
    except (KeyError, ValueError, OverflowError):
        return None


def _no_rdb(name: str, cause: str) -> SnapshotCorrupt:
    return SnapshotCorrupt(
        operation="read",
        subject=f"{_PREFIX}{name}",
        cause=f"it is no RDB file: {cause}",
        hint="name a file that redis-server saved, or that `redis-cli --rdb` wrote",
    )
