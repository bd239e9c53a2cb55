"""The checklist before production, judged on what was seen and on what was done before. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from redis_ha.backup_report import BackupReport
from redis_ha.findings import Finding, State, settle
from redis_ha.readiness import is_ready, judge_readiness
from redis_ha.stats import Stats
from redis_ha.survey import Survey
from redis_ha.upkeep.record import Deed, last
from redis_ha.upkeep.watching import Watch

LEAST_SENTINELS = 3
# A test is worth so much: settings, versions and machines change.
TESTED_WITHIN = timedelta(days=92)
DOCUMENTS = ("ARCHITECTURE.md", "OPERATIONS.md", "SECURITY.md")


@dataclass(frozen=True)
class Facts:
    """All that is judged: `documents` maps the names of those that are there to their SHA-256."""

    survey: Survey
    stats: Stats
    backup: BackupReport
    watch: Watch
    deeds: Sequence[Deed]
    documents: Mapping[str, str]
    now: datetime

    def evidence(self) -> dict[str, Any]:
        """Give plain values: what the judgement rests on."""
        ready = judge_readiness(self.survey)
        return {
            "readiness": [finding.described() for finding in ready],
            "baseline": self.stats.described(),
            "versions": {
                self.survey.names.get(node.address, str(node.address)): str(
                    node.info.get("redis_version", "")
                )
                for node in self.survey.nodes
            },
            "backup": asdict(self.backup),
            "monitoring": self.watch.described(),
            "deeds": [deed.described() for deed in self.deeds],
            "documents": dict(self.documents),
        }


def judge_checklist(facts: Facts) -> tuple[Finding, ...]:
    """Judge every item; one or more findings each, in the guide's order."""
    sentinels = facts.survey.sentinels
    return (
        *settle("sentinels", list(_sentinels(facts)), fine=f"{len(sentinels)} answer"),
        *settle("quorum", list(_quorum(facts)), fine="a majority, and a failover would work now"),
        _tested(facts, "partition tested", "partition"),
        _tested(facts, "failover verified", "crash"),
        *settle("monitoring", list(_monitoring(facts.watch)), fine=_scraped(facts.watch)),
        *settle("alerts", list(_alerts(facts.watch)), fine=_alerting(facts.watch)),
        *settle("backup", list(_backup(facts.backup)), fine=f"{facts.backup.snapshot}"),
        *settle("recovery tested", list(_recovery(facts.backup)), fine="the last was loaded whole"),
        *settle("baselines", list(_baselines(facts.stats)), fine=_measured(facts.stats)),
        *settle("documents", list(_documents(facts)), fine=", ".join(DOCUMENTS)),
    )


def is_passed(findings: Sequence[Finding]) -> bool:
    """Say whether every item is fine; what can't be known isn't."""
    return all(finding.state in (State.OK, State.WARNING) for finding in findings)


def _bad(check: str, reason: str, *, remedy: str) -> Finding:
    return Finding(check, State.BAD, reason, remedy)


def _sentinels(facts: Facts) -> Iterator[Finding]:
    known, answering = facts.survey.sentinels, facts.survey.answering
    if len(known) < LEAST_SENTINELS or len(known) % 2 == 0:
        remedy = "run three, or another odd number above"
        yield _bad("sentinels", f"there are {len(known)}", remedy=remedy)
    if len(answering) < len(known):
        reason = f"{len(answering)} of {len(known)} answer"
        yield _bad("sentinels", reason, remedy="see `redis-ha status`")


def _quorum(facts: Facts) -> Iterator[Finding]:
    majority = len(facts.survey.sentinels) // 2 + 1
    quorums = {sentinel.quorum for sentinel in facts.survey.answering}
    if quorums and min(quorums) < majority:
        reason = f"{min(quorums)} of {len(facts.survey.sentinels)} may call the master down"
        yield _bad("quorum", reason, remedy=f"set it to {majority}")
    troubles = judge_readiness(facts.survey)
    if not is_ready(troubles):
        worst = next(t for t in troubles if t.state not in (State.OK, State.WARNING))
        reason = f"a failover would not work now: {worst.check}: {worst.reason}"
        yield _bad("quorum", reason, remedy="see `redis-ha ready`")


def _tested(facts: Facts, check: str, fault: str) -> Finding:
    """Judge by the newest test: one that failed since isn't made good by an older one."""
    how = f"run `redis-ha failover-test --fault {fault}`"
    deed = last(facts.deeds, f"failover-test {fault}")
    if deed is None:
        return _bad(check, "there is no record of it", remedy=how)
    when = f"{deed.at:%Y-%m-%d}: {deed.evidence}"
    if not deed.passed:
        return _bad(check, f"it failed on {when}", remedy=f"find out why, then {how}")
    if facts.now - deed.at > TESTED_WITHIN:
        return _bad(check, f"more than {TESTED_WITHIN.days} days ago, on {when}", remedy=how)
    return Finding(check, State.OK, when)


def _monitoring(watch: Watch) -> Iterator[Finding]:
    remedy = "name it with --prometheus URL; the stack's setting `monitoring` brings one"
    if watch.problem:
        yield Finding("monitoring", State.UNKNOWN, watch.problem, remedy)
    elif watch.down or not watch.targets:
        reason = f"not scraped: {', '.join(watch.down) or 'nothing is'}"
        yield _bad("monitoring", reason, remedy="see its page, Status, Targets")


def _alerts(watch: Watch) -> Iterator[Finding]:
    if watch.problem:
        yield Finding("alerts", State.UNKNOWN, watch.problem)
        return
    if not watch.rules:
        yield _bad("alerts", "there is no rule", remedy="load monitoring/prometheus/rules")
    if not watch.managers:
        yield _bad("alerts", "they go nowhere", remedy="give Prometheus an Alertmanager")
    if watch.firing:
        reason = f"firing now: {', '.join(watch.firing)}"
        yield Finding("alerts", State.WARNING, reason, "see what each is about")


def _backup(backup: BackupReport) -> Iterator[Finding]:
    if backup.absent:
        yield Finding("backup", State.UNKNOWN, backup.absent, "set a backup up")
        return
    for trouble in backup.troubles:
        yield _bad("backup", trouble, remedy="see `backup-worker status`")
    if backup.snapshot is None:
        yield _bad("backup", "there is no snapshot", remedy="see `backup-worker status`")


def _recovery(backup: BackupReport) -> Iterator[Finding]:
    if backup.absent:
        yield Finding("recovery tested", State.UNKNOWN, backup.absent)
    elif backup.proof_age is None:
        reason = "no snapshot was read back and loaded"
        yield _bad("recovery tested", reason, remedy="run `backup-worker verify latest`")
    elif backup.interval and backup.proof_age > 2 * backup.interval:
        reason = f"the last was {backup.proof_age / 3600:.1f} h ago"
        yield _bad("recovery tested", reason, remedy="see `backup-worker status`")


def _baselines(stats: Stats) -> Iterator[Finding]:
    if stats.availability < 1.0 or not stats.latency.samples:
        reason = stats.problem or "no round trip could be measured"
        yield _bad("baselines", reason, remedy="see `redis-ha stats`")


def _documents(facts: Facts) -> Iterator[Finding]:
    missing = [name for name in DOCUMENTS if name not in facts.documents]
    if missing:
        remedy = "name their folder with --documents FOLDER"
        yield _bad("documents", f"not there: {', '.join(missing)}", remedy=remedy)


def _scraped(watch: Watch) -> str:
    return f"{watch.targets} targets, all up"


def _alerting(watch: Watch) -> str:
    return f"{watch.rules} rules, to {watch.managers} Alertmanager"


def _measured(stats: Stats) -> str:
    took = stats.latency
    if took.p50 is None or took.p99 is None:
        return "nothing was measured"
    return f"p50 {took.p50:.2f} ms, p99 {took.p99:.2f} ms in {took.samples} round trips"
