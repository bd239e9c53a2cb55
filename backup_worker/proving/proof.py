"""A proof: what came of loading a snapshot into a scratch server. Pure (docs/FORMAT.md).

It says what the snapshot holds by the server's own account, and is signed as a manifest is.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from backup_worker.canonical import canonical_json, utc_text
from backup_worker.errors import SnapshotCorrupt
from backup_worker.manifest import ID_PATTERN, Manifest

FORMAT_VERSION = 1
PAYLOAD_TYPE = "application/vnd.redis-ha.proof.v1+json"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_DIGEST = re.compile(r"[0-9a-f]{40}")


class By(StrEnum):
    """Who proved: the worker right after it took the snapshot, or a later `verify`."""

    DRILL = "drill"
    VERIFY = "verify"


@dataclass(frozen=True)
class Loader:
    """The server that loaded it: `redis` or `valkey`, and its version."""

    name: str
    version: str


@dataclass(frozen=True)
class Held:
    """What a server held after it had loaded the snapshot.

    `digest` is its DEBUG DIGEST, which covers keys, values and which keys expire, but neither
    when they do nor functions; `keys` counts each database's keys; `functions` maps each library
    to the SHA-256 of its code.
    """

    digest: str
    keys: Mapping[int, int]
    functions: Mapping[str, str]

    @property
    def total(self) -> int:
        """The keys of all databases."""
        return sum(self.keys.values())


@dataclass(frozen=True)
class Proof:
    """The verdict on one snapshot; `cause` says why it is not proven, else it is empty.

    `held` of a failed one is what an earlier proof says, so that the next is measured by it too, or
    None when there was none. `seconds` is how long
    reading back, decrypting, loading and the digest took; `term` that of the lease, 0 outside one.
    """

    snapshot: str
    cause: str
    held: Held | None
    seconds: float
    loader: Loader
    rdb_sha256: str
    at: datetime
    by: By
    term: int = 0

    @property
    def proven(self) -> bool:
        return not self.cause and self.held is not None


def encode(proof: Proof) -> bytes:
    """Serialise as canonical JSON: sorted keys, no spaces, times in RFC 3339 UTC."""
    fields = asdict(proof) | {
        "format": FORMAT_VERSION,
        "proven": proof.proven,
        "at": utc_text(proof.at),
    }
    return canonical_json(fields)


def decode(payload: bytes, *, key: str) -> Proof:
    """Parse what `encode` wrote; `key` names the object in errors.

    Raises SnapshotCorrupt for anything else, a format of the future included.
    """
    try:
        proof = _from_fields(json.loads(payload))
        _check(proof)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise SnapshotCorrupt(
            operation="read",
            subject=key,
            cause=f"this is no proof of format {FORMAT_VERSION} ({error})",
            hint="prove the snapshot again: `backup-worker verify`",
        ) from error
    return proof


def mismatch(proof: Proof, manifest: Manifest) -> str:
    """Say why a proof is not that of a snapshot; empty when it is."""
    if proof.snapshot != manifest.id:
        return f"it is that of {proof.snapshot}"
    if proof.rdb_sha256 != manifest.rdb.sha256:
        return "it is that of another RDB than the manifest's"
    return ""


def judge(info: Mapping[str, Any], held: Held) -> str:
    """Say why what a server holds is not all that it read; empty when it is. `info` is its INFO."""
    read = int(info.get("rdb_last_load_keys_loaded", held.total))
    dropped = int(info.get("rdb_last_load_keys_expired", 0))
    if dropped or read != held.total:
        return f"the server read {read} keys, dropped {dropped} and holds {held.total}"
    return ""


def contradiction(proof: Proof, earlier: Proof | None) -> str:
    """Say how a proof differs from an earlier one of the same snapshot; empty when it does not.

    Digests are comparable only between servers of one version.
    """
    if earlier is None or earlier.held is None or proof.held is None:
        return ""
    since = f"by the proof of {earlier.at:%Y-%m-%d %H:%M}"
    if proof.held.keys != earlier.held.keys:
        return f"it holds {proof.held.total} keys, {earlier.held.total} {since}"
    if earlier.loader == proof.loader and proof.held.digest != earlier.held.digest:
        return f"its digest is {proof.held.digest}, {earlier.held.digest} {since}"
    return ""


def _from_fields(fields: dict[str, Any]) -> Proof:
    if fields.pop("format") != FORMAT_VERSION:
        raise ValueError("another format version")
    proven, held = fields.pop("proven"), fields.pop("held")
    proof = Proof(
        held=None if held is None else _held(**held),
        loader=Loader(**fields.pop("loader")),
        at=datetime.fromisoformat(fields.pop("at")),
        by=By(fields.pop("by")),
        **fields,
    )
    if proven is not proof.proven:
        raise ValueError("its verdict and its cause disagree")
    return proof


def _held(digest: str, keys: dict[str, int], functions: dict[str, str]) -> Held:
    return Held(digest, {int(name): count for name, count in keys.items()}, dict(functions))


def _check(proof: Proof) -> None:
    if not ID_PATTERN.fullmatch(proof.snapshot) or proof.at.tzinfo is None:
        raise ValueError("id or time is malformed")
    if not isinstance(proof.cause, str) or not _SHA256.fullmatch(proof.rdb_sha256):
        raise ValueError("cause or hash is malformed")
    if type(proof.seconds) not in {int, float}:
        raise TypeError("seconds is no number")
    _require_counts([proof.term])
    if proof.held is not None:
        _require_counts([*proof.held.keys, *proof.held.keys.values()])
        if not _DIGEST.fullmatch(proof.held.digest):
            raise ValueError("the digest is malformed")
        if not all(_SHA256.fullmatch(code) for code in proof.held.functions.values()):
            raise ValueError("a function's hash is malformed")


def _require_counts(numbers: Iterable[object]) -> None:
    for number in numbers:
        if type(number) is not int or number < 0:
            raise TypeError(f"{number!r} is no whole number")
