"""The checklist before production, judged on what was seen and on what was done before. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from redis_ha.backup_report import BackupReport, Snapshot
from redis_ha.findings import Finding, State, bad, settle
from redis_ha.readiness import is_ready, judge_readiness
from redis_ha.stats import Stats
from redis_ha.survey import Survey
from redis_ha.upkeep.documents import DOCUMENTS, Document, judge_documents
from redis_ha.upkeep.identity import identity_of
from redis_ha.upkeep.monitoring import alerting, judge_alerts, judge_monitoring, scraped
from redis_ha.upkeep.record import Deed, credible, dated_ahead, last
from redis_ha.upkeep.recovery import judge_backup, judge_recovery, proven_text
from redis_ha.upkeep.watching import Watch

LEAST_SENTINELS = 3
# A test is worth so much: settings, versions and machines change.
TESTED_WITHIN = timedelta(days=92)


@dataclass(frozen=True)
class Facts:
    """All that is judged; `snapshots` is a text where they can't be known.

    `recorded` says whether a report keeps what was found.
    """

    survey: Survey
    stats: Stats
    backup: BackupReport
    snapshots: Sequence[Snapshot] | str
    watch: Watch
    deeds: Sequence[Deed]
    documents: Mapping[str, Document]
    now: datetime
    recorded: bool

    def evidence(self) -> dict[str, Any]:
        """Give plain values: what the judgement rests on."""
        ready = judge_readiness(self.survey)
        return {
            "identity": list(identity_of(self.survey)),
            "readiness": [finding.described() for finding in ready],
            "baseline": self.stats.described(),
            "versions": {
                self.survey.names.get(node.address, str(node.address)): str(
                    node.info.get("redis_version", "")
                )
                for node in self.survey.nodes
            },
            "backup": asdict(self.backup),
            "recovery": proven_text(self.backup, self.snapshots, now=self.now),
            "monitoring": self.watch.described(),
            "deeds": [deed.described() for deed in self.deeds],
            "documents": {name: found.sha256 for name, found in self.documents.items()},
        }


def judge_checklist(facts: Facts) -> tuple[Finding, ...]:
    """Judge every item; one or more findings each, in the guide's order."""
    survey, watch = facts.survey, facts.watch
    proven = proven_text(facts.backup, facts.snapshots, now=facts.now)
    documents = list(judge_documents(facts.documents, watch.rules))
    return (
        *settle("sentinels", list(_sentinels(survey)), fine=f"{len(survey.sentinels)} answer"),
        *settle("quorum", list(_quorum(survey)), fine="a majority, and a failover would work now"),
        *_tested(facts, "partition tested", "partition"),
        *_tested(facts, "failover verified", "crash"),
        *settle("monitoring", list(judge_monitoring(watch, survey)), fine=scraped(watch)),
        *settle("alerts", list(judge_alerts(watch)), fine=alerting(watch)),
        *settle("backup", list(judge_backup(facts.backup)), fine=f"{facts.backup.snapshot}"),
        *settle("recovery tested", list(judge_recovery(facts.backup)), fine=proven),
        *settle("baselines", list(_baselines(facts)), fine=_measured(facts.stats)),
        *settle("documents", documents, fine=", ".join(DOCUMENTS)),
    )


def is_passed(findings: Sequence[Finding]) -> bool:
    """Say whether every item is fine; what can't be known isn't."""
    return all(finding.state in (State.OK, State.WARNING) for finding in findings)


def _sentinels(survey: Survey) -> Iterator[Finding]:
    known, answering = survey.sentinels, survey.answering
    if len(known) < LEAST_SENTINELS or len(known) % 2 == 0:
        remedy = "run three, or another odd number above"
        yield bad("sentinels", f"there are {len(known)}", remedy=remedy)
    if len(answering) < len(known):
        silent = [sentinel for sentinel in known if not sentinel.answers]
        why = ", ".join(f"{survey.name(s.address)}: {s.view.problem}" for s in silent)
        reason = f"{len(answering)} of {len(known)} answer; {why}"
        yield bad("sentinels", reason, remedy="see `redis-ha status`")


def _quorum(survey: Survey) -> Iterator[Finding]:
    majority = len(survey.sentinels) // 2 + 1
    quorums = {sentinel.quorum for sentinel in survey.answering}
    if quorums and min(quorums) < majority:
        reason = f"{min(quorums)} of {len(survey.sentinels)} may call the master down"
        yield bad("quorum", reason, remedy=f"set it to {majority}")
    troubles = judge_readiness(survey)
    if not is_ready(troubles):
        worst = next(t for t in troubles if t.state not in (State.OK, State.WARNING))
        reason = f"a failover would not work now: {worst.check}: {worst.reason}"
        yield bad("quorum", reason, remedy="see `redis-ha ready`")


def _tested(facts: Facts, check: str, fault: str) -> Iterator[Finding]:
    """Judge by the newest test: one that failed since isn't made good by an older one."""
    task = f"failover-test {fault}"
    deeds = credible(facts.deeds, now=facts.now, cluster=identity_of(facts.survey))
    how = f"run `redis-ha failover-test --fault {fault}`"
    yield _newest(last(deeds, task), check, how, facts.now)
    if ahead := last(dated_ahead(facts.deeds, now=facts.now), task):
        ended = "passed" if ahead.passed else "failed"
        when = f"{ahead.at:%Y-%m-%d %H:%M} UTC, in the future"
        reason = f"one that {ended} is dated {when}, and doesn't count"
        yield Finding(check, State.WARNING, reason, "a clock was wrong: look whether this one is")


def _newest(deed: Deed | None, check: str, how: str, now: datetime) -> Finding:
    if deed is None:
        return bad(check, "there is no record of it for this cluster", remedy=how)
    when = f"{deed.at:%Y-%m-%d}: {deed.evidence}"
    if not deed.passed:
        return bad(check, f"it failed on {when}", remedy=f"find out why, then {how}")
    if now - deed.at > TESTED_WITHIN:
        return bad(check, f"more than {TESTED_WITHIN.days} days ago, on {when}", remedy=how)
    return Finding(check, State.OK, when)


def _baselines(facts: Facts) -> Iterator[Finding]:
    stats = facts.stats
    if stats.availability < 1.0 or not stats.latency.samples:
        reason = stats.problem or "no round trip could be measured"
        yield bad("baselines", reason, remedy="see `redis-ha stats`")
    elif not facts.recorded:
        yield Finding("baselines", State.UNKNOWN, "measured, not recorded", "give --report FOLDER")


def _measured(stats: Stats) -> str:
    took = stats.latency
    if took.p50 is None or took.p99 is None:
        return "nothing was measured"
    return f"p50 {took.p50:.2f} ms, p99 {took.p99:.2f} ms in {took.samples} round trips"
