"""Carries out what decision.py decides, until the restore is done, undone or stuck."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import redis

from backup_worker.errors import BackupError, RefusedForSafety
from backup_worker.progress import Progress, Report, ignore
from backup_worker.restore import actions, decision
from backup_worker.restore import journal as journals
from backup_worker.restore.absent import absent, ways_on, without_absent
from backup_worker.restore.decision import (
    Attach,
    Clear,
    Done,
    Follow,
    Freeze,
    GiveUp,
    Hold,
    Load,
    Promote,
    Release,
    RestoreSafety,
    Step,
    Wait,
)
from backup_worker.restore.journal import Journal, Stage
from backup_worker.restore.survey import ScratchState, Seen, look
from redis_ha.connection import Address
from redis_ha.discovery import Access

PAUSE = 0.1
RESUME_OR_UNDO = (
    "`backup-worker restore --resume` finishes it, `backup-worker restore --undo` takes it back"
)
# What a phase of the restore is called where its progress and its seconds are shown.
_PHASES: dict[type, str] = {
    Hold: "hold",
    Attach: "synchronise",
    Promote: "switch",
    Release: "release",
}


class Scratch(Protocol):
    """The scratch server as the runner needs it; may not have been started yet."""

    def state(self) -> ScratchState | None:
        """Return how it does; None when it does not run."""
        ...

    def load(self) -> None:
        """Start it with the snapshot; BackupError when that isn't possible."""
        ...

    def freeze(self) -> None:
        """Stop its replication offset."""
        ...


class Stuck(BackupError):
    """The restore does not get on; what is open says the journal."""


class OldDataGone(Stuck):
    """Undoing would take the safety snapshot: the master no longer holds the old data."""


@dataclass
class Runner:
    """Drives one journal. `patience` (s) is how long nothing may change before it is stuck.

    `size` (bytes) is what each node receives, for the progress; `full_syncs` counts the replicas
    that the new master had to send everything to, None when the switch was not made here.
    `before_promote` is called once all is equal, right before the master is one again. `left_out`
    are those that it goes on without. `returning` leaves the journal's stage alone.
    """

    access: Access
    state: Path
    scratch: Scratch
    patience: float = 120.0
    size: int | None = None
    report: Report = ignore
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    before_promote: Callable[[], None] = lambda: None
    operation: str = "restore"
    ways_on: str = RESUME_OR_UNDO
    seconds: dict[str, float] = field(default_factory=dict)
    full_syncs: int | None = None
    returning: bool = False
    left_out: tuple[Address, ...] = ()
    _phase: str = "hold"

    def finish(self, journal: Journal) -> Seen:
        """Bring the restore to its end and close the journal; return the cluster as it is then."""
        seen = self._drive(journal, decision.next_step)
        if self.full_syncs is not None:
            self.full_syncs += seen.node(journal.master).sync_full
        return seen

    def resume(self, journal: Journal) -> Seen:
        """Finish what a killed process began, as `finish` does."""
        actions.resume_writes(self.access, journal.master)
        return self.finish(journal)

    def undo(self, journal: Journal) -> Seen:
        """Bring the cluster back to where it was and close the journal."""
        actions.resume_writes(self.access, journal.master)
        return self._drive(journal, decision.next_undo)

    def leave_out_absent(self, journal: Journal) -> Journal:
        """Go on without the replicas and sentinels that do not answer now, and write that down."""
        seen = self.look(journal)
        self.left_out += absent(journal, seen)
        journal = without_absent(journal, seen)
        journals.save(journal, self.state)
        return journal

    def look(self, journal: Journal) -> Seen:
        """See the cluster as it is now."""
        return look(
            self.access, [node.address for node in journal.nodes], scratch=self.scratch.state
        )

    def _drive(self, journal: Journal, decide: Callable[[Journal, Seen], Step]) -> Seen:
        deadline, before = self.clock() + self.patience, None
        while True:
            began = self.clock()
            seen = self.look(journal)
            step = decide(journal, seen)
            if isinstance(step, Done):
                journals.close(self.state)
                return seen
            journal, problem = self._attempt(step, journal, seen)
            self._account(began)
            if (signature := _signature(seen, step)) != before:
                deadline, before = self.clock() + self.patience, signature
            if self.clock() > deadline:
                raise self._stuck(journal, problem, seen)

    def _attempt(self, step: Step, journal: Journal, seen: Seen) -> tuple[Journal, str]:
        """Perform a step; a node that fails to answer is asked again until patience ends."""
        if isinstance(step, Wait):
            self._phase = step.phase or self._phase
            self._tell(step.reason, seen)
            self.sleep(PAUSE)
            return journal, step.reason
        self._phase = _PHASES.get(type(step), self._phase)
        self._tell("", seen)
        try:
            return self._perform(step, journal, seen), ""
        except (redis.RedisError, OSError) as error:
            self.sleep(PAUSE)
            return journal, str(error)

    def _perform(self, step: Step, journal: Journal, seen: Seen) -> Journal:
        match step:
            case Hold():
                return self._hold(step, journal)
            case Load():
                self.scratch.load()
            case Attach():
                return self._attach(step, journal, seen)
            case Freeze():
                self.scratch.freeze()
            case Promote():
                journal = self._enter(journal, Stage.PROMOTE)
                self.before_promote()
                actions.promote(self.access, journal.master)
                self.full_syncs = -seen.node(journal.master).sync_full
            case Follow():
                actions.replicate(self.access, step.nodes, journal.master)
            case Release():
                return self._release(step, journal)
            case Clear():
                actions.clear(self.access, journal.master)
            case RestoreSafety() | GiveUp():
                raise self._dead_end(step, journal)
        return journal

    def _hold(self, step: Hold, journal: Journal) -> Journal:
        journal = self._enter(journal, Stage.HOLD)
        actions.set_down_after(self.access, dict.fromkeys(step.sentinels, journal.hold))
        actions.set_min_replicas(self.access, dict.fromkeys(step.nodes, 0))
        return journal

    def _attach(self, step: Attach, journal: Journal, seen: Seen) -> Journal:
        """Point nodes at the scratch server; the master's writes rest while it is told.

        What it holds then is what an undo gives back, so its keys are counted in that pause.
        """
        if seen.scratch is None:
            raise ValueError("there is no scratch server to attach to")
        replids = (*journal.scratch_replids, seen.scratch.replid)
        journal = replace(journal, scratch_replids=tuple(dict.fromkeys(replids)))
        if seen.node(journal.master).view.role != "master" or journal.master not in step.nodes:
            journal = self._enter(journal, Stage.ATTACH)
            actions.replicate(self.access, step.nodes, seen.scratch.address)
            return journal
        with actions.writes_paused(self.access, journal.master) as keys:
            if journal.empty and keys:
                raise self._no_longer_empty(journal, keys)
            journal = self._enter(replace(journal, keys=keys), Stage.ATTACH)
            actions.replicate(self.access, step.nodes, seen.scratch.address)
        return journal

    def _no_longer_empty(self, journal: Journal, keys: int) -> RefusedForSafety:
        return RefusedForSafety(
            operation=self.operation,
            subject=journal.snapshot,
            cause=f"somebody has written {keys} keys to the empty cluster meanwhile",
            hint="stop who writes there, then begin again",
        )

    def _release(self, step: Release, journal: Journal) -> Journal:
        journal = self._enter(journal, Stage.RELEASE)
        down_after = {one.address: one.down_after for one in journal.sentinels}
        min_replicas = {node.address: node.min_replicas for node in journal.nodes}
        actions.set_min_replicas(self.access, _only(min_replicas, step.nodes))
        actions.set_down_after(self.access, _only(down_after, step.sentinels))
        return journal

    def _enter(self, journal: Journal, stage: Stage) -> Journal:
        """Write the intent down before the act."""
        journal = journal if self.returning else journals.entered(journal, stage)
        journals.save(journal, self.state)
        return journal

    def _tell(self, reason: str, seen: Seen) -> None:
        if self._phase != "synchronise":
            self.report(Progress(self._phase, note=reason))
            return
        # A node that has all of it counts nothing as received any more.
        received = sum(
            (self.size or 0) if node.view.link_up else node.received for node in seen.nodes
        )
        total = None if self.size is None else self.size * len(seen.nodes)
        self.report(Progress(self._phase, received, total, note=reason))

    def _account(self, began: float) -> None:
        self.seconds[self._phase] = self.seconds.get(self._phase, 0.0) + self.clock() - began

    def _stuck(self, journal: Journal, problem: str, seen: Seen) -> Stuck:
        return Stuck(
            operation=self.operation,
            subject=journal.snapshot,
            cause=f"no progress for {self.patience:.0f} s: {problem}",
            hint=ways_on(self.ways_on, journal, seen),
        )

    def _dead_end(self, step: RestoreSafety | GiveUp, journal: Journal) -> Stuck:
        if isinstance(step, RestoreSafety):
            return OldDataGone(
                operation="undo the restore of",
                subject=journal.snapshot,
                cause=f"the master {journal.master} no longer holds the data from before",
                hint=f"`restore --resume` finishes it; `restore --undo --identity FILE` loads the"
                f" safety snapshot {step.snapshot} instead",
            )
        return Stuck(
            operation=self.operation, subject=journal.snapshot, cause=step.reason, hint=self.ways_on
        )


def _signature(seen: Seen, step: Step) -> tuple[object, ...]:
    """Tell progress from standing still; offsets don't count, pings move them."""
    nodes = (
        (n.view.role, n.view.link_up, n.view.master, n.view.loading, n.received, n.loaded)
        for n in seen.nodes
    )
    return (step, *nodes)


def _only(values: dict[Address, int], wanted: tuple[Address, ...]) -> dict[Address, int]:
    return {address: value for address, value in values.items() if address in wanted}
