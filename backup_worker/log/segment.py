"""A segment of the log: what it is called, what its manifest says. Pure (docs/FORMAT.md).

A segment holds the bytes of one timeline from offset `start` to offset `end`, both included, as
the server sent them. It begins and ends between two commands, and never inside a transaction.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from sys import intern
from typing import Any

from backup_worker.canonical import canonical_json
from backup_worker.errors import SnapshotCorrupt
from backup_worker.manifest import Content

FORMAT_VERSION = 1
PAYLOAD_TYPE = "application/vnd.redis-ha.segment.v1+json"
LOG = "log/"
OBJECT_SUFFIX = ".zst.age"
MANIFEST_SUFFIX = ".json"
_NAME = re.compile(
    r"log/([0-9a-zA-Z]{40})/(\d{16})-(\d{16})\.(\d{13})\.(\d{10})(\.zst\.age|\.json)"
)


@dataclass(frozen=True)
class Timeline:
    """One history of the data, named by its replication id.

    Up to and including offset `fork` it is that of `parent`; both None where it has no known one.
    """

    replid: str
    parent: str | None = None
    fork: int | None = None


@dataclass(frozen=True)
class Mark:
    """Everything up to `offset`, which lies between two commands, had arrived by `time_ms`.

    Milliseconds since 1970 by the worker's clock.
    """

    offset: int
    time_ms: int


@dataclass(frozen=True, order=True, slots=True)
class SegmentName:
    """What a segment's key says: sorts by timeline, then offset. A listing may hold a million.

    `last_ms` is the last mark's time; `term` that of the lease under which it was written.
    """

    replid: str
    start: int
    end: int
    last_ms: int
    term: int

    @property
    def stem(self) -> str:
        name = f"{self.start:016d}-{self.end:016d}.{self.last_ms:013d}.{self.term:010d}"
        return f"{LOG}{self.replid}/{name}"

    @property
    def object_key(self) -> str:
        """The encrypted bytes."""
        return self.stem + OBJECT_SUFFIX

    @property
    def manifest_key(self) -> str:
        """The signed manifest, written last: a segment exists once it does."""
        return self.stem + MANIFEST_SUFFIX


@dataclass(frozen=True)
class Segment:
    """A segment's manifest.

    `db` is the database selected at its start, None where that is not known. The offsets of
    `marks` ascend, their times step back where a clock was set; the last one is at `end`.
    `plain.size` is `end - start + 1`.
    """

    timeline: Timeline
    start: int
    end: int
    db: int | None
    marks: tuple[Mark, ...]
    stored: Content
    plain: Content
    recipients: tuple[str, ...]
    source: str
    term: int

    @property
    def name(self) -> SegmentName:
        return SegmentName(
            self.timeline.replid, self.start, self.end, self.marks[-1].time_ms, self.term
        )

    @property
    def last_at(self) -> datetime:
        """When its last byte had arrived."""
        return datetime.fromtimestamp(self.marks[-1].time_ms / 1000, UTC)


def last_of_each(names: Iterable[SegmentName]) -> list[SegmentName]:
    """Return each timeline's last segment: by offset, for times step back where a clock was set."""
    found: dict[str, SegmentName] = {}
    for name in names:
        other = found.get(name.replid, name)
        found[name.replid] = max(other, name, key=lambda one: (one.end, one.last_ms))
    return list(found.values())


def parse_key(key: str) -> tuple[SegmentName, bool] | None:
    """Read a key: the segment it belongs to, and whether it is its manifest; None for others."""
    match = _NAME.fullmatch(key)
    if match is None:
        return None
    start, end, last_ms, term = map(int, match.group(2, 3, 4, 5))
    return SegmentName(intern(match[1]), start, end, last_ms, term), match[6] == MANIFEST_SUFFIX


def encode(segment: Segment) -> bytes:
    """Serialise as canonical JSON; marks as pairs [offset, time_ms]."""
    fields = asdict(segment) | {
        "format": FORMAT_VERSION,
        "marks": [[mark.offset, mark.time_ms] for mark in segment.marks],
    }
    return canonical_json(fields)


def decode(payload: bytes, *, key: str) -> Segment:
    """Parse what `encode` wrote; `key` names the object in errors and must be its manifest's.

    Raises SnapshotCorrupt for anything else, a format of the future included.
    """
    try:
        segment = _from_fields(json.loads(payload))
        _check(segment, key)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise SnapshotCorrupt(
            operation="read",
            subject=key,
            cause=f"this is no segment manifest of format {FORMAT_VERSION} ({error})",
            hint="use the program version that wrote it, or restore to a point before it",
        ) from error
    return segment


def _from_fields(fields: Mapping[str, Any]) -> Segment:
    rest = dict(fields)
    if rest.pop("format") != FORMAT_VERSION:
        raise ValueError("another format version")
    return Segment(
        timeline=Timeline(**rest.pop("timeline")),
        marks=tuple(Mark(_count(offset), _count(ms)) for offset, ms in rest.pop("marks")),
        stored=Content(**rest.pop("stored")),
        plain=Content(**rest.pop("plain")),
        recipients=tuple(map(str, rest.pop("recipients"))),
        **rest,
    )


def _check(segment: Segment, key: str) -> None:
    timeline = segment.timeline
    for number in (segment.start, segment.end, segment.term, segment.stored.size):
        _count(number)
    if segment.db is not None:
        _count(segment.db)
    if timeline.parent is not None:
        _count(timeline.fork)
    if segment.plain.size != segment.end - segment.start + 1 or segment.plain.size <= 0:
        raise ValueError("its size is not that of its offsets")
    offsets = [mark.offset for mark in segment.marks]
    if offsets != sorted(offsets) or offsets[-1] != segment.end or offsets[0] < segment.start:
        raise ValueError("its marks do not ascend to its end")
    if segment.name.manifest_key != key:
        raise ValueError(f"it is that of {segment.name.stem}")


def _count(number: object) -> int:
    if type(number) is not int or number < 0:
        raise TypeError(f"{number!r} is no whole number")
    return number
