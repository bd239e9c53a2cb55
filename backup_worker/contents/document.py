"""What a cluster is beside its data: each node's configuration, users, and the sentinels' state.

Pure: data in, JSON out and back (docs/FORMAT.md). The document holds no secret in clear: passwords
in a configuration are left out, users have theirs as hashes.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Any

from backup_worker.canonical import canonical_json, utc_text
from backup_worker.errors import SnapshotCorrupt

_COMMAND = re.compile(r"[+-][a-z][^@ ]*")
FORMAT_VERSION = 1
REDACTED = "(redacted)"
# masterauth and primaryauth, requirepass, tls-key-file-pass and their like.
_SECRET = re.compile(r".*(auth|pass|password|passphrase)")


@dataclass(frozen=True)
class DataNode:
    """One data node; without an answer only `problem` says something. `users` as ACL LIST does."""

    address: str
    role: str = ""
    version: str = ""
    config: Mapping[str, str] = field(default_factory=dict)
    users: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class SentinelNode:
    """One sentinel and what it knows of the master, its replicas and the other sentinels.

    SENTINEL CONFIG is not asked: whoever may read it may set it.
    """

    address: str
    master: Mapping[str, str] = field(default_factory=dict)
    replicas: tuple[Mapping[str, str], ...] = ()
    sentinels: tuple[Mapping[str, str], ...] = ()
    users: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class Document:
    """A cluster's configuration, users and sentinel state at one moment."""

    at: datetime
    master_name: str
    data_nodes: tuple[DataNode, ...]
    sentinels: tuple[SentinelNode, ...]

    @property
    def databases(self) -> int:
        """The most databases that a node is configured for; 0 when none said."""
        found = (node.config.get("databases", "") for node in self.data_nodes)
        return max((int(text) for text in found if text.isdigit()), default=0)


def encode(document: Document) -> bytes:
    """Serialise as canonical JSON: sorted keys, no spaces, times in RFC 3339 UTC."""
    fields = asdict(document) | {
        "format": FORMAT_VERSION,
        "at": utc_text(document.at),
    }
    return canonical_json(fields)


def decode(payload: bytes, *, key: str) -> Document:
    """Parse what `encode` wrote; `key` names the object in errors.

    Raises SnapshotCorrupt for anything else, a format of the future included.
    """
    try:
        return _from_fields(**json.loads(payload))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise SnapshotCorrupt(
            operation="read",
            subject=key,
            cause=f"this is no document of contents of format {FORMAT_VERSION} ({error})",
            hint="use the program version that wrote it; the data can be restored all the same",
        ) from error


def redacted(config: Mapping[str, str]) -> dict[str, str]:
    """Return a configuration whose passwords are left out; an empty one stays empty."""
    return {
        name: REDACTED if value and _SECRET.fullmatch(name) else value
        for name, value in config.items()
    }


def _from_fields(format: int, at: str, **fields: Any) -> Document:  # noqa: A002 - its name there
    if format != FORMAT_VERSION:
        raise ValueError("another format version")
    return Document(
        at=datetime.fromisoformat(at),
        data_nodes=tuple(_node(**row) for row in fields.pop("data_nodes")),
        sentinels=tuple(_sentinel(**row) for row in fields.pop("sentinels")),
        **fields,
    )


def _node(config: dict[str, Any], users: list[Any], **fields: Any) -> DataNode:
    return DataNode(config=texts(config), users=tuple(map(str, users)), **texts(fields))


def _sentinel(
    master: dict[str, Any],
    replicas: list[Any],
    sentinels: list[Any],
    users: list[Any],
    **fields: Any,
) -> SentinelNode:
    return SentinelNode(
        master=texts(master),
        replicas=tuple(map(texts, replicas)),
        sentinels=tuple(map(texts, sentinels)),
        users=tuple(map(str, users)),
        **texts(fields),
    )


def ordered_rules(user: str) -> str:
    """Return a line of ACL LIST with neighbouring commands sorted: it comes in any order.

    A command still comes before its subcommands. Selectors in brackets are ordered within.
    """
    words = user.replace("(", "( ").replace(")", " )").split(" ")
    ordered: list[str] = []
    for is_command, group in groupby(words, key=lambda word: bool(_COMMAND.fullmatch(word))):
        run = list(group)
        ordered += sorted(run, key=lambda word: word[1:]) if is_command else run
    return " ".join(ordered).replace("( ", "(").replace(" )", ")")


def texts(fields: Mapping[Any, Any]) -> dict[str, str]:
    """Return values as text, whatever redis-py made of them."""
    return {str(name): _text(value) for name, value in fields.items()}


def _text(value: object) -> str:
    if isinstance(value, set | frozenset):
        return ",".join(sorted(map(str, value)))
    return str(value)
