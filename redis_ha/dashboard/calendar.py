"""Which hour of the last days has a backup, and whether that one is proven. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Literal

from redis_ha.backup_report import Snapshot

DAYS = 7
_HOUR = 3600.0
# Between two snapshots lies one that is missing when they are further apart than so many intervals.
_LATE_INTERVALS = 1.25

HourState = Literal[
    "proven",
    "unproven",
    "failed",
    "missing",
    "between",  # none was due in this hour
    "due",  # the hour isn't over, and none is overdue
    "before",  # the store holds nothing that old
    "future",
]


@dataclass(frozen=True)
class Hour:
    """One hour, in UTC; `snapshots` are those taken in it, `note` what is said of them."""

    state: HourState
    snapshots: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Day:
    """A day in UTC (YYYY-MM-DD) and its 24 hours."""

    date: str
    hours: tuple[Hour, ...]


def calendar(
    snapshots: Sequence[Snapshot], *, now: float, interval: float = _HOUR, days: int = DAYS
) -> tuple[Day, ...]:
    """Judge each hour of the last days, today first; `now` in seconds since 1970.

    `interval` (s) is from one snapshot to the next: hours in which none is due are not missing.
    """
    known = sorted(snapshots, key=lambda snapshot: snapshot.taken_at)
    today = datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return tuple(
        Day(
            f"{day:%Y-%m-%d}",
            tuple(
                _hour(known, day.timestamp() + hour * _HOUR, now=now, interval=interval)
                for hour in range(24)
            ),
        )
        for day in (today - timedelta(days=back) for back in range(days))
    )


def _hour(known: Sequence[Snapshot], begin: float, *, now: float, interval: float) -> Hour:
    end = begin + _HOUR
    taken = [snapshot for snapshot in known if begin <= snapshot.taken_at < end]
    if taken:
        notes = [snapshot.note for snapshot in taken if snapshot.note]
        return Hour(_with(taken), tuple(s.id for s in taken), "; ".join(dict.fromkeys(notes)))
    before = max((s.taken_at for s in known if s.taken_at < begin), default=None)
    after = min((s.taken_at for s in known if s.taken_at >= end), default=now)
    return Hour(_without(before, after, begin, now=now, interval=interval))


def _with(taken: Sequence[Snapshot]) -> HourState:
    states = {snapshot.state for snapshot in taken}
    if "proven" in states:
        return "proven"
    return "unproven" if "not proven" in states else "failed"


def _without(
    before: float | None, after: float, begin: float, *, now: float, interval: float
) -> HourState:
    """Judge an hour without a snapshot by the ones before and after it (or now)."""
    if begin > now:
        return "future"
    if before is None:
        return "before"
    quiet: HourState = "due" if begin + _HOUR > now else "between"
    if after - before <= _LATE_INTERVALS * interval:
        return quiet
    expected = before + interval * max(1, ceil((begin - before) / interval))
    return "missing" if expected < min(begin + _HOUR, now) else quiet
