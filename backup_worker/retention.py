"""Which snapshots stay and which go: decided with a reason for each, then done."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from backup_worker.catalog import Entry, Listing, newest_first
from backup_worker.errors import BackupError
from backup_worker.manifest import manifest_key, object_key
from backup_worker.store.contract import Store

# No transfer takes that long: an object that old without a manifest has lost its writer.
ORPHAN_PATIENCE = timedelta(days=1)


@dataclass(frozen=True)
class Verdict:
    """What becomes of one snapshot, and why."""

    snapshot: str
    keep: bool
    reason: str


@dataclass(frozen=True)
class Pruned:
    """What was deleted, and what the store refused to delete: pairs of id and cause."""

    deleted: tuple[str, ...]
    refused: tuple[tuple[str, str], ...]


def plan_retention(listing: Listing, *, now: datetime, window: timedelta) -> list[Verdict]:
    """Say for each snapshot, newest first, whether it stays and why; then for each orphan.

    The newest good snapshot stays whatever its age. Without a good one no snapshot goes: what
    can't be read today may be all there is.
    """
    newest_good = listing.latest.id if listing.latest else None
    ordered = newest_first(listing.entries)
    return [
        *(_judge(entry, newest_good=newest_good, horizon=now - window) for entry in ordered),
        *(_judge_orphan(orphan, horizon=now - ORPHAN_PATIENCE) for orphan in listing.orphans),
    ]


def prune(store: Store, verdicts: Sequence[Verdict]) -> Pruned:
    """Delete what is not to be kept; each by itself, so that one refusal stops no other.

    The manifest goes first: a listed snapshot always has its object.
    """
    deleted, refused = [], []
    for verdict in verdicts:
        if verdict.keep:
            continue
        try:
            discard(store, verdict.snapshot)
        except BackupError as error:
            refused.append((verdict.snapshot, error.cause))
        else:
            deleted.append(verdict.snapshot)
    return Pruned(tuple(deleted), tuple(refused))


def discard(store: Store, snapshot: str) -> None:
    """Delete one snapshot, or what is there of it."""
    store.delete(manifest_key(snapshot))
    store.delete(object_key(snapshot))


def _judge(entry: Entry, *, newest_good: str | None, horizon: datetime) -> Verdict:
    if entry.id == newest_good:
        return Verdict(entry.id, True, "last good snapshot")
    if newest_good is None:
        return Verdict(entry.id, True, "there is no good snapshot")
    if entry.taken_at >= horizon:
        return Verdict(entry.id, True, f"younger than {horizon:%Y-%m-%d %H:%M}")
    return Verdict(entry.id, False, f"older than {horizon:%Y-%m-%d %H:%M}")


def _judge_orphan(orphan: Entry, *, horizon: datetime) -> Verdict:
    if orphan.taken_at >= horizon:
        return Verdict(orphan.id, True, "no manifest yet: may be under way")
    return Verdict(orphan.id, False, "no manifest: an unfinished transfer")
