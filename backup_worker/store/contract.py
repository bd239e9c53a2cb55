"""What every object store offers. One suite (tests/contract/store) holds all of them to it."""

import re
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Protocol

from backup_worker.errors import DeletionRefused, StoreUnreachable, UsageError

_SEGMENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+=@:-]{0,199}")
_PREFIX = re.compile(r"[A-Za-z0-9._+=@:/-]*")
_MAX_KEY = 800
# Manifests are a few KiB; whoever writes a larger one means harm.
_SMALL = 1024 * 1024


class TransientStoreError(StoreUnreachable):
    """It failed this time and may well succeed the next: a reset, a timeout, a 503."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object's name and its length in bytes."""

    key: str
    size: int


class Store(Protocol):
    """Named byte strings, written whole or not at all.

    Keys are relative POSIX paths (`require_key`). `x` and `x/y` cannot both exist: a file store
    has no room for both. Every method raises StoreUnreachable when the store cannot be used, and
    its TransientStoreError when a later try may help.
    """

    def put(self, key: str, chunks: Iterable[bytes], *, if_absent: bool = False) -> StoredObject:
        """Write an object from a stream, in constant memory; it replaces one of that name.

        A reader sees all of it or nothing; when `chunks` or the store fails nothing is left.
        Raises AlreadyExists when `if_absent` and it is there (of several at once one wins), and
        StoreFull.
        """
        ...

    def get(self, key: str, *, offset: int = 0) -> Generator[bytes, None, None]:
        """Yield an object's bytes from `offset` on; nothing when that is not inside it.

        Close the generator (contextlib.closing) when it is not read to its end. Raises
        ObjectNotFound with the first chunk.
        """
        ...

    def head(self, key: str) -> StoredObject:
        """Describe an object. Raises ObjectNotFound."""
        ...

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """Yield the objects whose keys start with the text `prefix`, sorted by key."""
        ...

    def delete(self, key: str) -> None:
        """Remove an object; no error when it is not there.

        Raises DeletionRefused where permissions or a lock forbid it: trying again won't help.
        """
        ...

    def expire(self, key: str) -> None:
        """Mark an object for the store's own rules to remove; no error when it is not there.

        For a user who may not delete. Until it is removed it is read and listed as before; one
        that is written anew has no mark. Raises DeletionRefused where there are no such marks.
        """
        ...


def read_small(store: Store, key: str) -> bytes:
    """Return an object's bytes, cut off after 1 MiB: for manifests. Raises ObjectNotFound."""
    content = b""
    with closing(store.get(key)) as chunks:
        for chunk in chunks:
            content += chunk
            if len(content) > _SMALL:
                break
    return content[:_SMALL]


def no_rules(key: str) -> DeletionRefused:
    """Say that a store has no rules that remove what is marked."""
    require_key(key)
    return DeletionRefused(
        operation="expire",
        subject=key,
        cause="this store removes nothing by itself",
        hint="let the worker delete there, or remove old objects otherwise",
    )


def require_key(key: str) -> None:
    """Refuse (UsageError) what some store could not hold.

    Segments of letters, digits and `._+=@:-`, none starting with a dot or a dash, at most 200
    characters each and 800 in all: no escape from a directory, no clash with temporary files.
    """
    if len(key) > _MAX_KEY or not all(_SEGMENT.fullmatch(part) for part in key.split("/")):
        raise _refused("object key", key)


def require_prefix(prefix: str) -> None:
    """Refuse (UsageError) what no key can start with."""
    if not _PREFIX.fullmatch(prefix) or prefix.startswith("/") or "/." in f"/{prefix}":
        raise _refused("key prefix", prefix)


def _refused(what: str, text: str) -> UsageError:
    return UsageError(
        operation="name",
        subject=f"{what} {text[:100]!r}",
        cause="it is not a relative path of letters, digits and ._+=@:-",
        hint="use a name as `backup-worker list` shows it",
    )
