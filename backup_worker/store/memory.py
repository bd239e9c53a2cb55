"""Objects in a dictionary: for tests and dry runs."""

from collections.abc import Generator, Iterable, Iterator

from backup_worker.errors import AlreadyExists, BackupError, ObjectNotFound
from backup_worker.store.contract import StoredObject, no_rules, require_key, require_prefix

_CHUNK = 256 * 1024


class MemoryStore:
    """A Store that forgets."""

    def __init__(self) -> None:
        self._objects: dict[str, bytes] = {}

    def put(self, key: str, chunks: Iterable[bytes], *, if_absent: bool = False) -> StoredObject:
        """Keep an object."""
        require_key(key)
        content = b"".join(chunks)
        if if_absent and key in self._objects:
            raise AlreadyExists(
                operation="put",
                subject=key,
                cause="an object of that name is there",
                hint="choose another name, or read the one that is there",
            )
        self._require_no_clash(key)
        self._objects[key] = content
        return StoredObject(key, len(content))

    def get(self, key: str, *, offset: int = 0) -> Generator[bytes, None, None]:
        """Yield an object's bytes."""
        content = self._find(key)
        for start in range(offset, len(content), _CHUNK):
            yield content[start : start + _CHUNK]

    def head(self, key: str) -> StoredObject:
        """Describe an object."""
        return StoredObject(key, len(self._find(key)))

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """Yield the objects under a prefix."""
        require_prefix(prefix)
        for key in sorted(self._objects):
            if key.startswith(prefix):
                yield StoredObject(key, len(self._objects[key]))

    def delete(self, key: str) -> None:
        """Forget an object."""
        require_key(key)
        self._objects.pop(key, None)

    def expire(self, key: str) -> None:
        """Refuse: nobody removes marked objects."""
        raise no_rules(key)

    def _find(self, key: str) -> bytes:
        require_key(key)
        if key not in self._objects:
            raise ObjectNotFound(
                operation="read",
                subject=key,
                cause="the store holds no object of that name",
                hint="`backup-worker list` shows what is there",
            )
        return self._objects[key]

    def _require_no_clash(self, key: str) -> None:
        for other in self._objects:
            if other.startswith(f"{key}/") or key.startswith(f"{other}/"):
                raise BackupError(
                    operation="put",
                    subject=key,
                    cause=f"{other} is in the way: a name cannot be an object and a folder",
                    hint="choose another name",
                )
