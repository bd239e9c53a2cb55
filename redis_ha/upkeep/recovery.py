"""Is there a backup, and was it ever loaded? Pure."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from redis_ha.backup_report import BackupReport, Snapshot
from redis_ha.findings import Finding, State, bad
from redis_ha.upkeep.record import AHEAD

# As `backup-worker list` says it.
_PROVEN = "proven"


def judge_backup(backup: BackupReport) -> Iterator[Finding]:
    """Judge what the worker says of itself."""
    if backup.absent:
        yield Finding("backup", State.UNKNOWN, backup.absent, "set a backup up")
        return
    for trouble in backup.troubles:
        yield bad("backup", trouble, remedy="see `backup-worker status`")
    if backup.snapshot is None:
        yield bad("backup", "there is no snapshot", remedy="see `backup-worker status`")


def judge_recovery(backup: BackupReport) -> Iterator[Finding]:
    """Judge whether a snapshot was loaded lately."""
    if backup.absent:
        yield Finding("recovery tested", State.UNKNOWN, backup.absent, "set a backup up")
    elif backup.proof_age is None:
        reason = "no snapshot was read back and loaded"
        yield bad("recovery tested", reason, remedy="run `backup-worker verify latest`")
    elif backup.interval and backup.proof_age > 2 * backup.interval:
        reason = f"the last was {backup.proof_age / 3600:.1f} h ago"
        yield bad("recovery tested", reason, remedy="see `backup-worker status`")


def proven_text(backup: BackupReport, snapshots: Sequence[Snapshot] | str, *, now: datetime) -> str:
    """Name the snapshot that was loaded last, and when; a text also where there is none."""
    if backup.proof_age is None:
        return "none was loaded"
    when = f"{now - timedelta(seconds=backup.proof_age):%Y-%m-%d %H:%M} UTC"
    if isinstance(snapshots, str):
        return f"one was loaded whole {when}; which isn't known: {snapshots}"
    newest = next((one.id for one in snapshots if _is_proven(one, now)), None)
    if newest is None:
        return f"one was loaded whole {when}, which is in the store no more"
    return f"{newest} was loaded whole {when}"


def _is_proven(snapshot: Snapshot, now: datetime) -> bool:
    return snapshot.state == _PROVEN and snapshot.taken_at <= (now + AHEAD).timestamp()
