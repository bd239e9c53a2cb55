"""The worker that backs the hurt cluster up, and what must be true of its log afterwards."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from backup_worker.catalog import Catalog
from backup_worker.log.coverage import Gap
from backup_worker.log.history import read_history
from backup_worker.store.file import FileStore
from tests.processes.backup.conftest import wait_for
from tests.processes.cluster import Cluster
from tests.processes.worker.running import log_catalog, source_of, status
from tests.processes.worker_command import WorkerCommand

_SETTINGS = {"REDIS_BACKUP_LOG_SECONDS": "1", "REDIS_BACKUP_INTERVAL": "3600"}


@dataclass
class Backup:
    """`backup-worker run` on the test's own host, which reaches all."""

    worker: WorkerCommand
    process: subprocess.Popen[bytes] | None = None
    known_gaps: set[Gap] = field(default_factory=set)

    @classmethod
    @contextmanager
    def running(cls, directory: Path, cluster: Cluster) -> Iterator["Backup"]:
        """Back a cluster up for the block, from its first snapshot on."""
        home = directory / "worker"
        home.mkdir()
        backup = cls(WorkerCommand(home, cluster, settings=_SETTINGS))
        try:
            backup.start()
            backup.wait_until_it_follows(90.0)
            yield backup
        finally:
            backup.kill()

    def start(self) -> None:
        """Start it unless it runs."""
        if self.process is not None and self.process.poll() is None:
            return
        words = ("run", "--health-file", str(self._health), "--node", "worker")
        with (self.worker.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "backup_worker", *words],
                env=self.worker.environment,
                cwd=self.worker.directory,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def kill(self) -> None:
        """kill -9."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)

    @property
    def _health(self) -> Path:
        return self.worker.directory / "health"

    def wait_until_it_follows(self, timeout: float) -> None:
        """Wait until it follows a node and has a snapshot."""
        wait_for(lambda: source_of(self.worker) is not None, "a source of the log", timeout)
        wait_for(lambda: self._said().startswith("ok "), "a healthy worker", timeout)

    def _said(self) -> str:
        return self._health.read_text() if self._health.exists() else ""

    def complaints(self, timeout: float, *, may_lack: bool) -> list[str]:
        """Wait for the whole log to be in the store; say what it lacks since the last time.

        With `may_lack` a gap is no complaint if the worker announced it, as it must.
        """
        try:
            self._wait_for_the_whole_log(time.monotonic() + timeout)
        except AssertionError as error:
            return [f"the backup doesn't follow: {error}; it says {status(self.worker)}"]
        trusted = (self.worker.signer.public_key,)
        coverage = read_history(Catalog(FileStore(self.worker.store), trusted)).coverage()
        new, self.known_gaps = set(coverage.gaps) - self.known_gaps, set(coverage.gaps)
        announced = (self.worker.directory / "log").read_text().count('"event": "log-gap"')
        if may_lack and announced >= len(coverage.gaps):
            return []
        return [f"the log lacks {gap}; {announced} announced" for gap in new]

    def _wait_for_the_whole_log(self, deadline: float) -> None:
        with self.worker.cluster.settled_master().client() as client:
            client.set("the last", "write")
            info = client.info("replication")
        replid, offset = str(info["master_replid"]), int(info["master_repl_offset"])
        catalog = log_catalog(self.worker)

        def shipped() -> bool:
            names = catalog.list().names
            return any(name.replid == replid and name.end >= offset for name in names)

        wait_for(shipped, f"{offset} of {replid} in the store", deadline - time.monotonic())
