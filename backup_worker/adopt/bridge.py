"""The scratch server between the source and the nodes: a replica there, the master here.

It speaks to the source as the source does, plain or TLS, and to the nodes as the cluster does: no
setting of a node changes. Chained replication hands the source's stream on unchanged.
"""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import redis

from backup_worker.adopt.source import Source, keys_by_database
from backup_worker.errors import BackupError
from backup_worker.progress import Progress, Report, ignore
from backup_worker.proving import scratch
from backup_worker.restore.loader import Target
from backup_worker.restore.survey import ScratchState, count_keys

# The source's writes rest at most so long, even if we die; and are closed well before the end.
PAUSE_SECONDS, _CLOSE_WITHIN = 20.0, 14.0
_CATCH_UP_SECONDS = 8.0
_FROZEN_SECONDS = 3600.0
_LOOK_EACH = 0.05


@dataclass
class SourceBridge:
    """Follows the source; ends with the block. `seconds` holds how long each phase took.

    `run_id` is the process that is followed: one started since may have lost what it acknowledged.
    `closed_after` is how long the source's writes had been held back when it was closed.
    """

    target: Target
    source: Source
    databases: int
    run_id: str
    report: Report = ignore
    clock: Callable[[], float] = time.monotonic
    seconds: dict[str, float] = field(default_factory=dict)
    closed_after: float | None = None
    _paused_at: float | None = None
    _server: scratch.ScratchServer | None = None
    _stack: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def load(self) -> None:
        """Start it and wait until it holds all the source's data and follows."""
        if self._server is not None:
            raise self._failed(f"the scratch server ended: {self._server.last_words()}")
        began = self.clock()
        directory = self._stack.enter_context(scratch.workspace(self.target.state))
        self._server = scratch.start(
            self.target.scratch,
            ca=self._authorities(directory),
            directory=directory,
            databases=self.databases,
        )
        self._stack.enter_context(
            scratch.loaded(self._server, patience=self.target.patience, on_progress=lambda _: None)
        )
        self._follow(self._server)
        self._wait_until_linked(self._server)
        self.seconds["copy"] = self.clock() - began

    def state(self) -> ScratchState | None:
        """Return how it does; None when it does not run."""
        info = self._server.info() if self._server is not None else None
        if self._server is None or info is None:
            return None
        return ScratchState(
            address=self.target.scratch.address,
            replid=str(info["master_replid"]),
            offset=_offset(info),
            keys=count_keys(info),
            used_memory=int(str(info["used_memory"])),
            frozen=self._server.frozen,
        )

    @property
    def used_memory(self) -> int:
        """Return how many bytes it takes; 0 when it does not run."""
        state = self.state()
        return 0 if state is None else state.used_memory

    def freeze(self) -> None:
        """Hold the source's writes back, take over the last of them, and let go of it."""
        server = self._running()
        if self._paused_at is None or self.clock() - self._paused_at > _CATCH_UP_SECONDS:
            self._paused_at = self.clock()
        self._require_same_process()
        self._catch_up(server, self.source.pause(seconds=PAUSE_SECONDS))
        self._require_same_keys(server)
        with server.client() as client:
            client.execute_command("REPLICAOF", "NO", "ONE")
        server.freeze(seconds=_FROZEN_SECONDS)

    def close_source(self) -> None:
        """Refuse the source's writes for good; only while they are held back already."""
        if self._paused_at is None:
            raise self._failed("its writes are not held back")
        if self.clock() - self._paused_at > _CLOSE_WITHIN:
            raise self._failed("the nodes took too long to catch up with the last writes")
        try:
            self.source.close()
        except redis.ResponseError as error:
            # It won't be allowed the next time either, and its writes wait.
            raise self._failed(f"it can't be closed: {error}") from error
        self.closed_after = self.clock() - self._paused_at
        if self.closed_after > PAUSE_SECONDS - 1:
            raise self._failed("it took too long to close it: writes may have come in between")

    def _authorities(self, directory: Path) -> Path:
        """Write down whom it trusts: the cluster's CA and, with TLS, the source's."""
        files = (self.target.access.ca, self.source.ca)
        bundle = directory / "ca.pem"
        bundle.write_text("\n".join(path.read_text() for path in files if path is not None))
        return bundle

    def _follow(self, server: scratch.ScratchServer) -> None:
        """Credentials go by its control connection: they are in no file."""
        source = self.source
        with server.client() as client:
            client.config_set("tls-replication", "yes" if source.ca is not None else "no")
            client.config_set("repl-diskless-load", "on-empty-db")
            if source.password is not None:
                client.config_set("masteruser", source.username or "")
                client.config_set("masterauth", source.password)
            client.execute_command("REPLICAOF", source.address.host, str(source.address.port))

    def _wait_until_linked(self, server: scratch.ScratchServer) -> None:
        """Wait as long as bytes arrive or are loaded."""
        deadline, before = self.clock() + self.target.patience, None
        while True:
            info = server.info()
            if info is None:
                raise self._failed(f"the scratch server ended: {server.last_words()}")
            if info.get("master_link_status") == "up":
                return
            received = int(str(info.get("master_sync_read_bytes", 0)))
            total = int(str(info.get("master_sync_total_bytes", 0)))
            self.report(Progress("copy", received, total or None))
            if (now := (received, info.get("loading_loaded_bytes"))) != before:
                deadline, before = self.clock() + self.target.patience, now
            if self.clock() > deadline:
                raise self._failed(f"it sends no data: {server.last_words()}")
            time.sleep(_LOOK_EACH)

    def _catch_up(self, server: scratch.ScratchServer, offset: int) -> None:
        deadline = self.clock() + _CATCH_UP_SECONDS
        while self.clock() < deadline:
            info = server.info()
            linked = info is not None and info.get("master_link_status") == "up"
            if info is not None and linked and _offset(info) >= offset:
                return
            time.sleep(_LOOK_EACH / 5)
        raise self._failed("its last writes did not arrive while it was paused")

    def _require_same_process(self) -> None:
        if self.source.run_id() != self.run_id:
            raise self._failed("it was restarted meanwhile and may have lost data")

    def _require_same_keys(self, server: scratch.ScratchServer) -> None:
        """Nothing expires while writes rest, so that both must hold as many keys."""
        try:
            there = self.source.keys()
            with server.client() as client:
                here = keys_by_database(client.info("keyspace"))
        except (redis.RedisError, OSError) as error:
            raise self._failed(str(error)) from error
        if there != here:
            raise self._failed(f"it holds {there} keys by database, {here} arrived")

    def _running(self) -> scratch.ScratchServer:
        if self._server is None:
            raise self._failed("there is no scratch server")
        return self._server

    def _failed(self, cause: str) -> BackupError:
        return BackupError(
            operation="adopt",
            subject=str(self.source.address),
            cause=cause,
            hint="look at the source, then begin again",
        )


def _offset(info: dict[str, object]) -> int:
    """Return how far it has got in the stream: applied as a replica, written as a master."""
    return int(str(info["slave_repl_offset" if info["role"] == "slave" else "master_repl_offset"]))
