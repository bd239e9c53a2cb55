"""What is known, as the page and `state.json` show it: plain values, no more to be decided. Pure.

docs/DASHBOARD.md describes the document.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from redis_ha.backup_report import BackupReport
from redis_ha.dashboard import history
from redis_ha.dashboard.calendar import calendar
from redis_ha.dashboard.known import Backups, Known, Look, merged
from redis_ha.findings import Finding, State, grouped
from redis_ha.health import judge_health, overall
from redis_ha.readiness import is_ready, judge_readiness, promotable
from redis_ha.survey import NodeSurvey, SentinelSurvey, Survey

VERSION = 1
# A look that is older than so many intervals, and than so many seconds, is told apart from a live
# one: while a node is silent a look takes some timeouts.
_STALE_INTERVALS = 3
_STALE_SECONDS = 15.0
_NOT_LOOKED = "not known yet: the first look is under way"


@dataclass(frozen=True)
class About:
    """Whom the page is about, and how often (s) it is looked at."""

    cluster: str
    interval: float


def state(known: Known, about: About, *, now: float) -> dict[str, Any]:
    """Describe all that is known at `now` (s since 1970)."""
    return {
        "version": VERSION,
        "cluster": about.cluster,
        "now": now,
        "since": known.began,
        "interval": about.interval,
        **_freshness(known, about, now=now),
        "headline": _headline(known),
        **_members(known),
        "worker": _worker(known),
        "history": history.described(known.points, now=now, interval=about.interval),
        "outage": _outage(known, now=now),
        "failovers": [asdict(failover) for failover in reversed(known.failovers)],
        "backups": _backups(known.backups, now=now),
    }


def _freshness(known: Known, about: About, *, now: float) -> dict[str, Any]:
    """Say how old what is shown is; `stale` when it isn't what the cluster is like now."""
    look, answered = known.look, known.answered
    age = None if look is None else now - look.at
    limit = max(_STALE_SECONDS, _STALE_INTERVALS * about.interval)
    silent = look is not None and not look.answered
    return {
        "look": {
            "age": age,
            "seconds": look.seconds if look else None,
            "answer_age": now - answered.at if answered else None,
            "silent": silent,
        },
        "stale": silent or (age is not None and age > limit),
        "problems": [f"{kind}: {text}" for kind, text in sorted(known.problems.items())],
    }


def _headline(known: Known) -> dict[str, Any]:
    look = known.look
    if look is None:
        waiting = Finding("cluster", State.UNKNOWN, _NOT_LOOKED)
        return {"health": None, "reasons": [waiting.described()], "ready": None, "not_ready": []}
    survey = merged(look.survey, known.thorough)
    containers = known.thorough.containers if known.thorough else _NOT_LOOKED
    health = judge_health(survey, containers, look.trip)
    checks = judge_readiness(survey)
    return {
        "health": overall(health),
        "reasons": _told([finding for finding in health if finding.state > State.UNKNOWN]),
        # Without the rights having been tried it would be a guess.
        "ready": is_ready(checks) if known.thorough else None,
        "not_ready": _told([check for check in checks if check.state is State.BAD]),
    }


def _told(findings: Sequence[Finding]) -> list[dict[str, str]]:
    worst_first = sorted(findings, key=lambda finding: -finding.state)
    return [finding.described() for finding in grouped(worst_first)]


def _members(known: Known) -> dict[str, Any]:
    """Describe nodes, sentinels and witnesses as they were when somebody last answered."""
    look = known.answered or known.look
    if look is None:
        return {"master": None, "nodes": [], "sentinels": [], "witnesses": None}
    survey = merged(look.survey, known.thorough)
    return {
        "master": survey.name(survey.master) if survey.master else None,
        "nodes": [_node(survey, node) for node in survey.nodes],
        "sentinels": [
            _sentinel(survey, number, sentinel)
            for number, sentinel in enumerate(survey.sentinels, start=1)
        ],
        "witnesses": _witnesses(survey),
    }


def _node(survey: Survey, node: NodeSurvey) -> dict[str, Any]:
    view = node.view
    behind, seconds = survey.lag(node)
    follows = view.role == "slave"
    return {
        "name": survey.name(node.address),
        "address": str(node.address),
        "role": {"master": "master", "slave": "replica"}.get(view.role or "", "silent"),
        "named": node.address == survey.master,
        "follows": survey.name(view.master) if follows else None,
        "link": _link(survey, node),
        "offset": view.offset if view.role else None,
        "behind_bytes": behind if follows and survey.leader else None,
        "heard_seconds": seconds if follows else None,
        "keys": view.keys if view.role else None,
        "problem": view.problem,
    }


def _link(survey: Survey, node: NodeSurvey) -> str:
    """Say in a word how a node is: up, promotable, syncing, loading, down or silent."""
    view = node.view
    if view.role is None:
        return "silent"
    if view.loading:
        return "loading"
    if view.role == "master":
        return "up" if node.address == survey.master else "not named"
    if view.syncing:
        return "syncing"
    if not view.link_up:
        return "down"
    return "promotable" if node in promotable(survey) else "up"


def _sentinel(survey: Survey, number: int, sentinel: SentinelSurvey) -> dict[str, Any]:
    heard = survey.hearing.reports if survey.hearing else ()
    report = next((report for report in heard if report.number == number), None)
    named = sentinel.view.master
    return {
        "name": survey.name(sentinel.address),
        "address": str(sentinel.address),
        "names": survey.name(named) if named else None,
        "agrees": sentinel.answers and named == survey.master,
        "may_vote": sentinel.answers and sentinel.quorum_verdict.startswith("OK"),
        "epoch": sentinel.epoch if sentinel.answers else None,
        "takes_for_down": [survey.name(address) for address in sentinel.takes_for_down],
        "problem": sentinel.view.problem,
        "witness": None if report is None else report.status.state,
        "witness_trouble": "" if report is None else report.trouble,
    }


def _witnesses(survey: Survey) -> dict[str, Any]:
    return {
        "wanted": survey.witness_wanted,
        "listening": survey.witnesses,
        "of": len(survey.sentinels),
        "problem": survey.hearing.problem if survey.hearing else "",
    }


def _worker(known: Known) -> dict[str, Any]:
    report = known.backups.report if known.backups else BackupReport(absent=_NOT_LOOKED)
    look = known.answered
    source = _named(report.follows, look.survey) if look else report.follows
    return {**asdict(report), "follows": source}


def _named(address: str, survey: Survey) -> str:
    found = (survey.name(node.address) for node in survey.nodes if str(node.address) == address)
    return next(found, address)


def _outage(known: Known, *, now: float) -> dict[str, Any]:
    """Describe the times without a writable master, in seconds, and the last failover known."""
    course, look = known.course, known.look
    since = course.down_since
    return {
        "down_seconds": None if since is None else now - since,
        "total_seconds": course.outage_seconds + (now - course.at if since is not None else 0.0),
        "watched_seconds": now - known.began,
        "sentinels": _sentinels_word(look) if look else None,
    }


def _sentinels_word(look: Look) -> dict[str, Any] | None:
    """Say what the sentinels know of the last failover; `seconds_ago` is at least so long ago."""
    answering = look.survey.answering
    if not answering:
        return None
    epoch = max(sentinel.epoch for sentinel in answering)
    return {"epoch": epoch, "seconds_ago": max(sentinel.since_role for sentinel in answering)}


def _backups(backups: Backups | None, *, now: float) -> dict[str, Any]:
    if backups is None:
        return {"age": None, "problem": _NOT_LOOKED, "days": []}
    if isinstance(backups.snapshots, str):
        return {"age": now - backups.at, "problem": backups.snapshots, "days": []}
    interval = backups.report.interval or 3600.0
    days = calendar(backups.snapshots, now=now, interval=interval)
    return {"age": now - backups.at, "problem": "", "days": [asdict(day) for day in days]}
