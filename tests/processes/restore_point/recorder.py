"""Keeps a cluster's log as the worker does: its follower in a thread, its segments in the store."""

import threading
from dataclasses import dataclass, field
from typing import Self

from backup_worker.config import LogSettings
from backup_worker.log.catalog import LogCatalog
from backup_worker.log.follower import Follower, Hooks
from backup_worker.log.reading import SegmentReader
from backup_worker.log.segment import SegmentName
from backup_worker.snapshot import Destination
from backup_worker.store.file import FileStore
from backup_worker.transform.encryption import read_identities, read_recipients
from backup_worker.transform.signing import Signer
from tests.processes.cluster import Cluster
from tests.processes.restore.conftest import Worker


@dataclass
class Recorder:
    """Follows a cluster into a worker's store; small segments, soon sealed."""

    cluster: Cluster
    worker: Worker
    seal_bytes: int = 64 * 1024
    _stop: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        key = (self.worker.directory / "signing.key").read_bytes()
        self._signer = Signer.load(key, source="signing.key")
        self._store = FileStore(self.worker.store)
        recipients = read_recipients([self.worker.environment["REDIS_BACKUP_RECIPIENT"]])
        self.follower = Follower(
            self.cluster.access("backup"),
            Destination(self._store, recipients, self._signer),
            spool=self.worker.directory / "spool",
            settings=LogSettings(seal_seconds=0.3, seal_bytes=self.seal_bytes),
            trusted=(self._signer.public_key,),
            hooks=Hooks(lambda: 1, lambda: None, lambda gap: None),
        )
        self._thread = threading.Thread(target=self.follower.run, args=(self._stop,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self.cluster.wait_for(
            lambda: bool(self.follower.state().source), explain=self.follower.state
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(15)

    @property
    def replid(self) -> str:
        """The timeline that is written now."""
        return self.follower.state().timeline

    @property
    def written(self) -> list[SegmentName]:
        """The segments of that timeline, in order."""
        names = LogCatalog(self._store, (self._signer.public_key,)).list().names
        return [name for name in names if name.replid == self.replid]

    @property
    def received(self) -> bytes:
        """All bytes of these segments."""
        identities = read_identities(self.worker.key.read_text(), source="key")
        segments = LogCatalog(self._store, (self._signer.public_key,)).read_all(self.written)
        reader = SegmentReader(self._store, identities)
        return b"".join(chunk for segment in segments for chunk in reader.whole(segment))

    def seal(self) -> None:
        """Wait until all that the master has sent by now lies in the store.

        A last write sees to it: what only holds the master's pings is not sealed for a minute.
        """
        with self.cluster.master.client() as client:
            client.set("sealed", "now")
            wanted = int(client.info("replication")["master_repl_offset"])
        self.cluster.wait_for(
            lambda: self.follower.state().shipped >= wanted, 40, self.follower.state
        )
