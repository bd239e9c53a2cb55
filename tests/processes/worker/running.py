"""`backup-worker run` on a cluster that is written to, and what it has brought into its store."""

import json
import os
import threading
import time
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from backup_worker.catalog import Catalog
from backup_worker.log.catalog import LogCatalog
from backup_worker.log.history import read_history
from backup_worker.store.file import FileStore
from tests.processes.cluster import Cluster
from tests.processes.cluster_process import Process
from tests.processes.worker_command import WorkerCommand


def status(worker: WorkerCommand) -> dict[str, Any]:
    """Read what the worker last wrote of itself."""
    path = worker.directory / "state" / "status.json"
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"role": ""}
    return found


def source_of(worker: WorkerCommand) -> Process | None:
    """Return the node that the worker follows now."""
    address = (status(worker).get("log") or {}).get("source", "")
    return next((n for n in worker.cluster.data_nodes if str(n.address) == address), None)


def log_catalog(worker: WorkerCommand, store: Path | None = None) -> LogCatalog:
    """Open the log of the worker's store, or of a folder."""
    return LogCatalog(FileStore(store or worker.store), (worker.signer.public_key,))


def full_syncs(cluster: Cluster) -> int:
    """Count the full copies that the data nodes have sent since their start."""
    total = 0
    for node in cluster.data_nodes:
        with node.client() as client:
            total += int(client.info("stats")["sync_full"])
    return total


def kept_for_replicas(node: Process) -> int:
    """Return the most bytes that a node keeps for one of its replication links."""
    with node.client() as client:
        return max((int(link["omem"]) for link in client.client_list(_type="replica")), default=0)


def copy_store(store: Path, copy: Path) -> float:
    """Keep a store as it is now, by hard links; return when that was (s since 1970).

    Manifests first: the object of a manifest was there before it.
    """
    at = time.time()
    for manifests in (True, False):
        for path in sorted(store.rglob("*")):
            if path.is_file() and (path.suffix == ".json") == manifests:
                target = copy / path.relative_to(store)
                target.parent.mkdir(parents=True, exist_ok=True)
                os.link(path, target)
    return at


def last_moment(worker: WorkerCommand, store: Path) -> datetime:
    """Return the latest time that can be restored from a store."""
    trusted = (worker.signer.public_key,)
    history = read_history(Catalog(FileStore(store), trusted))
    latest = max(one.until_ms for one in history.coverage().ranges)
    return datetime.fromtimestamp(latest / 1000, UTC)


@dataclass
class Reach:
    """Looks at a store all the time; `seen` holds (now, the newest segment's last arrival), ms."""

    worker: WorkerCommand
    seen: list[tuple[int, int]] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def watched(self) -> Iterator["Reach"]:
        """Look during the block."""
        thread = threading.Thread(target=self._run)
        thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            thread.join()

    def _run(self) -> None:
        catalog = log_catalog(self.worker)
        while not self._stop.wait(0.05):
            now = time.time_ns() // 1_000_000
            times = [name.last_ms for name in catalog.list().names]
            if times:
                self.seen.append((now, max(times)))

    def longest(self, acknowledged_ms: list[int], since_ms: int, until_ms: int) -> int:
        """Return the most (ms) that a loss of everything but the store would have cost.

        That is the age of the first acknowledged write (sorted times) that was not in the store.
        """
        worst = 0
        for now, reached in self.seen:
            if since_ms <= now <= until_ms:
                index = bisect_right(acknowledged_ms, reached)
                if index < len(acknowledged_ms) and acknowledged_ms[index] < now:
                    worst = max(worst, now - acknowledged_ms[index])
        return worst
