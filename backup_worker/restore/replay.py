"""A snapshot and the log after it, written where a server loads them, or saved as one RDB."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import redis

import age
from backup_worker.catalog import Catalog
from backup_worker.errors import BackupError, RefusedForSafety
from backup_worker.log.history import History, read_history
from backup_worker.log.plan import AtOffset, Replay
from backup_worker.log.reading import SegmentReader
from backup_worker.manifest import Manifest
from backup_worker.progress import Progress, Report
from backup_worker.proving import scratch_private
from backup_worker.proving.scratch import RDB_NAME, find_binary
from backup_worker.restore import directory as directories
from backup_worker.restore.compatibility import can_read
from backup_worker.restore.files import unwritable
from backup_worker.restore.journal import Point
from backup_worker.restore.leftovers import private_directory
from backup_worker.restore.opening import stored_rdb, write_checked

_CHUNK = 1024 * 1024
# More than anybody configures; each costs a server 1 KiB.
_DATABASES = 1024
_SAVE_SECONDS = 24 * 3600.0


@dataclass(frozen=True)
class Opener:
    """Opens what `catalog` names with any of the identities; every byte is checked.

    What has to lie on a disk meanwhile does so below `state`, else where temporary files do.
    """

    catalog: Catalog
    identities: Sequence[age.Identity]
    state: Path | None = None

    def rdb(self, manifest: Manifest, report: Report) -> Iterator[bytes]:
        """Yield a snapshot's RDB; complete and unchanged once it ended without an error."""
        store = self.catalog.store
        yield from stored_rdb(store, manifest, self.identities, stage="decrypt", report=report)

    def log(self, history: History, replay: Replay, report: Report) -> Iterator[bytes]:
        """Yield the log of a replay, its database selected first; checked as `rdb` is."""
        yield select(replay.base.replication.stream_db)
        reader = SegmentReader(self.catalog.store, self.identities)
        yield from reader.pieces(
            replay.pieces,
            history.log.read,
            on_progress=lambda done: report(Progress("log", done, replay.size)),
        )

    def write(self, snapshot: str, point: Point | None, directory: Path, report: Report) -> None:
        """Write what a scratch server loads: a snapshot, and the log up to a point if given."""
        manifest = self.catalog.find(snapshot)
        if point is None:
            write_checked(self.rdb(manifest, report), directory / RDB_NAME)
            return
        history = read_history(self.catalog)
        replay = history.plan(AtOffset(point.offset, point.replid), base=manifest)
        require_boundary(history.cut(replay, self.identities), point)
        self.write_replay(history, replay, directory, report)

    def write_replay(
        self, history: History, replay: Replay, directory: Path, report: Report
    ) -> None:
        """Write a replay's appendonlydir into a directory."""
        directories.write_append_only(
            self.rdb(replay.base, report), self.log(history, replay, report), directory
        )

    def saved(self, history: History, replay: Replay, report: Report) -> Iterator[bytes]:
        """Yield one RDB of a replay: a scratch server loads it and saves what it then holds.

        Raises RefusedForSafety when the installed server can't read the snapshot.
        """
        require_reader(replay.base)
        try:
            with private_directory(self.state) as directory:
                self.write_replay(history, replay, directory, report)
                yield from _saved(directory, report)
        except OSError as error:
            raise unwritable(self.state or Path(tempfile.gettempdir()), error) from error


def select(database: int) -> bytes:
    """Return the command that the stream had before a snapshot's end: it isn't sent again."""
    number = b"%d" % database
    return b"*2\r\n$6\r\nSELECT\r\n$%d\r\n%s\r\n" % (len(number), number)


def require_boundary(cut: Replay, point: Point) -> None:
    """Refuse (RefusedForSafety) to end a replay inside a command or a transaction."""
    if cut.offset != point.offset:
        raise RefusedForSafety(
            operation="restore",
            subject=f"offset {point.offset} of {point.replid[:12]}",
            cause=f"it lies inside a command or a transaction, which begins after {cut.offset}",
            hint=f"restore --offset {point.replid[:12]}:{cut.offset}",
        )


def require_reader(manifest: Manifest) -> None:
    """Refuse (RefusedForSafety) when the installed server doesn't read a snapshot's RDB."""
    binary, engine = find_binary(), manifest.engine
    if not can_read(binary.engine, binary.version, engine.rdb_version):
        raise RefusedForSafety(
            operation="load",
            subject=manifest.id,
            cause=f"{binary.engine} {binary.version} does not read RDB version"
            f" {engine.rdb_version} ({engine.name} {engine.version})",
            hint="name a directory with --output: no server is needed for that",
        )


def _saved(directory: Path, report: Report) -> Iterator[bytes]:
    with scratch_private.running(
        directory,
        databases=_DATABASES,
        patience=120.0,
        on_progress=lambda percent: report(Progress("load", int(percent), 100)),
    ):
        report(Progress("save"))
        _ask(scratch_private.connect(directory, timeout=_SAVE_SECONDS).save, directory)
    with (directory / RDB_NAME).open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def _ask(save: Callable[[], object], directory: Path) -> None:
    try:
        save()
    except (redis.RedisError, OSError) as error:
        raise BackupError(
            operation="save",
            subject="the restored data as an RDB",
            cause=str(error),
            hint=f"free space in {directory.parent}, or name a directory with --output",
        ) from error
