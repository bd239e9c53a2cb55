"""Several runs of several faults in few numbers: for the terminal, for JSON and for the report."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from redis_ha.failover_test.expectation import Expectation, LiveSettings, expect
from redis_ha.failover_test.inside import KIND as INSIDE
from redis_ha.failover_test.measures import (
    blind_seconds,
    epochs,
    outages,
    overlaps,
    promotions,
    writable_spans,
)
from redis_ha.failover_test.records import BEGUN, FAULTS, Fault, RunRecord
from redis_ha.failover_test.verdict import Verdict, judge


@dataclass(frozen=True)
class Judged:
    """A run with what its fault may cost and how it compares."""

    run: RunRecord
    expected: Expectation
    verdict: Verdict


@dataclass(frozen=True)
class Row:
    """One kind of client through all runs of one fault; outages in seconds, None: never judged."""

    fault: Fault
    kind: str
    runs: int
    outage_middle: float
    outage_worst: float
    outage_limit: float | None
    acknowledged: int
    lost: int
    stale_reads: int
    stale_worst: float
    longest_call: float
    passed: bool


@dataclass(frozen=True)
class FaultRow:
    """All runs of one fault: overlap of two writable masters (s, worst), failovers seen."""

    fault: Fault
    runs: int
    passed: int
    overlap_worst: float
    overlap_limit: float | None
    failovers: tuple[int, ...]
    # What a client on the cut-off side could still write, and for how long after the fault (s).
    inside_lost: int | None
    inside_worst: float | None


def judged(run: RunRecord, settings: LiveSettings) -> Judged:
    """Judge a run by the settings that the cluster ran with."""
    expected = expect(run.fault, settings)
    return Judged(run, expected, judge(run, expected))


def client_rows(runs: Sequence[Judged]) -> list[Row]:
    """Sum up each kind of client, fault by fault."""
    return [row for fault, group in by_fault(runs) for row in _rows(fault, group)]


def fault_rows(runs: Sequence[Judged]) -> list[FaultRow]:
    """Sum up each fault."""
    return [_fault_row(fault, group) for fault, group in by_fault(runs)]


def by_fault(runs: Sequence[Judged]) -> Iterator[tuple[Fault, list[Judged]]]:
    """Group runs by their fault, in the order of FAULTS."""
    for fault in FAULTS:
        if group := [one for one in runs if one.run.fault == fault]:
            yield fault, group


def _rows(fault: Fault, group: Sequence[Judged]) -> Iterator[Row]:
    for kind in [client.kind for client in group[0].run.clients]:
        gaps = [outages(one.run, since=one.run.marks[BEGUN])[kind].seconds for one in group]
        clients = [c for one in group for c in one.run.clients if c.kind == kind]
        checks = [c for one in group for c in one.verdict.checks if c.name.endswith(f" {kind}")]
        yield Row(
            fault,
            kind,
            runs=len(group),
            outage_middle=median(gaps),
            outage_worst=max(gaps),
            outage_limit=group[0].expected.outage.get(kind),
            acknowledged=sum(client.acknowledged for client in clients),
            lost=sum(write.kind == kind for one in group for write in one.run.lost),
            stale_reads=sum(len(client.stale) for client in clients),
            stale_worst=max((s.behind for c in clients for s in c.stale), default=0.0),
            longest_call=max(client.longest_call for client in clients),
            passed=all(check.passed for check in checks),
        )


def _fault_row(fault: Fault, group: Sequence[Judged]) -> FaultRow:
    inside = [one.run for one in group if one.run.inside is not None]
    return FaultRow(
        fault,
        runs=len(group),
        passed=sum(one.verdict.passed for one in group),
        overlap_worst=max(overlap_seconds(one.run) for one in group),
        overlap_limit=group[0].expected.overlap,
        failovers=tuple(len(promotions(one.run)) for one in group),
        inside_lost=sum(w.kind == INSIDE for run in inside for w in run.lost) if inside else None,
        inside_worst=max(map(inside_seconds, inside)) if inside else None,
    )


def overlap_seconds(run: RunRecord) -> float:
    """Return for how long two nodes accepted writes."""
    return sum(span.seconds for span in overlaps(writable_spans(run)))


def inside_seconds(run: RunRecord) -> float:
    """Return for how long after the fault the client on the cut-off side could write."""
    times = run.inside.writers[0].times if run.inside else ()
    return max((at - run.marks[BEGUN] for at in times if at > run.marks[BEGUN]), default=0.0)


def all_passed(runs: Sequence[Judged], stopped: str) -> bool:
    """Say whether a test as a whole passed; nothing was proven where nothing ran."""
    return bool(runs) and not stopped and all(one.verdict.passed for one in runs)


def document(
    runs: Sequence[Judged], settings: LiveSettings, *, stopped: str = ""
) -> dict[str, Any]:
    """Give everything that was found as plain values; times in seconds, relative to the fault.

    `stopped` says what ended the test early, "" when nothing did.
    """
    return {
        "passed": all_passed(runs, stopped),
        "stopped": stopped,
        "settings": vars(settings),
        "faults": [vars(row) for row in fault_rows(runs)],
        "clients": [vars(row) for row in client_rows(runs)],
        "runs": [_described(one) for one in runs],
    }


def _described(one: Judged) -> dict[str, Any]:
    run, begun = one.run, one.run.marks[BEGUN]
    return {
        "fault": run.fault,
        "victim": run.victim,
        "passed": one.verdict.passed,
        "marks": {name: round(at - begun, 3) for name, at in run.marks.items()},
        "promotions": [[round(at - begun, 3), name] for at, name in promotions(run)],
        "epochs": epochs(run),
        "witnesses": None if run.deeds is None else asdict(run.deeds),
        "exact_to": round(blind_seconds(run), 3),
        "checks": [vars(check) for check in one.verdict.checks],
        "errors": {client.kind: dict(client.errors) for client in run.clients},
    }
