"""What the witnesses did in one run: how they were asked before and after it, compared. Pure."""

from collections.abc import Callable
from dataclasses import dataclass

from redis_ha.witness.hearing import Hearing
from redis_ha.witness.report import Report
from redis_ha.witness.status import Status


@dataclass(frozen=True)
class Deed:
    """What one witness did: deaths seen, requests made, verdicts taken back, old masters fenced.

    `asked_after` (s) is from the end of its connection to the master until its request, which
    `asked_of` names a sentinel for; None and "" when it was not its turn.
    """

    name: str
    verdicts: int = 0
    asked: int = 0
    withdrawn: int = 0
    fenced: int = 0
    asked_after: float | None = None
    asked_of: str = ""


@dataclass(frozen=True)
class Deeds:
    """All witnesses: how many listened before the fault, and what those did that say so."""

    listening: int
    each: tuple[Deed, ...] = ()
    # Why they could not be asked; empty when they could.
    problem: str = ""


def deeds_between(before: Hearing, after: Hearing, *, name: Callable[[str], str]) -> Deeds:
    """Compare what the witnesses said before the fault and in the end; `name` names an address."""
    known = {report.number: report.status for report in before.reports}
    deeds = tuple(
        _deed(report, known.get(report.number, Status()), name) for report in after.reports
    )
    return Deeds(before.listening, deeds, before.problem or after.problem)


def _deed(report: Report, before: Status, name: Callable[[str], str]) -> Deed:
    now, last = report.status, report.status.last
    if now.verdicts < before.verdicts:
        # It was started anew meanwhile: all that it counts is of this run.
        before = Status()
    asked = now.asked - before.asked
    return Deed(
        report.name,
        verdicts=now.verdicts - before.verdicts,
        asked=asked,
        withdrawn=max(0, now.withdrawn - before.withdrawn),
        fenced=max(0, now.fenced - before.fenced),
        asked_after=last.asked_after if last and asked else None,
        asked_of=name(last.asked) if last and asked else "",
    )


def sentence(told: Deeds, *, promoted_after: float | None) -> str:
    """Say it in one sentence; `promoted_after` (s) counts from the fault."""
    if told.problem:
        return f"the witnesses could not be asked: {told.problem}"
    if not told.listening:
        return "no witness listens: Sentinel decided alone"
    saw = sum(deed.verdicts > 0 for deed in told.each)
    parts = [f"{saw} of {told.listening} witnesses saw the master die"]
    asking = [deed for deed in told.each if deed.asked]
    parts += [_request(deed) for deed in asking]
    if not asking:
        parts.append("none asked for a failover")
    parts += [f"{deed.name} took its verdict back" for deed in told.each if deed.withdrawn]
    parts += [f"{deed.name} fenced the old master" for deed in told.each if deed.fenced]
    if promoted_after is not None:
        parts.append(f"promoted {promoted_after:.2f} s after the fault")
    return "; ".join(parts)


def _request(deed: Deed) -> str:
    times = "" if deed.asked == 1 else f" {deed.asked} times"
    when = "" if deed.asked_after is None else f" {deed.asked_after:.2f} s after the EOF"
    return f"{deed.name} asked {deed.asked_of}{times}{when}"
