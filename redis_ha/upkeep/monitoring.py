"""Is this cluster watched, and would anybody be called? Pure."""

from collections.abc import Iterator

from redis_ha.findings import Finding, State
from redis_ha.survey import Survey
from redis_ha.upkeep.watching import Watch

_NAME_IT = "name it with --prometheus URL; the stack's setting `monitoring` brings one"
# Prometheus extrapolates: what happened once is a little less or more.
_ONE_CALL = 0.5
_ANOTHERS = "name this cluster's Prometheus with --prometheus URL, or let it scrape this one"
_REACH = "run this where it can be reached, or let Prometheus scrape it"


def judge_monitoring(watch: Watch, survey: Survey) -> Iterator[Finding]:
    """Judge whether every member of the cluster is scraped: a Prometheus may be another's."""
    if watch.problem:
        yield Finding("monitoring", State.UNKNOWN, watch.problem, _NAME_IT)
        return
    if watch.down or not watch.targets:
        reason = f"not scraped: {', '.join(watch.down) or 'nothing is'}"
        yield Finding("monitoring", State.BAD, reason, "see its page, Status, Targets")
    for member in survey.members:
        if str(member.address) not in watch.targets:
            name, reason = survey.name(member.address), "no target of this Prometheus is about it"
            yield Finding("monitoring", State.BAD, reason, _ANOTHERS, name)


def judge_alerts(watch: Watch) -> Iterator[Finding]:
    """Judge whether there are rules, whether anybody is called, and what fires now."""
    if watch.problem:
        yield Finding("alerts", State.UNKNOWN, watch.problem, _NAME_IT)
        return
    if not watch.rules:
        yield Finding("alerts", State.BAD, "there is no rule", "load monitoring/prometheus/rules")
    yield from _calls(watch)
    for state, names in ((State.BAD, watch.critical), (State.WARNING, watch.firing)):
        if names:
            grade = "critical, " if state is State.BAD else ""
            reason = f"{grade}firing now: {', '.join(names)}"
            yield Finding("alerts", state, reason, "see what each is about")


def _calls(watch: Watch) -> Iterator[Finding]:
    if not watch.managers:
        yield Finding("alerts", State.BAD, "they go nowhere", "give Prometheus an Alertmanager")
    elif callees(watch) or (watch.calls or 0) >= _ONE_CALL:
        return
    elif unknown := [manager for manager in watch.managers if manager.problem]:
        reason = f"whether anybody is called isn't known: {unknown[0].problem}"
        yield Finding("alerts", State.UNKNOWN, reason, _REACH)
    else:
        where = ", ".join(manager.url for manager in watch.managers)
        reason = f"nobody is called: no receiver of {where} has an integration"
        yield Finding("alerts", State.BAD, reason, "set `alertWebhook`")


def callees(watch: Watch) -> tuple[str, ...]:
    """Name those that an Alertmanager calls, each once."""
    return tuple(dict.fromkeys(name for manager in watch.managers for name in manager.calls))


def scraped(watch: Watch) -> str:
    """Say what is fine with the monitoring."""
    return f"{len(watch.targets)} addresses are scraped, all up, each node and sentinel with them"


def alerting(watch: Watch) -> str:
    """Say what is fine with the alerts: who is called, or that somebody was."""
    whom = ", ".join(callees(watch)) or f"{watch.calls or 0:.0f} calls within the last hour"
    return f"{len(watch.rules)} rules; called: {whom}"
