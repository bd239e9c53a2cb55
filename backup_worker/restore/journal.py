"""What a live restore has changed so far: enough to finish or undo it after a crash at any point.

A journal names the intent, written before the act: `stage` is what was about to happen. What
did happen is asked of the cluster (decision.py). The file exists exactly while a restore is open.
"""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from enum import StrEnum
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from typing import Any

from backup_worker.durable import sync_directory
from backup_worker.errors import BackupError, RefusedForSafety
from backup_worker.restore import rdb_file
from backup_worker.restore.files import published, unwritable
from redis_ha.connection import Address

FORMAT_VERSION = 1
FILE_NAME = "restore-journal.json"
LOCK_NAME = "restore.lock"
# Below the state directory: the scratch server's, used under the lock only.
SCRATCH_NAME = "scratch"
# The least down-after (ms) of a hold. Sentinel keeps still for an hour and a second for each MB:
# longer than any restore takes, yet it will act again by itself should nobody ever come back to an
# interrupted one. Where no journal is open a sentinel with as much is held by somebody else's.
SHORTEST_HOLD = 3_600_000


class Stage(StrEnum):
    """What was about to be done when the journal was written, in order."""

    HOLD = "hold"
    ATTACH = "attach"
    PROMOTE = "promote"
    RELEASE = "release"


@dataclass(frozen=True)
class NodeBefore:
    """A data node as it was: process, replication id and the setting that is put back."""

    address: Address
    run_id: str
    replid: str
    min_replicas: int


@dataclass(frozen=True)
class SentinelBefore:
    """A sentinel's down-after-milliseconds as it was."""

    address: Address
    down_after: int


@dataclass(frozen=True)
class Point:
    """Where the log's replay ends: at `offset` of timeline `replid`, between two commands."""

    replid: str
    offset: int


@dataclass(frozen=True)
class SourceBefore:
    """The server whose data a cluster takes over live, without what opens it.

    `run_id` is its process: one that was restarted may have lost data. A `writable_replica` had
    `replica-read-only no`.
    """

    address: Address
    run_id: str
    tls: bool
    username: str | None
    writable_replica: bool = False


@dataclass(frozen=True)
class Journal:
    """An open restore, of `snapshot` and the log after it up to `point` (None: without a log).

    `snapshot` may be the id of a plain RDB file, whose copy then lies beside the journal.

    `hold` (ms) is the down-after that keeps Sentinel still meanwhile; `config_epoch` tells a
    failover that happened all the same. `scratch_replids` are the histories of the scratch
    servers used: a node with one of them holds the restored data. `keys` is how many keys the
    master held when it was told to replicate the scratch server; None before that. `source` is set
    where the scratch server follows a live server (adopt); `empty` says that the cluster held
    nothing before, so that an undo has nothing to bring back.
    """

    snapshot: str
    safety_snapshot: str | None
    started_at: datetime
    stage: Stage
    master: Address
    nodes: tuple[NodeBefore, ...]
    sentinels: tuple[SentinelBefore, ...]
    config_epoch: int
    hold: int
    scratch_replids: tuple[str, ...] = ()
    keys: int | None = None
    point: Point | None = None
    source: SourceBefore | None = None
    empty: bool = False


def entered(journal: Journal, stage: Stage) -> Journal:
    """Return the journal of what is about to be done; pure.

    An adoption's says as well whether its source may have been closed: from PROMOTE on, until it
    is opened again, even if the nodes have to be attached once more.
    """
    closed = journal.source is not None and journal.stage in {Stage.PROMOTE, Stage.RELEASE}
    if closed and stage in {Stage.HOLD, Stage.ATTACH}:
        return journal
    return replace(journal, stage=stage)


def encode(journal: Journal) -> bytes:
    """Serialise as indented JSON: an operator may have to read it."""
    fields = asdict(journal) | {
        "format": FORMAT_VERSION,
        "started_at": journal.started_at.isoformat(),
    }
    return json.dumps(fields, indent=2).encode() + b"\n"


def decode(payload: bytes) -> Journal:
    """Parse what `encode` wrote; ValueError, KeyError or TypeError for anything else."""
    fields: dict[str, Any] = json.loads(payload)
    if fields.pop("format") != FORMAT_VERSION:
        raise ValueError("another format version")
    return Journal(
        started_at=datetime.fromisoformat(fields.pop("started_at")),
        stage=Stage(fields.pop("stage")),
        master=Address(**fields.pop("master")),
        nodes=tuple(
            NodeBefore(address=Address(**node.pop("address")), **node)
            for node in fields.pop("nodes")
        ),
        sentinels=tuple(
            SentinelBefore(address=Address(**one.pop("address")), **one)
            for one in fields.pop("sentinels")
        ),
        scratch_replids=tuple(fields.pop("scratch_replids")),
        point=None if (point := fields.pop("point", None)) is None else Point(**point),
        source=_source(fields.pop("source", None)),
        **fields,
    )


def _source(fields: dict[str, Any] | None) -> SourceBefore | None:
    if fields is None:
        return None
    return SourceBefore(address=Address(**fields.pop("address")), **fields)


def load(state: Path) -> Journal | None:
    """Return the open restore's journal, None when there is none; BackupError if unreadable."""
    path = state / FILE_NAME
    try:
        return decode(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BackupError(
            operation="read",
            subject=str(path),
            cause=f"this is no journal of format {FORMAT_VERSION} ({error})",
            hint="use the program version that wrote it; it holds the settings to put back",
        ) from error


def save(journal: Journal, state: Path) -> None:
    """Replace the journal: after a crash the old one or the new one is there, never a mixture."""
    with published(state / FILE_NAME) as file:
        file.write(encode(journal))


def close(state: Path) -> None:
    """Remove the journal: the restore is finished or undone."""
    (state / FILE_NAME).unlink(missing_ok=True)
    sync_directory(state)


@contextmanager
def exclusive(state: Path) -> Iterator[None]:
    """Let one restore at a time work on a state directory; a killed process lets go by itself.

    A plain file's copy is deleted at the end unless a restore is open, and at the beginning where
    a killed process left it; so is what a scratch server was to load, whose process is gone.
    """
    try:
        state.mkdir(parents=True, exist_ok=True)
        file = (state / LOCK_NAME).open("w")
    except OSError as error:
        raise unwritable(state / LOCK_NAME, error) from error
    with file:
        try:
            flock(file, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            raise RefusedForSafety(
                operation="restore",
                subject=str(state),
                cause="another restore is running",
                hint="wait until it has ended",
            ) from None
        try:
            shutil.rmtree(state / SCRATCH_NAME, ignore_errors=True)
            _tidy(state)
            yield
        finally:
            _tidy(state)


def clear(state: Path) -> None:
    """Remove the decrypted data that a killed restore left, unless one is running."""
    with suppress(BackupError), exclusive(state):
        pass


def _tidy(state: Path) -> None:
    if not (state / FILE_NAME).exists():
        rdb_file.forget(state)
