"""Would a failover work now? Each check says why not. Pure: a survey in, findings out."""

from collections.abc import Iterator

from redis_ha.findings import Finding, State, settle
from redis_ha.survey import NodeSurvey, ReplicaEntry, SentinelSurvey, Survey
from redis_ha.witnessing import CHECK as WITNESSES
from redis_ha.witnessing import witness_troubles, witnesses_fine

# A replica further behind would lose more in a crash than an operator expects.
LAG_BYTES = 10 * 1024 * 1024
LAG_SECONDS = 10.0


def judge_readiness(survey: Survey) -> tuple[Finding, ...]:
    """Check everything that an automatic failover of the master needs."""
    return (
        *settle("quorum", list(_quorum(survey)), fine=_votes(survey)),
        *settle("agreement", list(_agreement(survey)), fine=_agreed(survey)),
        *settle("peers", list(_peers(survey)), fine="every sentinel knows and reaches each other"),
        *settle("votes", list(_votable(survey)), fine="every sentinel may vote"),
        *settle("replicas", list(_replicas(survey)), fine=_promotable_text(survey)),
        *settle("entries", list(_zombies(survey)), fine="no sentinel lists a node that is gone"),
        *settle("peer rights", list(_peer_rights(survey)), fine="the sentinels may ask each other"),
        *settle("node rights", list(_node_rights(survey)), fine="the nodes let them act"),
        *settle(WITNESSES, list(witness_troubles(survey)), fine=witnesses_fine(survey)),
    )


def is_ready(findings: tuple[Finding, ...]) -> bool:
    """Say whether nothing stands in a failover's way."""
    return all(finding.state in (State.OK, State.WARNING) for finding in findings)


def promotable(survey: Survey) -> tuple[NodeSurvey, ...]:
    """Return the replicas that every answering sentinel could promote now."""
    return tuple(
        node
        for node in survey.nodes
        if node.view.promotable
        and node.view.link_up
        and node.view.master == survey.master
        and all(_electable(sentinel, node) for sentinel in survey.answering)
    )


def _electable(sentinel: SentinelSurvey, node: NodeSurvey) -> bool:
    entry = next((r for r in sentinel.replicas if r.address == node.address), None)
    return entry is not None and entry.priority > 0 and not entry.down


def _bad(check: str, subject: str, reason: str, *, remedy: str) -> Finding:
    return Finding(check, State.BAD, reason, remedy, subject)


def _votes(survey: Survey) -> str:
    return f"{len(survey.answering)} of {len(survey.sentinels)} sentinels answer"


def _agreed(survey: Survey) -> str:
    return f"all name {survey.name(survey.master)}"


def _quorum(survey: Survey) -> Iterator[Finding]:
    count, configured = len(survey.answering), len(survey.sentinels)
    needed = max([configured // 2 + 1, *(s.quorum for s in survey.answering)])
    if count < needed:
        yield _bad(
            "quorum",
            "",
            f"{_votes(survey)}, {needed} are needed to elect a leader",
            remedy="start the sentinels that are missing",
        )
    for sentinel in survey.sentinels:
        name = survey.name(sentinel.address)
        if not sentinel.answers:
            yield Finding(
                "quorum",
                State.WARNING,
                f"no answer: {sentinel.view.problem}",
                "start it: with one more gone there may be no majority",
                name,
            )
        elif not sentinel.quorum_verdict.startswith("OK"):
            verdict = sentinel.quorum_verdict
            yield _bad("quorum", name, verdict, remedy="bring the missing sentinels back")


def _agreement(survey: Survey) -> Iterator[Finding]:
    master = survey.master
    if master is None:
        yield _bad("agreement", "", "no majority names one master", remedy="see `redis-ha status`")
        return
    for sentinel in survey.answering:
        if sentinel.view.master != master:
            yield _bad(
                "agreement",
                survey.name(sentinel.address),
                f"names {survey.name(sentinel.view.master)}, not {survey.name(master)}",
                remedy="wait for its next hello (2 s); else check that it reaches the data nodes",
            )
    if survey.leader is None:
        node = next((n for n in survey.nodes if n.address == master), None)
        said = (node.view.role or node.view.problem) if node else "not asked"
        reason = f"{survey.name(master)} is named as master, but says: {said}"
        yield _bad("agreement", survey.name(master), reason, remedy="wait for the failover to end")
    for other in survey.masters:
        if other.address != master:
            yield _bad(
                "agreement",
                survey.name(other.address),
                "says it is a master too",
                remedy="wait for the failover to end"
                if any(sentinel.view.failing_over for sentinel in survey.answering)
                else f"make it a replica: REPLICAOF {master.host} {master.port}",
            )


def _peers(survey: Survey) -> Iterator[Finding]:
    ids = {sentinel.run_id: sentinel for sentinel in survey.answering}
    for sentinel in survey.answering:
        name, known = survey.name(sentinel.address), {peer.run_id for peer in sentinel.peers}
        for run_id, other in ids.items():
            if other is not sentinel and run_id not in known:
                yield _bad(
                    "peers",
                    name,
                    f"does not know {survey.name(other.address)}",
                    remedy="check that both reach the master: they meet by its hello channel",
                )
        for peer in sentinel.peers:
            if peer.down and peer.run_id in ids:
                yield _bad(
                    "peers",
                    name,
                    f"does not reach {survey.name(peer.address)} ({','.join(sorted(peer.flags))})",
                    remedy="check the network between them and the peer's password",
                )


def _votable(survey: Survey) -> Iterator[Finding]:
    for sentinel in survey.answering:
        name = survey.name(sentinel.address)
        if sentinel.tilt:
            yield _bad(
                "votes",
                name,
                "is in TILT mode: its clock or its machine stood still",
                remedy="it ends after 30 s of quiet; check the machine's load and clock",
            )
        if sentinel.view.failing_over:
            yield _bad("votes", name, "is failing over right now", remedy="wait for its end")


def _promotable_text(survey: Survey) -> str:
    names = [survey.name(node.address) for node in promotable(survey)]
    return f"{', '.join(names)} could be promoted"


def _replicas(survey: Survey) -> Iterator[Finding]:
    fit = promotable(survey)
    near = [node for node in fit if _near(survey, node)]
    if not fit:
        yield _bad(
            "replicas",
            "",
            "no replica could be promoted",
            remedy="bring a replica back, linked to the master and with a priority above 0",
        )
    elif not near:
        yield _bad(
            "replicas",
            "",
            f"every replica is more than {LAG_BYTES >> 20} MiB or {LAG_SECONDS:.0f} s behind",
            remedy="wait for them to catch up; see `redis-ha stats`",
        )
    for node in survey.nodes:
        if node.address != survey.master and node not in fit:
            reason = _why_not(survey, node)
            remedy = "bring it back: the fewer replicas, the fewer failovers are left"
            name = survey.name(node.address)
            yield Finding("replicas", State.WARNING, reason, remedy, name)


def _near(survey: Survey, node: NodeSurvey) -> bool:
    behind, seconds = survey.lag(node)
    return behind <= LAG_BYTES and (seconds is None or seconds <= LAG_SECONDS)


def _why_not(survey: Survey, node: NodeSurvey) -> str:
    view = node.view
    if view.role is None:
        return f"no answer: {view.problem}"
    if view.role == "master":
        return "says it is a master"
    if view.master != survey.master:
        return f"follows {survey.name(view.master)}"
    if not view.link_up or view.syncing or view.loading:
        return "is not in sync with the master"
    entries = [r for s in survey.answering for r in s.replicas if r.address == node.address]
    if any(entry.priority == 0 for entry in entries):
        return "has replica-priority 0: it is never promoted"
    return "some sentinel takes it for down or does not know it"


def _zombies(survey: Survey) -> Iterator[Finding]:
    listed: dict[str, tuple[ReplicaEntry, list[str]]] = {}
    for sentinel in survey.answering:
        for entry in sentinel.replicas:
            if _is_zombie(survey, entry):
                name = survey.name(entry.address)
                listed.setdefault(name, (entry, []))[1].append(survey.name(sentinel.address))
    for name, (entry, by) in listed.items():
        yield Finding(
            "entries",
            State.BAD if not entry.down else State.WARNING,
            f"{', '.join(by)} list {name}, {_zombie_text(survey)}",
            "SENTINEL RESET on one sentinel after the other, 30 s apart, while all is healthy",
            name,
        )
    known = {sentinel.run_id for sentinel in survey.answering}
    if len(survey.answering) < len(survey.sentinels):
        return
    for sentinel in survey.answering:
        for peer in sentinel.peers:
            if peer.run_id not in known:
                yield _bad(
                    "entries",
                    survey.name(sentinel.address),
                    f"counts {peer.address} as a sentinel, which is none of this cluster",
                    remedy="SENTINEL RESET on it: a ghost raises the majority that a vote needs",
                )


def _zombie_text(survey: Survey) -> str:
    return "which is no node of this stack" if survey.complete else "which is down and silent"


def _is_zombie(survey: Survey, entry: ReplicaEntry) -> bool:
    """Say whether a listed replica is none: unknown to the stack, or silent and marked down."""
    node = next((n for n in survey.nodes if n.address == entry.address), None)
    if survey.complete:
        return node is None
    return not entry.address.port or (entry.down and (node is None or node.view.role is None))


def _peer_rights(survey: Survey) -> Iterator[Finding]:
    for sentinel in survey.answering:
        for lack in sentinel.lacks:
            yield _bad(
                "peer rights",
                survey.name(sentinel.address),
                f"the peers' user {lack.user!r} {lack.problem} here:"
                " an automatic failover would silently never happen",
                remedy="give it the rules and password of the stack (`pulumi up`), or ACL SETUSER",
            )


def _node_rights(survey: Survey) -> Iterator[Finding]:
    for node in survey.nodes:
        name = survey.name(node.address)
        for lack in node.lacks:
            yield _bad(
                "node rights",
                name,
                f"user {lack.user!r} {lack.problem} here",
                remedy="give it the rules and password of the stack (`pulumi up`), or ACL SETUSER",
            )
        for sentinel in survey.answering if node.view.role else ():
            if sentinel.run_id[:8] not in node.sentinel_users:
                yield _bad(
                    "node rights",
                    name,
                    f"{survey.name(sentinel.address)} is not connected to it",
                    remedy="check the network and the sentinels' auth-user and auth-pass",
                )
