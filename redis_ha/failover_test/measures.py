"""What the records of a run amount to: outages, overlaps, promotions. Pure functions of times."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

from redis_ha.failover_test.records import ClientRecord, RunRecord, Sample, State

# Two accepted writes of the observer this far apart (s) are one period of being writable.
_JOIN = 0.25


@dataclass(frozen=True)
class Span:
    """A stretch of time (s)."""

    begin: float
    end: float

    @property
    def seconds(self) -> float:
        return self.end - self.begin


@dataclass(frozen=True)
class Stretch(Span):
    """A stretch in which a node was in one state."""

    state: State


def longest_gap(times: Sequence[float], *, since: float, until: float) -> Span | None:
    """Return the longest time between two of `times` that lies, at least partly, in the range.

    A last one before `until` counts as a gap up to there: who never came back was out all the time.
    """
    known = [at for at in times if at <= until]
    gaps = [Span(a, b) for a, b in pairwise([*known, until]) if b > since]
    return max(gaps, key=lambda gap: gap.seconds, default=None)


def outage(client: ClientRecord, *, since: float, until: float) -> Span | None:
    """Return the longest silence that any writer of a kind had: what one thread suffered."""
    gaps = [longest_gap(writer.times, since=since, until=until) for writer in client.writers]
    return max((gap for gap in gaps if gap), key=lambda gap: gap.seconds, default=None)


def outages(run: RunRecord, *, since: float) -> dict[str, Span]:
    """Return the outage of each kind of client from `since` to the end of the run."""
    found = {client.kind: outage(client, since=since, until=run.end) for client in run.clients}
    return {kind: span for kind, span in found.items() if span is not None}


def stretches(samples: Sequence[Sample]) -> list[Stretch]:
    """Join samples of the same state; a stretch lasts until the next one begins."""
    joined: list[Stretch] = []
    for sample in samples:
        if joined and joined[-1].state == sample.state:
            joined[-1] = Stretch(joined[-1].begin, sample.at, sample.state)
        else:
            begin = joined[-1].end if joined else sample.at
            joined.append(Stretch(begin, sample.at, sample.state))
    return joined


def writable_spans(run: RunRecord) -> dict[str, list[Span]]:
    """Return for each node when it accepted writes, by the observer's and by a client inside."""
    times = {
        name: [sample.at for sample in samples if sample.writable]
        for name, samples in run.nodes.items()
    }
    if run.inside is not None:
        times[run.victim] = sorted([*times[run.victim], *run.inside.writers[0].times])
    return {name: list(spans_of(moments)) for name, moments in times.items()}


def spans_of(moments: Iterable[float]) -> Iterator[Span]:
    """Join moments (s, ascending) that are close to each other."""
    current: Span | None = None
    for at in moments:
        if current is not None and at - current.end <= _JOIN:
            current = Span(current.begin, at)
            continue
        if current is not None:
            yield current
        current = Span(at, at)
    if current is not None:
        yield current


def overlaps(writable: Mapping[str, Sequence[Span]]) -> list[Span]:
    """Return when two nodes accepted writes at once."""
    found = [
        Span(max(one.begin, other.begin), min(one.end, other.end))
        for mine, theirs in combinations(writable.values(), 2)
        for one in mine
        for other in theirs
    ]
    return sorted((span for span in found if span.seconds > 0), key=lambda span: span.begin)


def promotions(run: RunRecord) -> list[tuple[float, str]]:
    """Return each time that a node which was a replica said it is master, oldest first."""
    found = []
    for name, samples in run.nodes.items():
        answers = [sample for sample in samples if sample.role is not None]
        found += [
            (later.at, name)
            for earlier, later in pairwise(answers)
            if (earlier.role, later.role) == ("slave", "master")
        ]
    return sorted(found)


def epochs(run: RunRecord) -> int:
    """Return by how much the configuration epoch rose, as the sentinels tell it."""
    seen = [sample.epoch for samples in run.sentinels.values() for sample in samples]
    return max(seen) - min(seen) if seen else 0


def blind_seconds(run: RunRecord) -> float:
    """Return the longest time that the observer did not look at a node that never was master.

    So long the test itself stood still, on a busy machine; no time here is more exact than that.
    """
    bystanders = [
        seen for seen in run.nodes.values() if all(sample.role != "master" for sample in seen)
    ]
    gaps = (later.at - earlier.at for seen in bystanders for earlier, later in pairwise(seen))
    return max(gaps, default=0.0)
