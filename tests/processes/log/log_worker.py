"""A follower with a store of its own, and what proves its log: replayed by a stock server."""

import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import redis

from age import Identity
from backup_worker.config import LogSettings
from backup_worker.log.catalog import LogCatalog
from backup_worker.log.follower import Follower, Hooks
from backup_worker.log.segment import Segment
from backup_worker.log.timeline import Gap
from backup_worker.manifest import Content, ReplicationPoint
from backup_worker.replication.link import snapshot_events
from backup_worker.replication.protocol import FullResync, RdbChunk
from backup_worker.replication.rdb import PreambleReader
from backup_worker.replication.source import find_sources
from backup_worker.snapshot import Destination
from backup_worker.store.contract import Store
from backup_worker.store.file import FileStore
from backup_worker.transform.compression import Decompress
from backup_worker.transform.encryption import Decrypt
from backup_worker.transform.hashing import Measure
from backup_worker.transform.pipeline import transformed
from backup_worker.transform.signing import Signer
from tests.processes.cluster import Cluster

QUICK = LogSettings(seal_seconds=1.0, seal_bytes=1 << 20, spool_bytes=64 << 20)


@dataclass(frozen=True)
class Base:
    """An RDB and where it stands."""

    path: Path
    point: ReplicationPoint


@dataclass
class LogWorker:
    """Runs followers of `cluster` in this process; `store` is a plain folder."""

    directory: Path
    cluster: Cluster
    identity: Identity = field(default_factory=Identity.generate)
    signer: Signer = field(default_factory=Signer.generate)
    # What on_gap was called with; the first is the log's beginning.
    gaps: list[Gap] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.directory.mkdir(exist_ok=True)
        self.store = FileStore(self.directory / "store")

    @property
    def spool(self) -> Path:
        return self.directory / "spool"

    @property
    def catalog(self) -> LogCatalog:
        return LogCatalog(self.store, (self.signer.public_key,))

    def follower(
        self, settings: LogSettings = QUICK, *, store: Store | None = None, term: int = 1
    ) -> Follower:
        return Follower(
            self.cluster.access("backup"),
            Destination(store or self.store, [self.identity.to_public()], self.signer),
            spool=self.spool,
            settings=settings,
            trusted=(self.signer.public_key,),
            hooks=Hooks(lambda: term, lambda: None, self.gaps.append),
        )

    @contextmanager
    def following(
        self, settings: LogSettings = QUICK, *, store: Store | None = None, term: int = 1
    ) -> Iterator[Follower]:
        """Run a follower, attached when the block begins, until it ends."""
        follower, stop = self.follower(settings, store=store, term=term), threading.Event()
        thread = threading.Thread(target=follower.run, args=(stop,))
        thread.start()
        try:
            wait_for(lambda: follower.state().source != "", 20, follower.state)
            yield follower
        finally:
            stop.set()
            thread.join(20)
            assert not thread.is_alive()

    def base(self, name: str = "base.rdb") -> Base:
        """Take an RDB from a replica, without any of what writes snapshots."""
        path, reader, preamble, point = self.directory / name, PreambleReader(), None, None
        access = self.cluster.access("backup")
        with (
            path.open("wb") as file,
            closing(snapshot_events(access, find_sources(access)[0])) as events,
        ):
            for event in events:
                if isinstance(event, FullResync):
                    point = event
                elif isinstance(event, RdbChunk):
                    preamble = preamble or reader.feed(event.data)
                    file.write(event.data)
        assert point is not None
        assert preamble is not None
        stands = ReplicationPoint(point.replid, point.offset, preamble.number("repl-stream-db"))
        return Base(path, stands)

    def segments(self) -> list[Segment]:
        """Return every segment in the store, each checked against its object."""
        listing = self.catalog.list()
        found = list(self.catalog.read_all(listing.names))
        for segment in found:
            self._check(segment)
        return sorted(found, key=lambda s: (s.term, s.marks[-1].time_ms, s.start))

    def plain(self, segment: Segment) -> bytes:
        """Decrypt a segment."""
        subject = segment.name.object_key
        stages = Decrypt([self.identity], subject=subject), Decompress(subject=subject)
        return b"".join(transformed(self.store.get(subject), *stages))

    def stream(self, point: ReplicationPoint, until: int) -> bytes:
        """Return the stream from a point to an offset of the newest timeline; no byte may lack."""
        found = self.segments()
        timeline = found[-1].timeline
        parents = {s.timeline.replid: s.timeline for s in found if s.timeline.parent}
        chain = [(timeline.replid, until)]
        while chain[0][0] != point.replid:
            child = parents[chain[0][0]]
            assert child.parent is not None
            assert child.fork is not None
            chain.insert(0, (child.parent, child.fork))
        stream, reached = [], point.offset
        for replid, end in chain:
            own = sorted((s for s in found if s.timeline.replid == replid), key=lambda s: s.start)
            for segment in own:
                if segment.end <= reached or segment.start > end:
                    continue
                assert segment.start <= reached + 1, f"bytes {reached + 1}..{segment.start} lack"
                last = min(segment.end, end)
                skip = reached + 1 - segment.start
                stream.append(self.plain(segment)[skip : last + 1 - segment.start])
                reached = last
        assert reached == until, f"the log ends at {reached}, not {until}"
        return b"".join(stream)

    def replayed_digest(self, base: Base, until: int) -> str:
        """Load base and log in a stock server; return its DEBUG DIGEST."""
        select = str(base.point.stream_db).encode()
        prefix = b"*2\r\n$6\r\nSELECT\r\n$%d\r\n%s\r\n" % (len(select), select)
        return digest_of(self.directory, base.path, prefix + self.stream(base.point, until))

    def _check(self, segment: Segment) -> None:
        stored, plain, subject = Measure(), Measure(), segment.name.object_key
        stages = stored, Decrypt([self.identity], subject=subject), Decompress(subject=subject)
        for _ in transformed(self.store.get(subject), *stages, plain):
            pass
        assert Content(stored.size, stored.sha256) == segment.stored
        assert Content(plain.size, plain.sha256) == segment.plain
        times = [mark.time_ms for mark in segment.marks]
        assert times == sorted(times)


def digest_of(directory: Path, rdb: Path, stream: bytes) -> str:
    """Return the DEBUG DIGEST of a stock server that loads an RDB and a stream of commands."""
    home = directory / f"replay-{time.monotonic_ns()}"
    files = home / "appendonlydir"
    files.mkdir(parents=True)
    (files / "base.rdb").write_bytes(rdb.read_bytes())
    (files / "incr.aof").write_bytes(stream)
    manifest = "file base.rdb seq 1 type b\nfile incr.aof seq 1 type i\n"
    (files / "appendonly.aof.manifest").write_text(manifest)
    socket = f"/tmp/replay-{os.getpid()}-{time.monotonic_ns()}.sock"
    options = ["--port", "0", "--unixsocket", socket, "--dir", str(home), "--appendonly", "yes"]
    options += ["--enable-debug-command", "yes", "--aof-load-truncated", "no"]
    with (home / "log").open("w") as log:
        server = subprocess.Popen(["redis-server", *options], stdout=log, stderr=log)
    try:
        client = redis.Redis(unix_socket_path=socket, decode_responses=True)
        wait_for(lambda: _loaded(client, server), 30, lambda: (home / "log").read_text()[-800:])
        digest = str(client.execute_command("DEBUG", "DIGEST"))
        client.close()
        return digest
    finally:
        server.kill()
        server.wait()
        Path(socket).unlink(missing_ok=True)


def _loaded(client: redis.Redis, server: "subprocess.Popen[bytes]") -> bool:
    assert server.poll() is None, "the stock server refused the log"
    with suppress(redis.RedisError, OSError):
        return bool(client.ping())
    return False


def wait_for(
    condition: Callable[[], bool], timeout: float, explain: Callable[[], object] = lambda: ""
) -> None:
    """Poll until the condition holds."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout} s: {explain()}"
        time.sleep(0.02)
