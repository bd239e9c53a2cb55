"""The last minutes of looks as lines and a strip, in a bounded memory. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import floor
from typing import Literal

from redis_ha.health import RoundTrip
from redis_ha.observing import sight
from redis_ha.round_trip import Samples
from redis_ha.stats import compute
from redis_ha.survey import Survey

WINDOW_SECONDS = 900.0
# What a browser draws at most, however often the cluster is looked at.
_BUCKETS = 300
_SPANS = (120.0, 300.0, WINDOW_SECONDS)
_NOTHING = Samples(())
Kind = Literal["ok", "failed", "partly", "none"]


@dataclass(frozen=True)
class Point:
    """One look at `at` (s since 1970): could an application write, how long (ms) did that take.

    `lags` are the replicas' in bytes, None where not known.
    """

    at: float
    available: bool
    milliseconds: float | None = None
    lags: Mapping[str, int | None] = field(default_factory=dict)


def point(survey: Survey, trip: RoundTrip, at: float) -> Point:
    """Reduce a look to what is kept of it; without an application's user the roles decide."""
    tried = not trip.skipped
    works = not trip.problem if tried else sight(survey, at).master is not None
    took = round(trip.seconds * 1000, 3) if tried and works else None
    return Point(at, works, took, {lag.name: lag.bytes for lag in compute(survey, _NOTHING).lag})


def remembered(points: Sequence[Point], new: Point) -> tuple[Point, ...]:
    """Add a point and drop those that are older than the window."""
    return (*(p for p in points if p.at > new.at - WINDOW_SECONDS), new)


def described(points: Sequence[Point], *, now: float, interval: float) -> dict[str, object]:
    """Give the window up to `now` in equal steps: the worst of each, None where nobody looked."""
    step = max(WINDOW_SECONDS / _BUCKETS, interval)
    count = int(_span(points, now=now, step=step) / step)
    # Steps begin at multiples of their length, so that a line moves without changing its shape.
    first = (floor(now / step) - count + 1) * step
    buckets: list[list[Point]] = [[] for _ in range(count)]
    for seen in points:
        if 0 <= (index := floor((seen.at - first) / step)) < count:
            buckets[index].append(seen)
    names = sorted({name for seen in points for name in seen.lags})
    return {
        "begin": first,
        "step": step,
        "looks": len(points),
        "available": sum(seen.available for seen in points),
        "strip": [_kind(bucket) for bucket in buckets],
        "milliseconds": [_worst(bucket, lambda p: p.milliseconds) for bucket in buckets],
        "lags": {
            name: [_worst(bucket, lambda p, n=name: p.lags.get(n)) for bucket in buckets]  # type: ignore[misc]
            for name in names
        },
    }


def _span(points: Sequence[Point], *, now: float, step: float) -> float:
    """Return how much of the window is shown: not all of it while there is little to see."""
    needed = max(now - points[0].at if points else 0.0, 5 * step)
    return next((span for span in _SPANS if span >= needed), WINDOW_SECONDS)


def _kind(bucket: Sequence[Point]) -> Kind:
    if not bucket:
        return "none"
    worked = sum(seen.available for seen in bucket)
    return "ok" if worked == len(bucket) else "partly" if worked else "failed"


def _worst(bucket: Iterable[Point], value: Callable[[Point], float | None]) -> float | None:
    return max((v for seen in bucket if (v := value(seen)) is not None), default=None)
