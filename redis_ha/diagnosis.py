"""The troubleshooting guide as checks, each with reason and remedy. Pure: survey to findings."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from redis_ha.findings import Finding, State, settle
from redis_ha.readiness import judge_readiness
from redis_ha.releases import engine_of, unmaintained
from redis_ha.survey import Denial, NodeSurvey, Survey

MiB = 1 << 20
# Below it a second failover followed 4 of 12 crashes and lost acknowledged writes.
SAFE_DOWN_AFTER = 2.0
SLOW_DOWN_AFTER = 30.0
SLOW_FAILOVER_TIMEOUT = 180.0
# Seconds two clocks may differ: certificates, TTLs of replicated keys and logs depend on them.
SKEW = 1.0
MEMORY_SHARE, CLIENTS_SHARE = 0.9, 0.8
# Small servers always look fragmented: RSS of the process against little data.
FRAGMENTATION, FRAGMENTED_BYTES = 1.5, 100 * MiB
LEAST_BACKLOG = 16 * MiB
EXPIRES_SOON, EXPIRES_NOW = 30.0, 7.0
SPIKE_MS = 100
# A client says which library it is, and goes on without: stock ones do so at every sentinel. Redis
# 7.0 doesn't know the command, so no user file that it is to read can allow it.
_REFUSED_TO_NOBODYS_HARM = frozenset({"client|setinfo"})
# A denial older than this is history.
DENIAL_SECONDS = 3600.0

Check = Callable[[Survey], Iterator[Finding]]


def diagnose(survey: Survey) -> tuple[Finding, ...]:
    """Run every check; one finding at least for each."""
    own = [
        finding
        for name, (check, fine) in CHECKS.items()
        for finding in settle(name, list(check(survey)), fine=fine)
    ]
    readiness = [f for f in judge_readiness(survey) if f.check in _FROM_READINESS]
    return (*own, *readiness)


_FROM_READINESS = frozenset(
    {"agreement", "peers", "entries", "peer rights", "node rights", "witnesses"}
)


def _found(check: str, state: State, subject: str, reason: str, *, remedy: str) -> Finding:
    return Finding(check, state, reason, remedy, subject)


def _alive(survey: Survey) -> Iterator[tuple[str, NodeSurvey]]:
    return ((survey.name(n.address), n) for n in survey.nodes if n.view.role is not None)


def _reach(survey: Survey) -> Iterator[Finding]:
    silent = [(n.address, n.view.problem) for n in survey.nodes if n.view.role is None]
    silent += [(s.address, s.view.problem) for s in survey.sentinels if not s.answers]
    for address, problem in silent:
        yield _found(
            "ports",
            State.BAD,
            survey.name(address),
            f"{address} can't be used from here: {problem}",
            remedy="start it; is the port published and the route there? (REDIS_HOST_OVERRIDE)",
        )


def _masters(survey: Survey) -> Iterator[Finding]:
    if len(survey.masters) > 1:
        names = ", ".join(survey.name(node.address) for node in survey.masters)
        yield _found(
            "split brain",
            State.BAD,
            "",
            f"{names} say they are master",
            remedy="if no failover runs: REPLICAOF the one that the sentinels name, on the others",
        )
    if not survey.masters:
        yield _found(
            "split brain", State.BAD, "", "nobody says it is master", remedy="start a data node"
        )


def _memory(survey: Survey) -> Iterator[Finding]:
    for name, node in _alive(survey):
        used, limit = node.number("used_memory"), node.number("maxmemory")
        if not limit:
            yield _found(
                "memory",
                State.WARNING,
                name,
                "has no maxmemory: the data grows until the kernel kills it",
                remedy="set maxmemory",
            )
        elif used > MEMORY_SHARE * limit:
            policy = node.info.get("maxmemory_policy", "?")
            yield _found(
                "memory",
                State.WARNING,
                name,
                f"uses {used / limit:.0%} of maxmemory, policy {policy}",
                remedy="raise maxmemory, or delete keys; with noeviction writes will be refused",
            )
        ratio, rss = node.number("mem_fragmentation_ratio"), node.number("used_memory_rss")
        if ratio > FRAGMENTATION and rss > FRAGMENTED_BYTES:
            yield _found(
                "memory",
                State.WARNING,
                name,
                f"fragmentation {ratio:.1f}: {rss / MiB:.0f} MiB for {used / MiB:.0f} MiB of data",
                remedy="MEMORY PURGE, activedefrag yes, or restart it as a replica",
            )


def _timing(survey: Survey) -> Iterator[Finding]:
    for sentinel in survey.answering:
        name, view = survey.name(sentinel.address), sentinel.view
        if view.down_after < SAFE_DOWN_AFTER:
            yield _found(
                "failover timing",
                State.WARNING,
                name,
                f"down-after {view.down_after:g} s: a new master may be taken for down at once",
                remedy="set it to 2000 ms or more",
            )
        if view.down_after > SLOW_DOWN_AFTER:
            yield _found(
                "failover timing",
                State.WARNING,
                name,
                f"down-after {view.down_after:g} s: so long a crash stays unnoticed"
                " (also left behind by an interrupted restore)",
                remedy="set it to 5000 ms; `backup-worker restore --resume` ends a restore",
            )
        if view.failover_timeout > SLOW_FAILOVER_TIMEOUT:
            yield _found(
                "failover timing",
                State.WARNING,
                name,
                f"failover-timeout {view.failover_timeout:g} s: a failed one is repeated only"
                " after twice that",
                remedy="set it to 60000 ms",
            )
    settings = {(s.view.down_after, s.view.failover_timeout, s.quorum) for s in survey.answering}
    if len(settings) > 1:
        yield _found(
            "failover timing",
            State.WARNING,
            "",
            "the sentinels have different settings",
            remedy="SENTINEL SET on each, or `pulumi up`",
        )


def _fencing(survey: Survey) -> Iterator[Finding]:
    for name, node in _alive(survey):
        needed = int(node.config.get("min-replicas-to-write", 0))
        lag = int(node.config.get("min-replicas-max-lag", 10))
        down_after = min((s.view.down_after for s in survey.answering), default=0.0)
        if not needed:
            yield _found(
                "fencing",
                State.WARNING,
                name,
                "min-replicas-to-write 0: an isolated master accepts writes that will be lost",
                remedy="set it to 1",
            )
        elif down_after and lag >= down_after:
            yield _found(
                "fencing",
                State.WARNING,
                name,
                f"min-replicas-max-lag {lag} s is not below down-after {down_after:g} s:"
                " two masters take writes at once",
                remedy="lower it",
            )


def _clocks(survey: Survey) -> Iterator[Finding]:
    skews = {name: node.skew for name, node in _alive(survey)}
    if not skews:
        return
    middle = sorted(skews.values())[len(skews) // 2]
    for name, skew in skews.items():
        if abs(skew - middle) > SKEW:
            yield _found(
                "clocks",
                State.WARNING,
                name,
                f"its clock is {skew - middle:+.1f} s off the others'",
                remedy="run an NTP client on every host",
            )
    if abs(middle) > SKEW:
        yield _found(
            "clocks",
            State.WARNING,
            "",
            f"the nodes' clocks are {middle:+.1f} s off this machine's",
            remedy="check this machine's clock",
        )


def _certificates(survey: Survey) -> Iterator[Finding]:
    for address, days in survey.certificates.items():
        name = survey.name(address)
        if isinstance(days, str):
            if "certificate" in days:
                yield _found("certificates", State.BAD, name, days, remedy="renew: `pulumi up`")
        elif days < EXPIRES_SOON:
            state = State.BAD if days < EXPIRES_NOW else State.WARNING
            text = f"its certificate expires in {days:.1f} days"
            if days < 0:
                text = f"its certificate has expired {-days:.1f} days ago"
            yield _found("certificates", state, name, text, remedy="renew it: `pulumi up`")


def _backlog(survey: Survey) -> Iterator[Finding]:
    for name, node in _alive(survey):
        size = int(node.config.get("repl-backlog-size", LEAST_BACKLOG))
        if size < LEAST_BACKLOG:
            yield _found(
                "replication buffers",
                State.WARNING,
                name,
                f"repl-backlog-size {size >> 20} MiB: a short absence costs a full resync",
                remedy="set it to 64mb",
            )
        refused = node.number("sync_partial_err")
        full = node.number("sync_full")
        if refused and full > 10:
            yield _found(
                "replication buffers",
                State.WARNING,
                name,
                f"{full:.0f} full resyncs, {refused:.0f} partial ones refused",
                remedy="raise repl-backlog-size and the replica client-output-buffer-limit",
            )


def _clients(survey: Survey) -> Iterator[Finding]:
    for name, node in _alive(survey):
        count, limit = node.number("connected_clients"), node.number("maxclients", 10_000)
        if count > CLIENTS_SHARE * limit:
            text = f"{count:.0f} of {limit:.0f} connections are in use"
            remedy = "raise maxclients, or lower REDIS_MAX_CONNECTIONS of the clients"
            yield _found("connections", State.WARNING, name, text, remedy=remedy)
        if rejected := node.number("rejected_connections"):
            text = f"refused {rejected:.0f} connections since its start"
            yield _found("connections", State.WARNING, name, text, remedy="raise maxclients")


def _persistence(survey: Survey) -> Iterator[Finding]:
    for name, node in _alive(survey):
        if node.config.get("appendonly", "yes") != "yes" and not node.config.get("save"):
            yield _found(
                "persistence",
                State.BAD,
                name,
                "neither AOF nor RDB: a restart empties it",
                remedy="appendonly yes",
            )
        failed = [
            what
            for what, field in (
                ("RDB save", "rdb_last_bgsave_status"),
                ("AOF rewrite", "aof_last_bgrewrite_status"),
                ("AOF write", "aof_last_write_status"),
            )
            if node.info.get(field, "ok") != "ok"
        ]
        for what in failed:
            text = f"the last {what} failed"
            remedy = "see its log: disk full, or no memory for the fork (vm.overcommit_memory=1)"
            yield _found("persistence", State.BAD, name, text, remedy=remedy)


def _latency(survey: Survey) -> Iterator[Finding]:
    for name, node in _alive(survey):
        for event, worst in node.spikes.items():
            if worst >= SPIKE_MS:
                text = f"spikes of up to {worst} ms at {event}"
                remedy = "see LATENCY DOCTOR and SLOWLOG GET; then LATENCY RESET"
                yield _found("latency", State.WARNING, name, text, remedy=remedy)


def _denials(survey: Survey) -> Iterator[Finding]:
    members = [(s.address, s.denials) for s in survey.sentinels]
    members += [(n.address, n.denials) for n in survey.nodes]
    for address, denials in members:
        for denial in denials:
            if denial.age <= DENIAL_SECONDS and denial.what not in _REFUSED_TO_NOBODYS_HARM:
                yield _denial(survey.name(address), denial)


def _denial(name: str, denial: Denial) -> Finding:
    what = "a wrong login" if denial.reason == "auth" else f"{denial.reason} {denial.what!r}"
    return _found(
        "ACL denials",
        State.WARNING,
        name,
        f"{denial.user!r} was refused {denial.count} times, last {denial.age:.0f} s ago: {what}",
        remedy="give the user that right, or find who uses it wrongly; then ACL LOG RESET",
    )


def _engines(survey: Survey) -> Iterator[Finding]:
    """By each node's own clock: it is the one that certificates and TTLs go by as well."""
    for name, node in _alive(survey):
        seconds = node.number("server_time_usec") / 1e6
        if not seconds:
            continue
        today = datetime.fromtimestamp(seconds, UTC).date()
        if text := unmaintained(*engine_of(node.info), today=today):
            remedy = "choose a newer `engine` (OPERATIONS.md, Engines and their versions)"
            yield _found("engine", State.WARNING, name, text, remedy=remedy)


def _priorities(survey: Survey) -> Iterator[Finding]:
    priorities = {name: n.config.get("replica-priority", "100") for name, n in _alive(survey)}
    if len(set(priorities.values())) > 1:
        text = ", ".join(f"{name} {priority}" for name, priority in priorities.items())
        yield _found(
            "priorities",
            State.WARNING,
            "",
            f"replica priorities differ: {text}; the lowest is promoted first, 0 never",
            remedy="if nobody meant it (an interrupted `failover --to`): CONFIG SET"
            " replica-priority 100, CONFIG REWRITE",
        )


CHECKS: dict[str, tuple[Check, str]] = {
    "ports": (_reach, "every member answers"),
    "split brain": (_masters, "one master"),
    "failover timing": (_timing, "down-after and failover-timeout are sound"),
    "fencing": (_fencing, "an isolated master stops taking writes in time"),
    "priorities": (_priorities, "all replicas have the same priority"),
    "memory": (_memory, "enough below maxmemory, not fragmented"),
    "connections": (_clients, "enough below maxclients"),
    "replication buffers": (_backlog, "large enough"),
    "persistence": (_persistence, "on, and the last saves went well"),
    "latency": (_latency, "no spikes on record"),
    "clocks": (_clocks, "within a second of each other"),
    "certificates": (_certificates, "none expires within 30 days"),
    "ACL denials": (_denials, "none in the last hour"),
    "engine": (_engines, "every node runs one that is still fixed"),
}
