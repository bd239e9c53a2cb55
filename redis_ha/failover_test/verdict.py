"""Whether a run cost no more than it may: each check with what was measured, and the limit."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from redis_ha.failover_test.expectation import Expectation
from redis_ha.failover_test.measures import outages, overlaps, promotions, writable_spans
from redis_ha.failover_test.records import BEGUN, ClientRecord, LostWrite, RunRecord

# A run with fewer acknowledged writes before the fault, or after, proves nothing.
ENOUGH_WRITES = 50


@dataclass(frozen=True)
class Check:
    """One thing that was judged. `measured` in `unit`; `limit` None: reported, not judged."""

    name: str
    passed: bool
    measured: float
    limit: float | None
    unit: str = "s"
    reason: str = ""


@dataclass(frozen=True)
class Verdict:
    """All checks of one run."""

    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        return all(check.passed for check in self.checks)

    @property
    def failures(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if not check.passed)


def judge(run: RunRecord, expected: Expectation) -> Verdict:
    """Compare a run with what its fault may cost."""
    return Verdict(
        (
            *_outages(run, expected),
            *(_lost(client, run, expected) for client in _with_inside(run)),
            *(_stale(client, expected) for client in run.clients),
            _overlap(run, expected),
            _failovers(run, expected),
            *(_enough(client, run) for client in run.clients),
            _state("healthy again", run.unhealthy),
            _state("data nodes equal", run.unequal),
            *_evictions(run),
        )
    )


def _with_inside(run: RunRecord) -> tuple[ClientRecord, ...]:
    return (*run.clients, run.inside) if run.inside else run.clients


def _outages(run: RunRecord, expected: Expectation) -> Iterator[Check]:
    for kind, gap in outages(run, since=run.marks[BEGUN]).items():
        limit = expected.outage.get(kind)
        yield _at_most(f"outage {kind}", gap.seconds, limit, "the longest silence of one writer")


def _lost(client: ClientRecord, run: RunRecord, expected: Expectation) -> Check:
    lost = [write for write in run.lost if write.kind == client.kind]
    outside = [write for write in lost if not _at_risk(write, run, expected)]
    reason = f"{len(lost)} of {client.acknowledged} acknowledged"
    if outside:
        since = outside[0].at - run.marks[BEGUN]
        reason += (
            f"; {len(outside)} of them not explained by the fault, the first at {since:+.2f} s"
        )
    return Check(
        f"lost {client.kind}",
        not outside,
        len(lost),
        _writes_at_risk(client, run, expected),
        unit="writes",
        reason=reason,
    )


def _spans(run: RunRecord, expected: Expectation) -> list[tuple[float, float]]:
    return [span for window in expected.at_risk if (span := window.span(run.marks))]


def _at_risk(write: LostWrite, run: RunRecord, expected: Expectation) -> bool:
    return any(begin <= write.at <= end for begin, end in _spans(run, expected))


def _writes_at_risk(client: ClientRecord, run: RunRecord, expected: Expectation) -> int:
    """Count the acknowledged writes that the fault may cost: the bound, in writes."""
    spans = _spans(run, expected)
    times = (at for writer in client.writers for at in writer.times)
    return sum(any(begin <= at <= end for begin, end in spans) for at in times)


def _stale(client: ClientRecord, expected: Expectation) -> Check:
    worst = max((read.behind for read in client.stale), default=0.0)
    count = f"{len(client.stale)} of {len(client.reads)} reads"
    return _at_most(f"stale reads {client.kind}", worst, expected.stale.get(client.kind), count)


def _overlap(run: RunRecord, expected: Expectation) -> Check:
    seconds = sum(span.seconds for span in overlaps(writable_spans(run)))
    return _at_most("two writable masters", seconds, expected.overlap, "both accepted writes")


def _failovers(run: RunRecord, expected: Expectation) -> Check:
    seen = promotions(run)
    names = ", ".join(name for _, name in seen) or "nobody was promoted"
    right = len(seen) == expected.failovers
    return Check("failovers", right, len(seen), expected.failovers, unit="", reason=names)


def _enough(client: ClientRecord, run: RunRecord) -> Check:
    begun, end = run.marks[BEGUN], run.end
    after = outages(run, since=begun)[client.kind].end
    times = [at for writer in client.writers for at in writer.times]
    fewest = min(sum(at < begun for at in times), sum(after <= at <= end for at in times))
    reason = "acknowledged before the fault, and again after it"
    return Check(
        f"enough writes {client.kind}",
        fewest >= ENOUGH_WRITES,
        fewest,
        ENOUGH_WRITES,
        unit="writes",
        reason=reason,
    )


def _state(name: str, trouble: str) -> Check:
    return Check(name, not trouble, not trouble, 1.0, unit="yes or no", reason=trouble)


def _evictions(run: RunRecord) -> Sequence[Check]:
    if not run.evicted:
        return ()
    reason = "the data nodes dropped keys for want of memory: losses say nothing"
    return (Check("evicted keys", False, run.evicted, 0.0, unit="", reason=reason),)


def _at_most(name: str, measured: float, limit: float | None, reason: str) -> Check:
    passed = limit is None or measured <= limit
    return Check(name, passed, measured, limit, reason=reason)
