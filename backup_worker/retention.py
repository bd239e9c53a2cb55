"""What stays in the store and what goes: decided with a reason for each object. Pure.

What deletes is pruning.py.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from backup_worker.catalog import Entry, Listing, newest_first
from backup_worker.holdings import Holdings
from backup_worker.lease.document import key_of
from backup_worker.lease.keeping import KEPT_TERMS, old_terms
from backup_worker.log.lineage import Forest
from backup_worker.log.segment import SegmentName, parse_key
from backup_worker.manifest import (
    ID_PATTERN,
    Manifest,
    contents_key,
    manifest_key,
    object_key,
    proof_key,
)

# No transfer takes that long: an object that old without a manifest has lost its writer.
HALF_PATIENCE = timedelta(days=1)
_UNPLACED = "its place in history can't be read"
_UNPLACED_AND_OLD = f"{_UNPLACED}, and it is older than all that stays"


class What(StrEnum):
    """The kinds of things that a store holds of ours."""

    SNAPSHOT = "snapshot"
    SEGMENT = "segment"
    # Objects of a snapshot or a segment whose manifest isn't there, or the other way round.
    HALF = "half"
    LEASE = "lease"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of one thing, and why.

    There may be a million of segments: theirs hold the name that the listing holds already.
    """

    what: What
    subject: str | SegmentName
    keep: bool
    reason: str

    @property
    def name(self) -> str:
        return self.subject if isinstance(self.subject, str) else self.subject.stem

    @property
    def keys(self) -> tuple[str, ...]:
        """Its objects in the order they would go."""
        if not isinstance(self.subject, str):
            return (self.subject.manifest_key, self.subject.object_key)
        whole = ID_PATTERN.fullmatch(self.subject)
        return snapshot_keys(self.subject) if whole else (self.subject,)


@dataclass(frozen=True)
class Allowance:
    """So many snapshots may go beside those that an earlier plan let go, the oldest first."""

    more: int
    before: frozenset[str] = frozenset()


def plan_retention(
    holdings: Holdings, *, now: datetime, window: timedelta, allowance: Allowance | None = None
) -> list[Verdict]:
    """Say for all that a store holds whether it stays and why; snapshots first, newest first.

    Snapshots within the window stay, and whatever their age the newest proven one and the newest
    that `latest` would mean. Without a good one nothing goes: what can't be read today may be
    all there is. Segments stay that follow on a kept snapshot, and those younger than the oldest
    kept one, be it unreadable; so do those within the window whose place in history is unknown.
    An `allowance` bounds what a plan may do whose `now` is wrong.
    """
    snapshots = list(_judge_snapshots(holdings.snapshots, horizon=now - window))
    if allowance is not None:
        snapshots = _within(allowance, snapshots)
    kept = {verdict.name for verdict in snapshots if verdict.keep}
    entries = [entry for entry in holdings.snapshots.entries if entry.id in kept]
    return [
        *snapshots,
        *_judge_segments(holdings, entries, horizon=now - window),
        *_judge_halves(holdings, horizon=now - HALF_PATIENCE, window_begins=now - window),
        *_judge_leases(holdings.leases),
    ]


def outrun(half: SegmentName, whole: Sequence[SegmentName]) -> bool:
    """Say whether a half stays one: segments are shipped in order, and a later one is whole."""
    return any(n.last_ms > half.last_ms and n.term >= half.term for n in reversed(whole))


def snapshot_keys(snapshot: str) -> tuple[str, ...]:
    """Name a snapshot's objects in the order they go: a listed one always has all its parts."""
    return tuple(key(snapshot) for key in (manifest_key, proof_key, contents_key, object_key))


def _judge_snapshots(listing: Listing, *, horizon: datetime) -> Iterator[Verdict]:
    precious = _precious(listing)
    for entry in newest_first(listing.entries):
        keep, reason = _judge_snapshot(entry, precious, horizon)
        yield Verdict(What.SNAPSHOT, entry.id, keep, reason)


def _within(allowance: Allowance, snapshots: Sequence[Verdict]) -> list[Verdict]:
    """Spare what goes beyond the allowance; newest first."""
    new = [v.name for v in reversed(snapshots) if not v.keep and v.name not in allowance.before]
    spared = set(new[allowance.more :])
    later = f"its turn comes later: {allowance.more} snapshots a round"
    return [replace(v, keep=True, reason=later) if v.name in spared else v for v in snapshots]


def _precious(listing: Listing) -> dict[str, str]:
    """Return the snapshots that stay whatever their age, with the reason."""
    usable = [entry for entry in newest_first(listing.entries) if entry.restorable]
    usable = usable or [entry for entry in newest_first(listing.entries) if entry.good]
    proven = [entry for entry in usable if entry.proven]
    found = {entry.id: "last good snapshot" for entry in usable[:1]}
    return found | {entry.id: "last proven snapshot" for entry in proven[:1]}


def _judge_snapshot(entry: Entry, precious: dict[str, str], horizon: datetime) -> tuple[bool, str]:
    if entry.id in precious:
        return True, precious[entry.id]
    if not precious:
        return True, "there is no good snapshot"
    if entry.taken_at >= horizon:
        return True, f"younger than {horizon:%Y-%m-%d %H:%M}"
    return False, f"older than {horizon:%Y-%m-%d %H:%M}"


@dataclass(frozen=True)
class _Oldest:
    """When the oldest snapshot that stays was taken, and the reasons that follow, once for all.

    A segment whose place is unknown may follow on any snapshot, so it has the window as well.
    """

    at: datetime
    horizon: datetime
    younger: str
    before: str


def _oldest(kept: Sequence[Entry], horizon: datetime) -> _Oldest | None:
    """Unreadable ones count: whoever trusts their signer replays the log after them."""
    if not any(entry.good for entry in kept):
        return None
    at = min(entry.taken_at for entry in kept)
    what = f"the oldest snapshot that stays, of {at:%Y-%m-%d %H:%M}"
    return _Oldest(at, min(at, horizon), f"younger than {what}", f"before {what}")


def _judge_segments(
    holdings: Holdings, kept: Sequence[Entry], *, horizon: datetime
) -> Iterator[Verdict]:
    oldest = _oldest(kept, horizon)
    bases = [entry.manifest for entry in kept if entry.manifest is not None]
    after = {replid: _needed_after(replid, holdings, bases) for replid in holdings.timelines}
    for name in holdings.log.names:
        keep, reason = _judge_segment(name, after, oldest)
        yield Verdict(What.SEGMENT, name, keep, reason)


def _judge_segment(
    name: SegmentName, after: dict[str, int | None], oldest: _Oldest | None
) -> tuple[bool, str]:
    if oldest is None:
        return True, "there is no good snapshot"
    if name.replid not in after:
        keep = _arrived(name) >= oldest.horizon
        return keep, _UNPLACED if keep else _UNPLACED_AND_OLD
    start = after[name.replid]
    if start is not None and name.end > start:
        return True, "follows on a snapshot that stays"
    if _arrived(name) >= oldest.at:
        return True, oldest.younger
    return False, oldest.before


def _needed_after(replid: str, holdings: Holdings, bases: Sequence[Manifest]) -> int | None:
    """Return the lowest offset of a base on the history that ends in a timeline, None for none.

    Bytes after it are replayed from there; see lineage.py for who owns which.
    """
    forest = Forest(holdings.timelines)
    reaches = {reach.owner: reach.upto for reach in forest.path(replid)}
    offsets = []
    for base in bases:
        point = base.replication
        owner = forest.owner(point.replid, point.offset)
        if owner in reaches and ((upto := reaches[owner]) is None or point.offset <= upto):
            offsets.append(point.offset)
    return min(offsets, default=None)


def _judge_halves(
    holdings: Holdings, *, horizon: datetime, window_begins: datetime
) -> Iterator[Verdict]:
    for orphan in holdings.snapshots.orphans:
        keep, reason = _judge_orphan(orphan, horizon, window_begins)
        yield Verdict(What.HALF, orphan.id, keep, reason)
    for key in holdings.log.halves:
        if (parsed := parse_key(key)) is not None:
            keep, reason = _judge_half_segment(parsed[0], holdings.log.names, horizon)
            yield Verdict(What.HALF, key, keep, reason)


def _judge_orphan(orphan: Entry, horizon: datetime, window_begins: datetime) -> tuple[bool, str]:
    """A proof comes after the manifest: who lost that one may look for it in an older copy."""
    if orphan.taken_at >= horizon:
        return True, "no manifest yet: may be under way"
    if orphan.published and orphan.taken_at >= window_begins:
        return True, f"its manifest is gone; younger than {window_begins:%Y-%m-%d %H:%M}"
    return False, "its manifest is gone" if orphan.published else "an unfinished transfer"


def _judge_half_segment(
    half: SegmentName, whole: Sequence[SegmentName], horizon: datetime
) -> tuple[bool, str]:
    """Judge a segment without its manifest; one that waited in a spool is old when it arrives."""
    if _arrived(half) >= horizon or not outrun(half, whole):
        return True, "not whole yet: may be under way"
    return False, "an unfinished transfer"


def _judge_leases(terms: Sequence[int]) -> Iterator[Verdict]:
    old = set(old_terms(list(terms)))
    for term in terms:
        reason = "an old term" if term in old else f"one of the last {KEPT_TERMS} terms"
        yield Verdict(What.LEASE, key_of(term), term not in old, reason)


def _arrived(name: SegmentName) -> datetime:
    return datetime.fromtimestamp(name.last_ms / 1000, UTC)
