"""What to do next with an open restore, given the journal and the cluster; pure.

Nothing is remembered but the journal: the cluster itself says how far things went. So the same
function drives a first run, a resumed one and an undo, and a crash at any point loses nothing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from backup_worker.restore.journal import Journal, NodeBefore, Stage
from backup_worker.restore.survey import NodeState, Seen, SentinelState
from redis_ha.connection import Address

# From then on the master may have acknowledged writes on top of the restored data.
_SWITCHED = frozenset({Stage.PROMOTE, Stage.RELEASE})


@dataclass(frozen=True)
class Hold:
    """Raise down-after on these sentinels and drop min-replicas on these nodes."""

    sentinels: tuple[Address, ...]
    nodes: tuple[Address, ...]


@dataclass(frozen=True)
class Load:
    """Start a scratch server with the snapshot: none lives, and one is needed."""


@dataclass(frozen=True)
class Attach:
    """Make these nodes replicas of the scratch server."""

    nodes: tuple[Address, ...]


@dataclass(frozen=True)
class Freeze:
    """Stop the scratch server's offset, so that no node gets ahead of the master at the switch."""


@dataclass(frozen=True)
class Promote:
    """Make the master a master again, with the data it holds now."""


@dataclass(frozen=True)
class Follow:
    """Make these nodes replicas of the master again."""

    nodes: tuple[Address, ...]


@dataclass(frozen=True)
class Release:
    """Put the recorded settings back on these."""

    sentinels: tuple[Address, ...]
    nodes: tuple[Address, ...]


@dataclass(frozen=True)
class Wait:
    """Look again in a moment; `phase` is set where a new part of the restore begins with it."""

    reason: str
    phase: str | None = None


@dataclass(frozen=True)
class RestoreSafety:
    """Undoing means loading the safety snapshot: the old data is gone from the master."""

    snapshot: str


@dataclass(frozen=True)
class Clear:
    """Make the master a master again, and empty as it was before: nothing is brought back."""


@dataclass(frozen=True)
class GiveUp:
    """Neither way is open; an operator decides."""

    reason: str


@dataclass(frozen=True)
class Done:
    """All is as it should be: the journal can be closed."""


Step = (
    Hold
    | Load
    | Attach
    | Freeze
    | Promote
    | Follow
    | Release
    | Wait
    | RestoreSafety
    | Clear
    | GiveUp
    | Done
)


def next_step(journal: Journal, seen: Seen) -> Step:
    """Say what brings the restore forward."""
    if (other := failover(journal, seen)) is not None:
        return GiveUp(_failover_text(other))
    master = seen.node(journal.master)
    if master.view.role == "master" and master.holds(journal.scratch_replids):
        return _settle(journal, seen)
    if was_restarted_after_the_switch(journal, master):
        return GiveUp(f"{journal.master} was restarted after the switch: what it holds is unknown")
    if master.view.role is None and journal.stage in _SWITCHED:
        return Wait(f"master {journal.master}, which may have been switched, does not answer")
    if (hold := _not_held(journal, seen)) is not None:
        return hold
    return _replicate(journal, seen)


def next_undo(journal: Journal, seen: Seen) -> Step:
    """Say what brings the cluster back to where it was before the restore."""
    if failover(journal, seen) is not None:
        return _release(journal, seen) or Done()
    master = seen.node(journal.master)
    if master.view.role is None:
        return Wait(f"master {journal.master} does not answer: {master.view.problem}")
    if is_intact(journal, master):
        return _settle(journal, seen) if master.view.role == "master" else Promote()
    if master.view.loading:
        return Wait("the master is loading")
    return _bring_back(journal, seen)


def _bring_back(journal: Journal, seen: Seen) -> Step:
    """Say what to do where the master no longer holds the old data."""
    master = seen.node(journal.master)
    if journal.empty:
        cleared = master.view.role == "master" and not master.keys
        return _settle(journal, seen) if cleared else Clear()
    if journal.safety_snapshot is None:
        return GiveUp("the master no longer holds the old data and no safety snapshot was taken")
    return RestoreSafety(journal.safety_snapshot)


def is_intact(journal: Journal, master: NodeState) -> bool:
    """Say whether the master still holds the data from before the restore.

    Its history says so, except when a full synchronisation emptied it and then failed: so a
    replica must also hold exactly the keys it was attached with (a replica expires and evicts
    nothing by itself).
    """
    before = next(node for node in journal.nodes if node.address == journal.master)
    same_process = master.view.run_id == before.run_id and not master.view.loading
    same_history = before.replid in {master.view.replid, master.view.replid2}
    if not same_process or not same_history:
        return False
    return master.view.role == "master" or journal.keys in {None, master.keys}


def failover(journal: Journal, seen: Seen) -> SentinelState | None:
    """Return a sentinel that has seen a failover since the restore began, if there is one."""
    return next(
        (
            one
            for one in seen.sentinels
            if one.master is not None
            and (one.master != journal.master or one.config_epoch != journal.config_epoch)
        ),
        None,
    )


def was_restarted_after_the_switch(journal: Journal, master: NodeState) -> bool:
    """It may hold acknowledged writes on top of the restored data, under a new history."""
    switched = journal.stage in _SWITCHED
    before = next(node for node in journal.nodes if node.address == journal.master)
    return switched and master.view.role == "master" and master.view.run_id != before.run_id


def _replicate(journal: Journal, seen: Seen) -> Step:
    """Synchronise with the scratch server, or with a new one at the same address after a crash.

    Nodes find a new one by themselves; attaching them (again) writes its history down first. A
    master promoted with a history nobody knows would be overwritten, acknowledged writes and all.
    """
    nodes = [seen.node(before.address) for before in journal.nodes]
    scratch = seen.scratch
    if scratch is None:
        # A live source has gone on since its scratch server died.
        complete = journal.source is None and _all_restored(journal, nodes)
        return Promote() if complete else Load()
    known = scratch.replid in journal.scratch_replids
    astray = tuple(
        node.address
        for node in nodes
        if node.view.role is not None and not (known and node.follows(scratch.address))
    )
    if astray:
        return Attach(astray)
    if unlinked := [n for n in nodes if not (n.view.link_up and n.view.replid == scratch.replid)]:
        return Wait("synchronising " + _names(unlinked))
    if not scratch.frozen:
        return Freeze()
    behind = [node for node in nodes if node.view.offset != scratch.offset]
    return Wait("catching up: " + _names(behind)) if behind else Promote()


def _all_restored(journal: Journal, nodes: Sequence[NodeState]) -> bool:
    """True when every node has the whole of one scratch server's data: it isn't needed any more."""
    in_sync = all(
        node.view.role == "slave" and node.holds(journal.scratch_replids) for node in nodes
    )
    return in_sync and len({node.view.replid for node in nodes}) == 1


def _settle(journal: Journal, seen: Seen) -> Step:
    """The master is right: bring the others after it, the settings back, the data to disk.

    With min-replicas-to-write back, a master that hasn't heard of its replicas refuses writes.
    A sentinel that still has "slave" in its mind would take the master for down, and fail over,
    as soon as down-after is back (sentinel.c, sentinelCheckSubjectivelyDown).
    """
    others = [seen.node(n.address) for n in journal.nodes if n.address != journal.master]
    astray = tuple(
        node.address
        for node in others
        if node.view.role is not None and not node.follows(journal.master)
    )
    if astray:
        return Follow(astray)
    if unlinked := [node for node in others if not node.view.link_up]:
        return Wait("linking " + _names(unlinked))
    if seen.node(journal.master).serving < len(others):
        return Wait("the master to count its replicas", phase="settle")
    if unaware := [one for one in seen.sentinels if one.master_reports != "master"]:
        return Wait("the sentinels to see the master: " + _names(unaware), phase="settle")
    if (release := _release(journal, seen)) is not None:
        return release
    saving = [node for node in seen.nodes if node.saving]
    return Wait(_names(saving), phase="write to disk") if saving else Done()


def _names(states: Iterable[NodeState | SentinelState]) -> str:
    return ", ".join(_name(state) for state in states)


def _name(state: NodeState | SentinelState) -> str:
    silent = isinstance(state, NodeState) and state.view.role is None
    return f"{state.address} (no answer)" if silent else str(state.address)


def _not_held(journal: Journal, seen: Seen) -> Hold | None:
    sentinels = tuple(
        one.address for one in journal.sentinels if _down_after(seen, one.address) != journal.hold
    )
    nodes = tuple(n.address for n in journal.nodes if _min_replicas(seen, n) not in {0, -1})
    return Hold(sentinels, nodes) if sentinels or nodes else None


def _release(journal: Journal, seen: Seen) -> Release | None:
    sentinels = tuple(
        one.address for one in journal.sentinels if _down_after(seen, one.address) != one.down_after
    )
    nodes = tuple(
        n.address for n in journal.nodes if _min_replicas(seen, n) not in {n.min_replicas, -1}
    )
    return Release(sentinels, nodes) if sentinels or nodes else None


def _down_after(seen: Seen, address: Address) -> int:
    """Return -1 for a sentinel that does not answer: it has to be told again."""
    found = (one for one in seen.sentinels if one.address == address and one.master is not None)
    return next((one.down_after for one in found), -1)


def _min_replicas(seen: Seen, node: NodeBefore) -> int:
    """Return -1 for a node that cannot say: silent or loading."""
    state = seen.node(node.address)
    return state.min_replicas if state.view.role is not None else -1


def _failover_text(sentinel: SentinelState) -> str:
    return (
        f"a failover happened meanwhile: {sentinel.address} names {sentinel.master} "
        f"with configuration epoch {sentinel.config_epoch}"
    )
