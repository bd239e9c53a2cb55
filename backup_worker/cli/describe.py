"""A snapshot as the commands show it: the same fields in `snapshot`, `list` and `show`."""

from datetime import datetime
from typing import Any

from backup_worker.catalog import Entry
from backup_worker.manifest import Manifest
from backup_worker.proving.proof import Proof

STYLES = {"proven": "green", "not proven": "yellow", "failed": "bold red", "bad": "bold red"}


def describe(entry: Entry) -> dict[str, Any]:
    """Return a snapshot's fields for JSON, sizes in bytes; a bad one has its problem for most."""
    head = {"id": entry.id, "taken_at": _utc(entry.taken_at), "state": entry.state}
    if entry.manifest is None:
        return head | {"size": max(entry.size, 0), "problem": entry.problem}
    return {
        **head,
        **_manifest(entry.manifest),
        "proof": None if entry.proof is None else describe_proof(entry.proof),
        "note": entry.note,
    }


def describe_proof(proof: Proof) -> dict[str, Any]:
    """Return a proof's fields for JSON; `keys` by database, `functions` by library."""
    held = proof.held
    return {
        "proven": proof.proven,
        "cause": proof.cause,
        "at": _utc(proof.at),
        "by": proof.by.value,
        "seconds": proof.seconds,
        "digest": held.digest if held else None,
        "keys": {str(number): count for number, count in held.keys.items()} if held else None,
        "functions": dict(held.functions) if held else None,
        "engine": proof.loader.name,
        "engine_version": proof.loader.version,
        "term": proof.term,
    }


def _manifest(manifest: Manifest) -> dict[str, Any]:
    return {
        "kind": manifest.kind.value,
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
        "contents_key": manifest.contents.object_key if manifest.contents else None,
        "recipients": list(manifest.recipients),
        "seconds": manifest.seconds,
        "term": manifest.term,
    }


def _utc(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
