"""Would the witnesses see a crash? Each trouble with its reason. Pure: survey to findings."""

from collections.abc import Iterator
from typing import Any

from redis_ha.findings import Finding, State
from redis_ha.survey import Survey

CHECK = "witnesses"
_APPLY = "run `pulumi up`: it gives witnesses and nodes the same password and rights"


def witnesses_fine(survey: Survey) -> str:
    """Say what is so when nothing is wrong."""
    if not survey.witness_wanted:
        return "there are none: a crash is over after down-after, as Sentinel sees it"
    heard = survey.hearing
    told = "" if heard is None else f", {len(heard.reports)} of them say that they watch"
    return f"{survey.witnesses} of {len(survey.sentinels)} listen{told}"


def witnesses_described(survey: Survey) -> dict[str, Any]:
    """Give plain values for JSON; `reports` None when they were not asked."""
    heard = survey.hearing
    reports = (
        None
        if heard is None
        else [{"number": r.number, **r.status.fields()} for r in heard.reports]
    )
    return {
        "wanted": survey.witness_wanted,
        "listening": survey.witnesses,
        "of": len(survey.sentinels),
        "reports": reports,
        "problem": heard.problem if heard else "",
    }


def witness_troubles(survey: Survey) -> Iterator[Finding]:
    """Say what keeps the witnesses from their work; a failover works without them, but later."""
    if not survey.witness_wanted:
        return
    yield from _missing(survey)
    yield from _refused(survey)
    yield from _lacking(survey)
    yield from _reported(survey)


def _warning(subject: str, reason: str, remedy: str) -> Finding:
    return Finding(CHECK, State.WARNING, reason, remedy, subject)


def _missing(survey: Survey) -> Iterator[Finding]:
    listening, sentinels = survey.witnesses, len(survey.sentinels)
    if listening >= sentinels:
        return
    yield _warning(
        "",
        f"{listening} of {sentinels} listen on every data node; {_effect(survey)}",
        "see the health of each sentinel's container: it says what its witness lacks",
    )


def _effect(survey: Survey) -> str:
    if survey.witnessed:
        return "a majority still sees a crash"
    downs = [sentinel.view.down_after for sentinel in survey.answering]
    how_long = f" ({max(downs):g} s)" if downs else ""
    return f"no majority sees a crash: it takes down-after{how_long} longer"


def _refused(survey: Survey) -> Iterator[Finding]:
    for member in survey.members:
        if member.refused_witness:
            reason = "a witness comes with a wrong password and is not let in"
            yield _warning(survey.name(member.address), reason, _APPLY)


def _lacking(survey: Survey) -> Iterator[Finding]:
    for member in survey.members:
        for lack in member.witness_lacks:
            reason = f"user {lack.user!r} {lack.problem} here"
            yield _warning(survey.name(member.address), reason, _APPLY)


def _reported(survey: Survey) -> Iterator[Finding]:
    heard = survey.hearing
    if heard is None:
        return
    if heard.problem:
        yield _warning("", f"could not be asked: {heard.problem}", "see `redis-ha doctor`")
    elif len(heard.reports) < heard.listening:
        silent = heard.listening - len(heard.reports)
        reason = f"{silent} of {heard.listening} that listen don't say how they are"
        yield _warning("", reason, "see the log of each sentinel's container")
    for report in heard.reports:
        if report.trouble:
            yield _warning(report.name, report.trouble, "see the log of its sentinel's container")
