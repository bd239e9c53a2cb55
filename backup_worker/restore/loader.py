"""The scratch server of one restore: the snapshot opened, loaded and served when first needed."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self, TypeVar

from backup_worker.config import ScratchSettings
from backup_worker.errors import BackupError, SnapshotCorrupt, UsageError
from backup_worker.progress import Progress, Report, ignore
from backup_worker.proving import scratch
from backup_worker.restore import rdb_file
from backup_worker.restore.journal import Point
from backup_worker.restore.survey import ScratchState, count_keys
from redis_ha.connection import Address
from redis_ha.discovery import Access

T = TypeVar("T")
# Writes what is loaded, and the log up to a point if there is one, into a directory: all checked.
# A plain file's content is checked by loading it.
OpenData = Callable[[str, Point | None, Path, Report], None]
# Its pings rest this long once every node is linked; the switch takes milliseconds.
_FROZEN_SECONDS = 3600.0


@dataclass(frozen=True)
class Target:
    """The cluster as operator, where the scratch server listens, and the directory for state.

    `patience` (s) is how long nothing may move before a restore counts as stuck.
    """

    access: Access
    scratch: ScratchSettings
    state: Path
    patience: float = 120.0


@dataclass
class ScratchLoader:
    """Serves `snapshot` and the log up to `point`; ends the server and deletes decrypted data.

    `open_data` is None when no identity was given. `master` says how many databases there may be.
    `seconds` holds how long each phase took.
    """

    target: Target
    snapshot: str
    master: Address
    open_data: OpenData | None
    report: Report = ignore
    point: Point | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    _server: scratch.ScratchServer | None = None
    _stack: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def load(self) -> None:
        """Open the snapshot, start the server on it and wait until it is loaded.

        Raises what opening raises, UsageError without an identity, BackupError when it had been
        loaded before: then the server died.
        """
        if self._server is not None:
            raise self._ended(self._server)
        open_data = self._require_identity()
        directory = self._stack.enter_context(scratch.workspace(self.target.state))
        phase = "open" if rdb_file.is_file(self.snapshot) else "decrypt"
        self.timed(phase, lambda: open_data(self.snapshot, self.point, directory, self.report))
        server = scratch.running(
            self.target.scratch,
            ca=self.target.access.ca,
            directory=directory,
            databases=self._databases(),
            patience=self.target.patience,
            on_progress=lambda percent: self.report(Progress("load", int(percent), 100)),
        )
        try:
            self._server = self.timed("load", lambda: self._stack.enter_context(server))
        except SnapshotCorrupt as error:
            raise self._refused(error) from error

    def state(self) -> ScratchState | None:
        """Return how it does; None when it does not run."""
        info = self._server.info() if self._server is not None else None
        if self._server is None or info is None:
            return None
        return ScratchState(
            address=self.target.scratch.address,
            replid=str(info["master_replid"]),
            offset=int(str(info["master_repl_offset"])),
            keys=count_keys(info),
            used_memory=int(str(info["used_memory"])),
            frozen=self._server.frozen,
        )

    def freeze(self) -> None:
        """Stop its replication offset."""
        if self._server is not None:
            self._server.freeze(seconds=_FROZEN_SECONDS)

    def timed(self, phase: str, act: Callable[[], T]) -> T:
        """Do something and note how long it took."""
        self.report(Progress(phase))
        began = time.monotonic()
        result = act()
        self.seconds[phase] = time.monotonic() - began
        return result

    def _databases(self) -> int:
        """A server refuses an RDB with more databases than it is configured for."""
        with self.target.access.connect(self.master) as client:
            return int(client.config_get("databases")["databases"])

    def _require_identity(self) -> OpenData:
        if self.open_data is None:
            raise UsageError(
                operation="load",
                subject=self.snapshot,
                cause="the snapshot has to be decrypted (again) and no identity was given",
                hint="add --identity FILE; the restore stays open until then",
            )
        return self.open_data

    def _refused(self, error: SnapshotCorrupt) -> SnapshotCorrupt:
        """Name what the server did not accept."""
        plain = rdb_file.is_file(self.snapshot)
        return SnapshotCorrupt(
            operation="load",
            subject=self.snapshot,
            cause=error.cause,
            hint="`redis-check-rdb` shows where it breaks" if plain else error.hint,
        )

    def _ended(self, server: scratch.ScratchServer) -> BackupError:
        return BackupError(
            operation="restore",
            subject=self.snapshot,
            cause=f"the scratch server ended: {server.last_words()}",
            hint="check the memory limit of the worker",
        )
