"""From the encrypted object to a checked RDB file, streaming, in constant memory.

Nothing is released before every check passed: the MAC of each chunk, the end of the age file
and of the zstd frame, size and SHA-256 of the stored and of the RDB bytes.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import age
from backup_worker.errors import SnapshotCorrupt
from backup_worker.manifest import Content, Manifest
from backup_worker.progress import Progress, Report
from backup_worker.restore.files import published
from backup_worker.store.contract import Store
from backup_worker.transform.compression import Decompress
from backup_worker.transform.encryption import Decrypt
from backup_worker.transform.hashing import Measure
from backup_worker.transform.pipeline import transformed


def opened(
    stored: Iterable[bytes],
    manifest: Manifest,
    identities: Sequence[age.Identity],
    *,
    on_progress: Callable[[int], None],
) -> Iterator[bytes]:
    """Yield the RDB's bytes; complete and unchanged once the iteration ended without an error.

    `on_progress` gets the stored bytes read so far. Raises WrongKey or SnapshotCorrupt.
    """
    yield from opened_object(
        stored,
        identities,
        key=manifest.object_key,
        expected=(manifest.stored, manifest.rdb),
        what="RDB",
        on_progress=on_progress,
    )


def stored_rdb(
    store: Store,
    manifest: Manifest,
    identities: Sequence[age.Identity],
    *,
    stage: str,
    report: Report,
) -> Iterator[bytes]:
    """Yield a snapshot's RDB from its store, as `opened` does; `report` is told under `stage`."""
    size = manifest.stored.size
    with closing(store.get(manifest.object_key)) as stored:
        yield from opened(
            stored,
            manifest,
            identities,
            on_progress=lambda done: report(Progress(stage, done, size)),
        )


def opened_object(
    stored: Iterable[bytes],
    identities: Sequence[age.Identity],
    *,
    key: str,
    expected: tuple[Content, Content],
    what: str,
    on_progress: Callable[[int], None],
) -> Iterator[bytes]:
    """Yield the plain bytes of any object, as `opened` does for a snapshot's.

    `expected` is what its manifest says of the stored and of the plain bytes, `what` names these.
    """
    read, plain = Measure(), Measure()
    bounded = _bounded(transformed(stored, read), read, expected[0], subject=key, what="object")
    counted = _reporting(bounded, lambda: on_progress(read.size))
    opened = transformed(counted, Decrypt(identities, subject=key), Decompress(subject=key), plain)
    yield from _bounded(opened, plain, expected[1], subject=key, what=f"{what} in it")
    require_content(read, expected[0], subject=key, what="object")
    require_content(plain, expected[1], subject=key, what=f"{what} in it")


def write_checked(content: Iterable[bytes], path: Path) -> None:
    """Write a file (0600) that exists under its name only when all of `content` came.

    Raises StoreFull or BackupError; a file that was there before stays as it was.
    """
    with published(path) as file:
        for chunk in content:
            file.write(chunk)


def _reporting(chunks: Iterable[bytes], report: Callable[[], None]) -> Iterator[bytes]:
    for chunk in chunks:
        report()
        yield chunk


def _bounded(
    chunks: Iterable[bytes], measured: Measure, expected: Content, *, subject: str, what: str
) -> Iterator[bytes]:
    """Yield what `measured` counts until it is more than the manifest says: SnapshotCorrupt.

    What took an object's place may expand without end.
    """
    for chunk in chunks:
        if measured.size > expected.size:
            cause = f"the {what} has more than the {expected.size} bytes its manifest says"
            raise _differs(subject, cause)
        yield chunk


def require_content(measured: Measure, expected: Content, *, subject: str, what: str) -> None:
    """Raise SnapshotCorrupt unless what passed is what the manifest says."""
    if measured.size == expected.size and measured.sha256 == expected.sha256:
        return
    cause = (
        f"the {what} has {measured.size} bytes, its manifest says {expected.size}"
        if measured.size != expected.size
        else f"the {what} has another SHA-256 than its manifest says"
    )
    raise _differs(subject, cause)


def _differs(subject: str, cause: str) -> SnapshotCorrupt:
    return SnapshotCorrupt(
        operation="open",
        subject=subject,
        cause=cause,
        hint="restore another snapshot: `backup-worker list` shows them",
    )
