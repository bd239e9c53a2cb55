"""A log in memory: commands go in, signed and encrypted segments lie in a store."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import age
from backup_worker.catalog import Catalog
from backup_worker.log import segment as segments
from backup_worker.log.history import History, read_history
from backup_worker.log.reading import SegmentReader
from backup_worker.log.search import LogSearch
from backup_worker.log.segment import Mark, Segment, Timeline
from backup_worker.manifest import Content, Manifest
from backup_worker.store.memory import MemoryStore
from backup_worker.transform.compression import Compress
from backup_worker.transform.encryption import Encrypt
from backup_worker.transform.pipeline import transformed
from backup_worker.transform.signing import Signer
from tests.unit.backup_worker.snapshots import publish

IDENTITY = age.Identity.generate()
A, B = "a" * 40, "b" * 40
Words = Sequence[bytes]


def resp(*words: bytes) -> bytes:
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)


def content(data: bytes) -> Content:
    return Content(len(data), hashlib.sha256(data).hexdigest())


@dataclass
class StoredLog:
    """Segments of timelines; `end` is how far the last one reached."""

    store: MemoryStore = field(default_factory=MemoryStore)
    signer: Signer = field(default_factory=Signer.generate)
    end: int = 0
    written: list[Segment] = field(default_factory=list)

    def write(
        self,
        *commands: Words,
        start: int | None = None,
        timeline: Timeline | None = None,
        db: int | None = 0,
        at_ms: int = 1000,
    ) -> Segment:
        """Write a segment of these commands, by default after the last one."""
        data = b"".join(resp(*words) for words in commands)
        first = self.end + 1 if start is None else start
        stored = b"".join(transformed([data], Compress(), Encrypt([IDENTITY.to_public()])))
        marks, offset = [], first - 1
        for number, words in enumerate(commands):
            offset += len(resp(*words))
            marks.append(Mark(offset, at_ms + number))
        segment = Segment(
            timeline=timeline or Timeline(A),
            start=first,
            end=offset,
            db=db,
            marks=tuple(marks),
            stored=content(stored),
            plain=content(data),
            recipients=(str(IDENTITY.to_public()),),
            source="10.0.0.2:6380",
            term=1,
        )
        self.put(segment, stored)
        self.end = offset
        self.written.append(segment)
        return segment

    def put(self, segment: Segment, stored: bytes) -> None:
        envelope = self.signer.sign(segments.encode(segment), payload_type=segments.PAYLOAD_TYPE)
        self.store.put(segment.name.object_key, [stored])
        self.store.put(segment.name.manifest_key, [envelope])

    def snapshot(self, manifest: Manifest) -> Manifest:
        return publish(self.store, self.signer, manifest)

    @property
    def catalog(self) -> Catalog:
        return Catalog(self.store, (self.signer.public_key,))

    @property
    def history(self) -> History:
        return read_history(self.catalog)

    @property
    def reader(self) -> SegmentReader:
        return SegmentReader(self.store, [IDENTITY])

    @property
    def search(self) -> LogSearch:
        return LogSearch(self.history, self.reader)
