"""The manifest: what a snapshot is, written last, so that a snapshot exists once it does.

Pure: data in, JSON out and back. Signing and storing happen elsewhere (docs/FORMAT.md).
"""

import json
import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from backup_worker.canonical import canonical_json, utc_text
from backup_worker.errors import SnapshotCorrupt

FORMAT_VERSION = 2
# Version 1 had no kind, term and contents.
_READABLE = (1, FORMAT_VERSION)
PAYLOAD_TYPE = "application/vnd.redis-ha.manifest.v1+json"
SNAPSHOTS = "snapshots/"
ID_PATTERN = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}")


@dataclass(frozen=True)
class Engine:
    """The server that wrote the RDB: `redis` or `valkey`, its version, the RDB's format version."""

    name: str
    version: str
    rdb_version: int


@dataclass(frozen=True)
class ReplicationPoint:
    """Where in the replication stream the snapshot stands.

    The RDB holds everything up to `offset` (bytes) of history `replid`; the stream goes on in
    database `stream_db` (the RDB's repl-stream-db: a replica does not send SELECT again).
    """

    replid: str
    offset: int
    stream_db: int


@dataclass(frozen=True)
class Content:
    """Bytes as they were written: size and SHA-256 (hex)."""

    size: int
    sha256: str


class Kind(StrEnum):
    """Why a snapshot was taken."""

    SCHEDULED = "scheduled"
    MANUAL = "manual"
    # Of what a restore replaces: `latest` never means it.
    SAFETY = "safety"
    # At once after a gap in the log.
    GAP = "gap"


@dataclass(frozen=True)
class Contents:
    """The object beside the data: configuration, users and sentinel state, as stored and plain."""

    object_key: str
    stored: Content
    plain: Content


@dataclass(frozen=True)
class Manifest:
    """One snapshot. `seconds` is how long the transfer took; `source` the node it came from.

    `term` is that of the lease under which it was taken, 0 outside one.
    """

    id: str
    taken_at: datetime
    engine: Engine
    replication: ReplicationPoint
    source: str
    object_key: str
    stored: Content
    rdb: Content
    recipients: tuple[str, ...]
    seconds: float
    kind: Kind = Kind.SCHEDULED
    term: int = 0
    contents: Contents | None = None


def new_id(taken_at: datetime, *, nonce: bytes) -> str:
    """Name a snapshot so that names sort by time; `nonce` (4 random bytes) keeps two apart."""
    return f"{taken_at.astimezone(UTC):%Y%m%dT%H%M%SZ}-{nonce.hex()}"


def object_key(snapshot_id: str) -> str:
    """Return the key of the encrypted RDB."""
    return f"{SNAPSHOTS}{snapshot_id}/dump.rdb.zst.age"


def contents_key(snapshot_id: str) -> str:
    """Return the key of the encrypted contents document."""
    return f"{SNAPSHOTS}{snapshot_id}/contents.json.zst.age"


def proof_key(snapshot_id: str) -> str:
    """Return the key of the signed proof."""
    return f"{SNAPSHOTS}{snapshot_id}/proof.json"


def manifest_key(snapshot_id: str) -> str:
    """Return the key of the signed manifest."""
    return f"{SNAPSHOTS}{snapshot_id}/manifest.json"


def encode(manifest: Manifest) -> bytes:
    """Serialise as canonical JSON: sorted keys, no spaces, times in RFC 3339 UTC."""
    fields = asdict(manifest) | {
        "format": FORMAT_VERSION,
        "taken_at": utc_text(manifest.taken_at),
    }
    return canonical_json(fields)


def decode(payload: bytes, *, key: str) -> Manifest:
    """Parse what `encode` wrote; `key` names the object in errors.

    Raises SnapshotCorrupt for anything else, a format of the future included.
    """
    try:
        return _from_fields(json.loads(payload))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise SnapshotCorrupt(
            operation="read",
            subject=key,
            cause=f"this is no manifest of format {FORMAT_VERSION} ({error})",
            hint="use the program version that wrote it, or restore another snapshot",
        ) from error


def _from_fields(fields: dict[str, Any]) -> Manifest:
    if fields.pop("format") not in _READABLE:
        raise ValueError("another format version")
    taken_at = datetime.fromisoformat(fields.pop("taken_at"))
    if not ID_PATTERN.fullmatch(fields["id"]) or taken_at.tzinfo is None:
        raise ValueError("id or time is malformed")
    if fields["object_key"] != object_key(fields["id"]):
        raise ValueError("the object's key is not this snapshot's")
    manifest = Manifest(
        taken_at=taken_at,
        engine=Engine(**fields.pop("engine")),
        replication=ReplicationPoint(**fields.pop("replication")),
        stored=Content(**fields.pop("stored")),
        rdb=Content(**fields.pop("rdb")),
        recipients=tuple(fields.pop("recipients")),
        kind=Kind(fields.pop("kind", Kind.SCHEDULED)),
        contents=_contents(fields.pop("contents", None), fields["id"]),
        **fields,
    )
    _check_types(manifest)
    return manifest


def _contents(fields: dict[str, Any] | None, snapshot: str) -> Contents | None:
    if fields is None:
        return None
    if fields["object_key"] != contents_key(snapshot):
        raise ValueError("the contents' key is not this snapshot's")
    stored, plain = Content(**fields["stored"]), Content(**fields["plain"])
    return Contents(fields["object_key"], stored, plain)


def _check_types(manifest: Manifest) -> None:
    numbers = (
        manifest.stored.size,
        manifest.rdb.size,
        manifest.replication.offset,
        manifest.replication.stream_db,
        manifest.engine.rdb_version,
        manifest.term,
    )
    texts = (
        manifest.engine.name,
        manifest.engine.version,
        manifest.source,
        manifest.stored.sha256,
        manifest.rdb.sha256,
        manifest.replication.replid,
        *manifest.recipients,
    )
    if not all(type(number) is int and number >= 0 for number in numbers):
        raise TypeError("a size, offset or version is no whole number")
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("a text field is no text")
    if type(manifest.seconds) not in {int, float}:
        raise TypeError("seconds is no number")
