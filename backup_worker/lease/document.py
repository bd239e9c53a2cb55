"""A lease object: `lease/<term>.json`, what it says and how it is read. Pure."""

import json
import re
from dataclasses import asdict, dataclass
from enum import StrEnum

from backup_worker.canonical import canonical_json
from backup_worker.errors import RefusedForSafety

FORMAT_VERSION = 1
LEASES = "lease/"
_KEY = re.compile(r"lease/(\d{10})\.json")
_LAST_TERM = 10**10 - 1
_FIELDS = {"format": int, "worker": str, "state": str, "counter": int}


class Phase(StrEnum):
    """How far the worker that made a lease object has come."""

    # It waits until no earlier holder can believe in its own lease any more.
    CLAIMED = "claimed"
    HELD = "held"
    # It held the lease and has stopped: what it published is all there will be.
    RELEASED = "released"


@dataclass(frozen=True)
class Document:
    """What a lease object says; `counter` goes up with each renewal, so that its bytes change."""

    worker: str
    state: Phase
    counter: int


def key_of(term: int) -> str:
    """Name the object of a term. Raises RefusedForSafety past the last term there can be."""
    if term > _LAST_TERM:
        raise RefusedForSafety(
            operation="claim",
            subject=f"lease term {term}",
            cause="terms have ten digits",
            hint=f"stop all workers, see what made {LEASES}{_LAST_TERM}.json, delete {LEASES}",
        )
    return f"{LEASES}{term:010d}.json"


def term_of(key: str) -> int | None:
    """Read a lease object's key; None for what is none, terms count from 1."""
    match = _KEY.fullmatch(key)
    return int(match[1]) or None if match else None


def encode(document: Document) -> bytes:
    """Serialise as canonical JSON."""
    fields = asdict(document) | {"format": FORMAT_VERSION}
    return canonical_json(fields)


def decode(content: bytes) -> Document | None:
    """Parse what `encode` wrote; None for anything else, a format of the future included.

    None means: somebody's, perhaps alive.
    """
    try:
        fields = json.loads(content)
        if {name: type(value) for name, value in fields.items()} != _FIELDS:
            return None
        if fields["format"] != FORMAT_VERSION or fields["counter"] < 0 or not fields["worker"]:
            return None
        return Document(fields["worker"], Phase(fields["state"]), fields["counter"])
    except (ValueError, AttributeError, RecursionError):
        return None
