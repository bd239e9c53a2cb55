"""When the next snapshot is due, and how healthy that makes the worker. Pure; times in seconds."""

from dataclasses import dataclass

# How late a snapshot may be: a share of the interval, for a round that failed and was tried again,
# and some seconds (s), for looking.
_LATE_SHARE, _LATE_SECONDS = 0.25, 30.0
_FIRST_PAUSE = 2.0
_LONGEST_PAUSE = 300.0


@dataclass(frozen=True)
class Standing:
    """The last good snapshot, when it was taken (steady clock), and what failed since.

    `proven_at` is when a snapshot was last proven (steady clock); `seconds` and `drill_seconds`
    are how long this process's last snapshot and its drill took; `proof_failed` says that the
    newest one that was tried is not what it should be.
    """

    snapshot: str | None = None
    taken: float = 0.0
    problem: str = ""
    proven_at: float | None = None
    seconds: float | None = None
    drill_seconds: float | None = None
    proof_failed: bool = False

    def is_fresh(self, *, now: float, interval: float) -> bool:
        """Say whether there is a snapshot and the next is not overdue."""
        limit = overdue_after(interval, seconds=self.seconds, drill_seconds=self.drill_seconds)
        return self.snapshot is not None and now - self.taken <= limit


def overdue_after(interval: float, *, seconds: float | None, drill_seconds: float | None) -> float:
    """Say how old the newest good snapshot may be before the next is overdue.

    It counts from its begin, and the next is good once it is taken and proven: an interval later,
    and as long as that takes. Each may take twice as long as the last one did (None: not known).
    """
    works = 2 * (seconds or 0.0) + 2 * (drill_seconds or 0.0)
    return (1 + _LATE_SHARE) * interval + _LATE_SECONDS + works


def seconds_until_due(*, interval: float, since_own: float | None, wall_age: float | None) -> float:
    """Say how long until a snapshot is due, 0 when it is.

    `since_own` counts from this process's last success on a clock that never jumps; `wall_age`
    is how old the store's newest snapshot is by the wall clock, which may jump: an age below
    zero says nothing, one that leapt ahead is outdone by `since_own`.
    """
    ages = [age for age in (since_own, wall_age) if age is not None and age >= 0]
    return max(0.0, interval - min(ages)) if ages else 0.0


def pause_after(failures: int, *, interval: float) -> float:
    """Say how long to wait after so many failures in a row: 2 s, doubling, at most 5 min."""
    doublings = min(failures - 1, 16)
    return min(_FIRST_PAUSE * (1 << doublings), _LONGEST_PAUSE, interval)


def health_line(standing: Standing, *, now: float, interval: float) -> str:
    """Write the health file's line: it begins with `ok` while the last snapshot is fresh."""
    if standing.snapshot is None:
        return f"no snapshot yet: {standing.problem or 'the first is under way'}"
    age = now - standing.taken
    last = f"last snapshot {standing.snapshot}, {age / 60:.0f} min ago"
    trouble = f"; the next failed: {standing.problem}" if standing.problem else ""
    fresh = standing.is_fresh(now=now, interval=interval)
    return f"{'ok' if fresh else 'overdue:'} {last}{trouble}"
