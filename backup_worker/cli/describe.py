"""A snapshot as the commands show it: the same fields in `snapshot`, `list` and `show`."""

from typing import Any

from backup_worker.catalog import Entry
from backup_worker.manifest import Manifest

STYLES = {"verified": "green", "bad": "bold red"}


def describe(manifest: Manifest) -> dict[str, Any]:
    """Return a good snapshot's fields for JSON; sizes in bytes."""
    return {
        "id": manifest.id,
        "taken_at": _utc(manifest),
        "state": "verified",
        "size": manifest.stored.size,
        "sha256": manifest.stored.sha256,
        "rdb_size": manifest.rdb.size,
        "rdb_sha256": manifest.rdb.sha256,
        "replid": manifest.replication.replid,
        "offset": manifest.replication.offset,
        "stream_db": manifest.replication.stream_db,
        "engine": manifest.engine.name,
        "engine_version": manifest.engine.version,
        "rdb_version": manifest.engine.rdb_version,
        "source": manifest.source,
        "object_key": manifest.object_key,
        "recipients": list(manifest.recipients),
        "seconds": manifest.seconds,
    }


def describe_entry(entry: Entry) -> dict[str, Any]:
    """Return any snapshot's fields for JSON; a bad one has its problem in place of most."""
    if entry.manifest is not None:
        return describe(entry.manifest)
    return {
        "id": entry.id,
        "taken_at": entry.taken_at.isoformat().replace("+00:00", "Z"),
        "state": "bad",
        "size": max(entry.size, 0),
        "problem": entry.problem,
    }


def _utc(manifest: Manifest) -> str:
    return manifest.taken_at.isoformat(timespec="seconds").replace("+00:00", "Z")
