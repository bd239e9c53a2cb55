"""A live server's data into the cluster, without one acknowledged write lost.

1. A scratch server beside the worker replicates from the source, which serves as before.
2. As in a live restore (restore/live.py) the data nodes become replicas of the scratch server:
   what is written to the source now arrives in the cluster.
3. The switch: the source's writes are held back, the last of them arrive, every offset is equal;
   then the source is closed and the master is a master again.

Until the source is closed everything is taken back by itself after a failure; after a kill the
source's writes go on within 20 s, and `resume` or `undo` bring the cluster back in order.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

import redis

from backup_worker import memory
from backup_worker.adopt import conditions
from backup_worker.adopt.bridge import SourceBridge
from backup_worker.adopt.conditions import Bridge, Cluster, Finding
from backup_worker.adopt.source import Source, SourceState, ask, functions_of, modules_of
from backup_worker.errors import BackupError, ClusterUnreachable, RefusedForSafety
from backup_worker.progress import Report, ignore
from backup_worker.proving import scratch
from backup_worker.restore import decision, live
from backup_worker.restore import journal as journals
from backup_worker.restore.absent import ways_on
from backup_worker.restore.conditions import cluster_trouble
from backup_worker.restore.journal import Journal, SourceBefore, Stage
from backup_worker.restore.loader import Target
from backup_worker.restore.runner import OldDataGone, Runner, Stuck
from backup_worker.restore.survey import Seen, look
from redis_ha import discovery
from redis_ha.connection import Address
from redis_ha.errors import RedisHaError

RESUME_OR_UNDO = "`redis-ha adopt --resume` finishes it, `redis-ha adopt --undo` takes it back"


@dataclass(frozen=True)
class Plan:
    """What would be done, and what was found for and against it."""

    source: Source
    state: SourceState
    master: Address
    seen: Seen
    empty: bool
    databases: int
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class Outcome:
    """A finished adoption; `seconds` by phase, `paused` how long (s) the source's writes rested.

    None for `paused` where the source was closed by an earlier run.
    """

    source: str
    master: Address
    keys: int
    safety_snapshot: str | None
    full_syncs: int | None
    paused: float | None
    seconds: dict[str, float]


def prepare(target: Target, source: Source, *, replace: bool, copied: int = 0) -> Plan:
    """Look at both sides and judge; touches nothing. Raises ClusterUnreachable.

    `copied` (bytes) is what the server in between takes already.
    Raises RefusedForSafety where a restore or an adoption is open already.
    """
    live.require_no_open_restore(target.state)
    try:
        master = discovery.find_master(target.access)
        nodes = sorted({master, *discovery.replica_addresses(target.access)})
    except RedisHaError as error:
        raise ClusterUnreachable(
            operation=error.operation, subject=error.subject, cause=error.cause, hint=error.hint
        ) from error
    state = ask(source)
    seen = look(target.access, nodes, scratch=lambda: None)
    cluster = _cluster(target, seen, master)
    bridge = Bridge(scratch.find_binary(), memory.available(), copied)
    found = conditions.findings(state, cluster, bridge, replace=replace)
    troubles = cluster_trouble(seen, master)
    found += [Finding("cluster", conditions.Level.REFUSED, text) for text in troubles]
    databases = min(node.databases for node in seen.nodes)
    return Plan(source, state, master, seen, cluster.empty, databases, tuple(found))


def adopt(
    target: Target,
    plan: Plan,
    *,
    safety_snapshot: Callable[[Report], str],
    now: datetime,
    report: Report = ignore,
) -> Outcome:
    """Carry a plan out; the caller holds the lock (journal.exclusive). Raises BackupError.

    `safety_snapshot` takes one and returns its id; it is asked where the cluster holds data.
    """
    conditions.require_none_refused(plan.findings, subject=str(plan.source.address))
    with SourceBridge(target, plan.source, plan.databases, plan.state.run_id, report) as bridge:
        safety = None if plan.empty else safety_snapshot(report)
        bridge.load()
        # Minutes may have passed: look again before a node is touched.
        plan = prepare(target, plan.source, replace=not plan.empty, copied=bridge.used_memory)
        conditions.require_none_refused(plan.findings, subject=str(plan.source.address))
        journal = begin(plan, safety, now)
        runner = _runner(target, bridge, report)
        try:
            seen = runner.finish(journal)
        except BaseException as error:
            _take_back(runner, bridge, error)
            raise
        return _outcome(journal, seen, runner, bridge)


def resume(
    target: Target,
    source: Source,
    journal: Journal,
    *,
    force: bool = False,
    report: Report = ignore,
) -> Outcome:
    """Finish an open adoption; before the switch all of it is done again.

    `force` goes on without the replicas and sentinels that do not answer.
    """
    with _bridge(target, source, journal, report) as bridge:
        runner = _runner(target, bridge, report)
        if force:
            journal = runner.leave_out_absent(journal)
        if not is_switched(journal, runner.look(journal)):
            _require_same_process(source, journal)
            journal, _ = _reopened(runner, source, journal)
        seen = runner.resume(journal)
        # It may have been restarted, and be writable, since it was closed; or be gone for good.
        with suppress(redis.RedisError, OSError):
            source.close()
        return _outcome(journal, seen, runner, bridge)


def undo(
    target: Target,
    source: Source,
    journal: Journal,
    *,
    force: bool = False,
    report: Report = ignore,
) -> str:
    """Let the source be written again and bring the cluster back; return how the source is now.

    Raises RefusedForSafety once the cluster has taken over: it may have acknowledged writes.
    `force` goes on without the replicas and sentinels that do not answer, without the source, and
    from a master that was restarted at the switch.
    """
    with _bridge(target, source, journal, report) as bridge:
        runner = _runner(target, bridge, report)
        if force:
            journal = runner.leave_out_absent(journal)
        if is_switched(journal, runner.look(journal)):
            raise RefusedForSafety(
                operation="undo the adoption of",
                subject=str(source.address),
                cause="the cluster has taken over and may have acknowledged writes since",
                hint="`redis-ha adopt --resume` finishes it",
            )
        journal, left = _reopened(runner, source, journal, force=force)
        _bring_back(runner, journal, left)
        return left


def begin(plan: Plan, safety_snapshot: str | None, now: datetime) -> Journal:
    """Write down the cluster as it is; pure."""
    source = plan.source
    journal = live.opened(
        plan.seen,
        plan.master,
        snapshot=f"source {source.address}",
        safety_snapshot=safety_snapshot,
        now=now,
        size=plan.state.used_memory,
    )
    before = SourceBefore(
        source.address,
        plan.state.run_id,
        source.ca is not None,
        source.username,
        writable_replica=bool(plan.state.writable_replica),
    )
    return replace(journal, source=before, empty=plan.empty)


def is_switched(journal: Journal, seen: Seen) -> bool:
    """Say whether the cluster's master serves the source's data as a master; pure."""
    master = seen.node(journal.master)
    return master.view.role == "master" and master.holds(journal.scratch_replids)


def may_be_closed(journal: Journal) -> bool:
    """Say whether the source may have been closed, and not been opened since; pure."""
    return journal.stage in {Stage.PROMOTE, Stage.RELEASE}


def may_reopen(journal: Journal, seen: Seen) -> bool:
    """Say whether it is sure that the cluster has not taken over; pure."""
    master = seen.node(journal.master)
    if not may_be_closed(journal):
        return True
    known = master.view.role is not None and not _is_unknown(journal, seen)
    return known and not is_switched(journal, seen)


def _is_unknown(journal: Journal, seen: Seen) -> bool:
    """A master may come back from a restart with a history of its own."""
    return decision.was_restarted_after_the_switch(journal, seen.node(journal.master))


def _cluster(target: Target, seen: Seen, master: Address) -> Cluster:
    try:
        with target.access.connect(master) as client:
            return Cluster(
                nodes=tuple(node for node in seen.nodes if node.view.role is not None),
                master=seen.node(master),
                policy=str(client.config_get("maxmemory-policy")["maxmemory-policy"]),
                modules=modules_of(client),
                functions=functions_of(client),
            )
    except (redis.RedisError, OSError) as error:
        raise ClusterUnreachable(
            operation="ask the master",
            subject=str(master),
            cause=discovery.one_line(error),
            hint="check the operator's credentials",
        ) from error


def _bridge(target: Target, source: Source, journal: Journal, report: Report) -> SourceBridge:
    seen = look(target.access, [node.address for node in journal.nodes], scratch=lambda: None)
    databases = max(node.databases for node in seen.nodes)
    run_id = "" if journal.source is None else journal.source.run_id
    return SourceBridge(target, source, databases, run_id, report)


def _runner(target: Target, bridge: SourceBridge, report: Report) -> Runner:
    return Runner(
        target.access,
        target.state,
        bridge,
        patience=target.patience,
        report=report,
        before_promote=bridge.close_source,
        operation="adopt",
        ways_on=RESUME_OR_UNDO,
    )


def _reopened(
    runner: Runner, source: Source, journal: Journal, *, force: bool = False
) -> tuple[Journal, str]:
    """Let the source be written again, and note that what the nodes hold is old from now on.

    Returns how the source is now as well.
    """
    seen = runner.look(journal)
    if not may_reopen(journal, seen) and not (force and _is_unknown(journal, seen)):
        raise _stuck(journal, *_doubt(journal, seen))
    left = _reopen(source, journal, force=force)
    journal = replace(journal, stage=Stage.HOLD)
    journals.save(journal, runner.state)
    return journal, left


def _doubt(journal: Journal, seen: Seen) -> tuple[str, str]:
    """Return why the cluster may have taken over, and what to do."""
    if not _is_unknown(journal, seen):
        return "the master does not answer: it may have taken over", "start it"
    return (
        "the master was restarted at the switch and may have acknowledged writes since",
        "see what it holds: `redis-ha adopt --undo --force` gives that up and opens the source",
    )


def _reopen(source: Source, journal: Journal, *, force: bool) -> str:
    """Open it and say so; a failure counts only where it may have been closed.

    Before that it was held back at most, which ends by itself: if it died, or the way to it did,
    that is no reason to leave the cluster between two data sets.
    """
    before = journal.source
    try:
        source.reopen(writable_replica=before is not None and before.writable_replica)
    except (redis.RedisError, OSError) as error:
        problem = discovery.one_line(error)
        if not may_be_closed(journal):
            return f"the source was not closed, and can't be asked now ({problem})"
        if force:
            return f"the source may refuse writes until it is restarted ({problem})"
        hint = f"{RESUME_OR_UNDO}; without the source: `redis-ha adopt --undo --force`"
        raise _stuck(journal, f"the source can't be opened again: {problem}", hint) from error
    return "the source is writable again"


def _require_same_process(source: Source, journal: Journal) -> None:
    before = journal.source
    if before is not None and ask(source).run_id != before.run_id:
        cause = "the source was restarted meanwhile and may have lost data"
        hint = "`redis-ha adopt --undo` takes it back; look at the source, then begin again"
        raise _stuck(journal, cause, hint)


def _bring_back(runner: Runner, journal: Journal, left: str) -> None:
    """Undo; where the old data is gone what is left to do becomes a restore of its snapshot."""
    try:
        # The master gets its own data back: no reason to close the source, or to say it was.
        replace(runner, before_promote=lambda: None, returning=True).undo(journal)
    except OldDataGone as error:
        safety = journal.safety_snapshot or ""
        journals.save(live.begun_anew(journal, safety), runner.state)
        raise _stuck(
            journal,
            f"{left}; what the cluster held is in the safety snapshot",
            f"`backup-worker restore --resume --identity FILE` loads it ({safety})",
        ) from error


def _take_back(runner: Runner, bridge: SourceBridge, error: BaseException) -> None:
    """Undo after a failure before the switch; raises what says how it ended."""
    journal = journals.load(runner.state)
    if journal is None:
        return
    cause = error.cause if isinstance(error, BackupError) else str(error) or type(error).__name__
    seen = runner.look(journal)
    if is_switched(journal, seen):
        hint = "the cluster has taken over; `redis-ha adopt --resume` finishes what is left"
        raise _stuck(journal, cause, hint) from error
    try:
        journal, left = _reopened(runner, bridge.source, journal)
        _bring_back(runner, journal, left)
    except (BackupError, redis.RedisError, OSError) as second:
        cause = f"{cause}; taking it back failed as well: {second}"
        hint = f"it is still open: {ways_on(RESUME_OR_UNDO, journal, seen)}"
        raise _stuck(journal, cause, hint) from error
    if decision.failover(journal, seen) is not None:
        raise _stuck(journal, *live.AFTER_FAILOVER) from error
    if isinstance(error, Exception):
        hint = f"it was taken back: {left}, the cluster is as before"
        raise _stuck(journal, cause, hint) from error


def _stuck(journal: Journal, cause: str, hint: str) -> Stuck:
    return Stuck(operation="adopt", subject=journal.snapshot, cause=cause, hint=hint)


def _outcome(journal: Journal, seen: Seen, runner: Runner, bridge: SourceBridge) -> Outcome:
    return Outcome(
        source=journal.snapshot,
        master=journal.master,
        keys=seen.node(journal.master).keys,
        safety_snapshot=journal.safety_snapshot,
        full_syncs=runner.full_syncs,
        paused=bridge.closed_after,
        seconds=bridge.seconds | runner.seconds,
    )
