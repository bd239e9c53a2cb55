"""Data into the live cluster without a restart, in five steps that can be taken back.

1. Load a snapshot, or an RDB file, into a scratch redis-server, which proves it; take a safety
   snapshot.
2. Hold: raise Sentinel's down-after, drop min-replicas-to-write (journal first, then act).
3. Make every data node a replica of the scratch server; one fork serves them all.
4. Make the master a master again; the others continue from it by partial resynchronisation.
5. Put the settings back, wait until the data is on disk, close the journal.

Until the master has loaded the new data a failure is taken back; after that it is finished.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path

import redis

from backup_worker.errors import BackupError, ClusterUnreachable
from backup_worker.log.plan import Replay
from backup_worker.progress import Report, ignore
from backup_worker.proving import scratch
from backup_worker.restore import conditions, decision, lost_journal
from backup_worker.restore import journal as journals
from backup_worker.restore.absent import ways_on
from backup_worker.restore.journal import (
    SHORTEST_HOLD,
    Journal,
    NodeBefore,
    Point,
    SentinelBefore,
    Stage,
)
from backup_worker.restore.loader import OpenData, ScratchLoader, Target
from backup_worker.restore.rdb_file import Restorable
from backup_worker.restore.runner import RESUME_OR_UNDO, OldDataGone, Runner, Stuck
from backup_worker.restore.survey import Seen, look
from redis_ha import discovery
from redis_ha.connection import Address
from redis_ha.errors import RedisHaError

_BYTES_PER_HELD_MILLISECOND = 1000
# The phase of that name in progress and seconds.
SAFETY_SNAPSHOT = "safety snapshot"
# Cause and hint when Sentinel was told to fail over by somebody else.
AFTER_FAILOVER = (
    "a failover happened meanwhile and Sentinel gave the cluster another master",
    "the settings were put back; look at what the new master holds, then restore again",
)


@dataclass(frozen=True)
class Plan:
    """What would be done: with which data, the master, the cluster now, nodes left out (--force).

    `replay` is the log up to the wanted point; None for the snapshot as it is.
    """

    data: Restorable
    master: Address
    seen: Seen
    missing: tuple[Address, ...]
    replay: Replay | None = None

    @property
    def keys(self) -> int:
        """How many keys the master holds now: those that are replaced."""
        return self.seen.node(self.master).keys

    @property
    def point(self) -> Point | None:
        """Where the replay ends; None where nothing is replayed."""
        replay = self.replay
        return Point(replay.replid, replay.offset) if replay and replay.pieces else None

    @property
    def size(self) -> int:
        """Bytes to load, plain."""
        return self.data.rdb.size + (self.replay.size if self.replay else 0)


@dataclass(frozen=True)
class Outcome:
    """A finished restore; `seconds` by phase.

    `snapshot` is None when the data from before was brought back; `full_syncs` counts replicas
    that could not go on by partial resynchronisation, None when the switch was made earlier;
    `left_out` names whom it went on without (--force).
    """

    snapshot: str | None
    safety_snapshot: str | None
    master: Address
    keys: int
    full_syncs: int | None
    seconds: dict[str, float]
    point: Point | None = None
    left_out: tuple[str, ...] = ()


def prepare(target: Target, data: Restorable, *, force: bool, replay: Replay | None = None) -> Plan:
    """Look at the cluster and refuse with every reason against; touches nothing.

    Raises ClusterUnreachable, RefusedForSafety.
    """
    require_no_open_restore(target.state)
    master, nodes = _members(target)
    seen = look(target.access, nodes, scratch=lambda: None)
    place = conditions.Place(scratch.find_binary(), _free_bytes(target.state))
    reasons = conditions.reasons_against(
        seen,
        data,
        master=master,
        place=place,
        force=force,
        log_bytes=replay.size if replay else 0,
    )
    conditions.require_none(reasons, snapshot=data.id)
    missing = tuple(node.address for node in seen.nodes if node.view.role is None)
    return Plan(data, master, seen, missing, replay)


def require_no_open_restore(state: Path) -> None:
    """Raise RefusedForSafety when an earlier restore was neither finished nor undone."""
    journal = journals.load(state)
    if journal is not None:
        since = f"{journal.started_at:%Y-%m-%d %H:%M:%S %Z}"
        kind, ways_on = "a restore", RESUME_OR_UNDO
        if journal.source is not None:
            kind = "an adoption"
            ways_on = "`redis-ha adopt --resume` finishes it, `redis-ha adopt --undo` takes it back"
        reason = f"{kind} begun {since} is still open at `{journal.stage}`: {ways_on}"
        conditions.require_none([reason], snapshot=journal.snapshot)


def restore(
    target: Target,
    plan: Plan,
    *,
    open_data: OpenData,
    safety_snapshot: Callable[[Report], str] | None,
    now: datetime,
    force: bool = False,
    report: Report = ignore,
) -> Outcome:
    """Carry a plan out. The caller holds the lock (journal.exclusive).

    `safety_snapshot` takes one and returns its id. A failure before the master holds the new
    data is taken back.
    """
    snapshot = plan.data.id
    with ScratchLoader(target, snapshot, plan.master, open_data, report, plan.point) as loader:
        loader.load()
        too_large = conditions.memory_trouble(loader.state(), plan.seen.nodes)
        conditions.require_none(too_large, snapshot=snapshot)
        safety = None
        if safety_snapshot is not None:
            take = partial(safety_snapshot, report)
            safety = loader.timed(SAFETY_SNAPSHOT, take)
        # Minutes may have passed: look again before anything is touched.
        plan = prepare(target, plan.data, force=force, replay=plan.replay)
        journal = begin(plan, safety, now)
        runner = _runner(target, loader, report, size=plan.data.rdb.size)
        try:
            seen = runner.finish(journal)
        except BaseException as error:
            _take_back(runner, error, force=force)
            raise
        return _outcome(journal, seen, runner, loader)


def resume(
    target: Target,
    journal: Journal,
    *,
    open_data: OpenData | None,
    force: bool = False,
    report: Report = ignore,
) -> Outcome:
    """Finish an open restore; loads the snapshot again only where that is still needed.

    `force` goes on without the replicas and sentinels that do not answer.
    """
    with ScratchLoader(
        target, journal.snapshot, journal.master, open_data, report, journal.point
    ) as loader:
        runner = _runner(target, loader, report)
        if force:
            journal = runner.leave_out_absent(journal)
        return _outcome(journal, runner.resume(journal), runner, loader)


def undo(
    target: Target,
    journal: Journal,
    *,
    open_data: OpenData | None,
    force: bool = False,
    report: Report = ignore,
) -> Outcome:
    """Take an open restore back; where the old data is gone, by loading the safety snapshot.

    The latter only with `open_data`; else raises OldDataGone, which says so. `force`: see `resume`.
    """
    with ScratchLoader(target, journal.snapshot, journal.master, None, report) as loader:
        runner = _runner(target, loader, report)
        if force:
            journal = runner.leave_out_absent(journal)
        try:
            seen = runner.undo(journal)
            if decision.failover(journal, seen) is not None:
                raise _failed(journal, *AFTER_FAILOVER)
            return replace(_outcome(journal, seen, runner, loader), snapshot=None, point=None)
        except OldDataGone:
            if open_data is None or journal.safety_snapshot is None:
                raise
    journal = begun_anew(journal, journal.safety_snapshot)
    journals.save(journal, target.state)
    outcome = resume(target, journal, open_data=open_data, force=force, report=report)
    return replace(outcome, left_out=_texts(runner.left_out) + outcome.left_out)


def see_lost(target: Target) -> tuple[Address, Seen]:
    """Look at what a restore whose journal is lost has left: the master and the cluster.

    Raises ClusterUnreachable, RefusedForSafety where nothing is left or it must not be touched.
    """
    master, nodes = _members(target)
    seen = look(target.access, nodes, scratch=lambda: None)
    conditions.require_none(lost_journal.reasons_against(seen, master), snapshot=lost_journal.NAME)
    return master, seen


def undo_lost(
    target: Target, *, down_after: int, min_replicas: int, now: datetime, report: Report = ignore
) -> Outcome:
    """Bring the cluster in order after a restore whose journal is lost, by settings that are told.

    It holds what its master holds now. The journal written here is an ordinary one: killed, this
    is gone on with by --undo.
    """
    master, seen = see_lost(target)
    journal = lost_journal.journal_of(
        seen, master, down_after=down_after, min_replicas=min_replicas, now=now
    )
    outcome = undo(target, journal, open_data=None, force=True, report=report)
    return replace(outcome, snapshot=lost_journal.NAME)


def begin(plan: Plan, safety_snapshot: str | None, now: datetime) -> Journal:
    """Write down the cluster as it is; pure."""
    journal = opened(
        plan.seen,
        plan.master,
        snapshot=plan.data.id,
        safety_snapshot=safety_snapshot,
        now=now,
        size=plan.size,
    )
    return replace(journal, point=plan.point)


def begun_anew(journal: Journal, safety_snapshot: str) -> Journal:
    """Return the journal of restoring what was there before; pure.

    Nothing is switched yet: whatever the master holds, restarted or not, is to be replaced.
    """
    return replace(
        journal,
        snapshot=safety_snapshot,
        stage=Stage.HOLD,
        point=None,
        source=None,
        scratch_replids=(),
    )


def opened(
    seen: Seen,
    master: Address,
    *,
    snapshot: str,
    safety_snapshot: str | None,
    now: datetime,
    size: int,
) -> Journal:
    """Return the journal of what is about to begin; `size` (bytes) is what each node loads."""
    nodes = [node for node in seen.nodes if node.view.role is not None]
    return Journal(
        snapshot=snapshot,
        safety_snapshot=safety_snapshot,
        started_at=now,
        stage=Stage.HOLD,
        master=master,
        nodes=tuple(
            NodeBefore(node.address, node.view.run_id, node.view.replid, node.min_replicas)
            for node in nodes
        ),
        sentinels=tuple(SentinelBefore(one.address, one.down_after) for one in seen.sentinels),
        config_epoch=seen.sentinels[0].config_epoch,
        hold=SHORTEST_HOLD + size // _BYTES_PER_HELD_MILLISECOND,
    )


def _members(target: Target) -> tuple[Address, list[Address]]:
    """Return the master and all data nodes, as the sentinels name them."""
    try:
        master = discovery.find_master(target.access)
        replicas = discovery.replica_addresses(target.access)
    except RedisHaError as error:
        raise ClusterUnreachable(
            operation=error.operation, subject=error.subject, cause=error.cause, hint=error.hint
        ) from error
    return master, sorted({master, *replicas})


def _runner(
    target: Target, loader: ScratchLoader, report: Report, *, size: int | None = None
) -> Runner:
    return Runner(
        target.access,
        target.state,
        loader,
        patience=target.patience,
        size=size,
        report=report,
    )


def _take_back(runner: Runner, error: BaseException, *, force: bool) -> None:
    """Undo after a failure where the old data is still there; else leave the journal open.

    Raises an error that says which of the two it was; an interruption stays one.
    """
    journal = journals.load(runner.state)
    if journal is None:
        return
    cause = error.cause if isinstance(error, BackupError) else str(error) or type(error).__name__
    seen = runner.look(journal)
    moved = decision.failover(journal, seen) is not None
    if not (moved or decision.is_intact(journal, seen.node(journal.master))):
        raise _failed(journal, cause, _still_open(journal, seen)) from error
    try:
        runner.undo(runner.leave_out_absent(journal) if force else journal)
    except (BackupError, redis.RedisError, OSError) as second:
        cause = f"{cause}; taking it back failed as well: {second}"
        raise _failed(journal, cause, _still_open(journal, seen)) from error
    if moved:
        raise _failed(journal, *AFTER_FAILOVER) from error
    if isinstance(error, Exception):
        hint = "it was taken back: the cluster holds the data from before"
        raise _failed(journal, cause, hint) from error


def _still_open(journal: Journal, seen: Seen) -> str:
    return f"the restore is still open: {ways_on(RESUME_OR_UNDO, journal, seen)}"


def _failed(journal: Journal, cause: str, hint: str) -> Stuck:
    return Stuck(operation="restore", subject=journal.snapshot, cause=cause, hint=hint)


def _outcome(journal: Journal, seen: Seen, runner: Runner, loader: ScratchLoader) -> Outcome:
    return Outcome(
        snapshot=journal.snapshot,
        safety_snapshot=journal.safety_snapshot,
        master=journal.master,
        keys=seen.node(journal.master).keys,
        full_syncs=runner.full_syncs,
        seconds=loader.seconds | runner.seconds,
        point=journal.point,
        left_out=_texts(runner.left_out),
    )


def _texts(addresses: tuple[Address, ...]) -> tuple[str, ...]:
    return tuple(str(address) for address in addresses)


def _free_bytes(state: Path) -> int:
    place = next(path for path in (state, *state.absolute().parents) if path.exists())
    return shutil.disk_usage(place).free
