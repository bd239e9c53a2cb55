"""The four levels of health, each with its reason: container, sentinel, replication, application.

Pure: what was seen comes in, findings go out.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from redis_ha.containers import ContainerView
from redis_ha.findings import Finding, State, ok
from redis_ha.readiness import promotable
from redis_ha.survey import Survey
from redis_ha.witnessing import witness_troubles, witnesses_fine

Level = Literal["healthy", "degraded", "down"]


@dataclass(frozen=True)
class RoundTrip:
    """A write and its reading back as the application; `problem` says what went wrong."""

    seconds: float = 0.0
    by: str = ""
    problem: str = ""
    # The settings name no application user: nothing was tried.
    skipped: bool = False


def judge_health(
    survey: Survey, containers: Mapping[str, ContainerView] | str, trip: RoundTrip
) -> tuple[Finding, ...]:
    """Judge each level; one or more findings a level, in the order of the levels."""
    return (
        *_containers(containers),
        *_sentinels(survey),
        *_replication(survey),
        _application(trip),
    )


def overall(findings: tuple[Finding, ...]) -> Level:
    """Say how the whole is: down when the application can't work, degraded on any trouble."""
    bad = [finding for finding in findings if finding.state is State.BAD]
    if any(finding.check in ("replication", "application") for finding in bad):
        return "down"
    return "degraded" if any(f.state > State.UNKNOWN for f in findings) else "healthy"


def _containers(containers: Mapping[str, ContainerView] | str) -> Iterator[Finding]:
    if isinstance(containers, str):
        yield Finding("container", State.UNKNOWN, f"not known from here: {containers}")
        return
    troubled = [view for view in containers.values() if view.trouble]
    for view in troubled:
        remedy = f"see `docker logs {view.name}`, then `make up`"
        yield Finding("container", State.WARNING, view.trouble, remedy, view.name)
    if not troubled:
        restarts = sum(view.restarts for view in containers.values())
        yield ok("container", f"all {len(containers)} run, {restarts} restarts")


def _sentinels(survey: Survey) -> Iterator[Finding]:
    count, needed = len(survey.answering), len(survey.sentinels) // 2 + 1
    for sentinel in survey.sentinels:
        if not sentinel.answers:
            name, problem = survey.name(sentinel.address), sentinel.view.problem
            yield Finding("sentinel", State.WARNING, f"no answer: {problem}", "start it", name)
    if survey.master is None:
        reason = f"{count} of {len(survey.sentinels)} answer, no majority names a master"
        yield Finding("sentinel", State.BAD, reason, "bring a majority back: nothing fails over")
    elif count == len(survey.sentinels):
        yield ok("sentinel", f"{count} of {count} name {survey.name(survey.master)}")
    for sentinel in survey.answering:
        if survey.master is not None and sentinel.view.master != survey.master:
            reason = f"names {survey.name(sentinel.view.master)}"
            name = survey.name(sentinel.address)
            yield Finding("sentinel", State.WARNING, reason, "see `redis-ha ready`", name)
    if count < needed and survey.master is not None:
        yield Finding("sentinel", State.BAD, "no quorum", "start the missing sentinels")
    yield from _witnesses(survey)


def _witnesses(survey: Survey) -> Iterator[Finding]:
    troubles = list(witness_troubles(survey))
    for trouble in troubles:
        reason = trouble.reason if trouble.subject else f"witnesses: {trouble.reason}"
        yield replace(trouble, check="sentinel", reason=reason)
    if not troubles and survey.witness_wanted:
        yield ok("sentinel", f"witnesses: {witnesses_fine(survey)}")


def _replication(survey: Survey) -> Iterator[Finding]:
    masters = survey.masters
    if not masters:
        yield Finding("replication", State.BAD, "no data node says it is master", "see `status`")
        return
    if len(masters) > 1:
        names = ", ".join(survey.name(node.address) for node in masters)
        yield Finding("replication", State.WARNING, f"{names} say they are master", "see `doctor`")
    fit = promotable(survey)
    for node in survey.nodes:
        if node.view.role is None:
            reason = f"no answer: {node.view.problem}"
        elif node.view.role == "slave" and node not in fit:
            reason = "is not in sync with the master, or a sentinel takes it for down"
        else:
            continue
        name = survey.name(node.address)
        yield Finding("replication", State.WARNING, reason, "see `redis-ha doctor`", name)
    if len(fit) == len(survey.nodes) - 1 and fit:
        lag = max(survey.lag(node)[0] for node in fit)
        master = survey.name(masters[0].address)
        yield ok(
            "replication", f"{master} with {len(fit)} replicas in sync, at most {lag} B behind"
        )
    elif not fit:
        reason = "no replica could take over"
        yield Finding("replication", State.WARNING, reason, "bring one back")


def _application(trip: RoundTrip) -> Finding:
    if trip.skipped:
        return Finding("application", State.UNKNOWN, f"not tried: {trip.problem}")
    if trip.problem:
        remedy = "see `redis-ha status`; a failover may be under way"
        return Finding("application", State.BAD, trip.problem, remedy)
    text = f"wrote and read back through {trip.by} in {trip.seconds * 1000:.1f} ms"
    return ok("application", text)
