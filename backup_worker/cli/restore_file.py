"""`restore --from`: an RDB file that no store holds into the live cluster."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from backup_worker.errors import RefusedForSafety, UsageError
from backup_worker.progress import Report
from backup_worker.restore import live, rdb_file
from backup_worker.restore.journal import Point
from backup_worker.restore.live import Plan
from backup_worker.restore.loader import OpenData, Target
from backup_worker.restore.rdb_file import RdbFile

STDIN = "-"
_CHUNK = 1024 * 1024


def prepare(target: Target, source: str, name: str, *, dry_run: bool, force: bool) -> Plan:
    """Look at the file and the cluster, as `live.prepare` does for a snapshot.

    Standard input can be read only once: it is kept right away, unless nothing is to be done.
    Raises UsageError, SnapshotCorrupt and what `live.prepare` raises.
    """
    live.require_no_open_restore(target.state)
    if source == STDIN and not dry_run:
        file = rdb_file.keep(content(source), name, target.state)
    else:
        file = rdb_file.describe(content(source), name)
    return live.prepare(target, file, force=force)


def kept(plan: Plan, source: str, state: Path) -> Plan:
    """Have the file's copy beside the journal; RefusedForSafety unless it is what was shown."""
    file = plan.data
    if not isinstance(file, RdbFile) or file.kept:
        return plan
    copy = rdb_file.keep(content(source), file.name, state)
    if copy.rdb != file.rdb:
        raise RefusedForSafety(
            operation="restore",
            subject=file.id,
            cause="it has changed since it was looked at",
            hint="wait until it is written; nothing was changed in the cluster",
        )
    return replace(plan, data=copy)


def open_kept(state: Path) -> OpenData:
    """Give what lays the copy out for a scratch server."""

    def lay_out(_: str, __: Point | None, directory: Path, ___: Report) -> None:
        rdb_file.lay_out(state, directory)

    return lay_out


def content(source: str) -> Iterator[bytes]:
    """Yield a file's bytes, or standard input's for `-`; raises UsageError."""
    if source == STDIN:
        require_piped()
        yield from iter(lambda: sys.stdin.buffer.read(_CHUNK), b"")
        return
    try:
        with Path(source).open("rb") as file:
            yield from iter(lambda: file.read(_CHUNK), b"")
    except OSError as error:
        raise UsageError(
            operation="read",
            subject=f"file {source}",
            cause=error.strerror or str(error),
            hint="name a readable RDB file; SNAPSHOT, without --from, is one in the store",
        ) from error


def require_piped() -> None:
    """Refuse (UsageError) to read an RDB from a terminal."""
    if sys.stdin.isatty():
        raise UsageError(
            operation="read",
            subject="an RDB from standard input",
            cause="it is a terminal",
            hint="redirect it: `backup-worker restore --from - --yes < dump.rdb`",
        )
