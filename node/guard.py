"""The boot guard's decision: as what may this data node start, if at all yet.

A crashed master must not come back writable beside its successor, and an empty disk must not
become master while another node holds data. So a data node always asks a majority of the
sentinels, and the other data nodes, before its server starts. No I/O here.
"""

from dataclasses import dataclass
from enum import Enum

from node.disk import Disk
from redis_ha.connection import Address
from redis_ha.discovery import NodeView, SentinelView, majority_master
from redis_ha.failover_request import Request

# So often in a row and so far (s) apart a sentinel must say that no replica is good enough.
_REFUSALS, _DOUBT_SECONDS = 2, 2.0


class Action(Enum):
    """What to do next."""

    START_AS_MASTER = "start as master"
    START_AS_REPLICA = "start as replica"
    ASK_FOR_FAILOVER = "ask one sentinel for a failover, then look again"
    WAIT = "wait, then look again"


@dataclass(frozen=True)
class Situation:
    """What a starting data node knows; times in seconds.

    `waited` since the guard began; `request` is the last failover this guard asked for, and
    `refusals` how often in a row that was answered with there being no good replica.
    """

    me: Address
    initial_master: bool
    disk: Disk
    sentinels: tuple[SentinelView, ...]
    peers: tuple[NodeView, ...]
    waited: float = 0.0
    request: Request | None = None
    refusals: int = 0
    peer_wait: float = 5.0
    failover_retry: float = 10.0


@dataclass(frozen=True)
class Decision:
    """What to do and why; `master` is whom to follow when starting as a replica."""

    action: Action
    reason: str
    master: Address | None = None


def decide(situation: Situation) -> Decision:
    """Say what the starting node does now."""
    named = majority_master(situation.sentinels)
    if named is None:
        return _wait(f"no majority of the sentinels names a master: {_answers(situation)}")
    if named != situation.me:
        return _follow(situation, named)
    rival = next((peer for peer in situation.peers if peer.role == "master"), None)
    if rival is not None:
        return _wait(f"{rival.address} says it is master while the sentinels still name this node")
    if any(view.failing_over for view in situation.sentinels):
        return _wait("a failover is in progress")
    return _with_data(situation) if situation.disk.holds_data else _without_data(situation)


def _follow(situation: Situation, master: Address) -> Decision:
    """Another node is master: a replica accepts no writes, so it may start whatever that does."""
    view = next((peer for peer in situation.peers if peer.address == master), None)
    if view and situation.disk.has_something_to_lose and _is_empty_stranger(view, situation.disk):
        return _wait(
            f"{master} is named master, but it is empty and its history is not this node's:"
            " following it would erase the data here; erase the volume if that is wanted,"
            " or restore a snapshot"
        )
    return Decision(Action.START_AS_REPLICA, f"the sentinels name {master} as master", master)


def _is_empty_stranger(view: NodeView, disk: Disk) -> bool:
    related = disk.replid and disk.replid in (view.replid, view.replid2)
    return view.role == "master" and view.keys == 0 and not related


def _without_data(situation: Situation) -> Decision:
    known = max(view.replicas for view in situation.sentinels if view.master)
    holders = [peer for peer in situation.peers if peer.keys or peer.promotable]
    if not known and not holders:
        if situation.initial_master:
            return Decision(Action.START_AS_MASTER, "first boot: no replica is known anywhere")
        return _wait("named master of an empty cluster without being its first master")
    if any(peer.promotable for peer in holders):
        return _hand_over(situation, "the disk is empty")
    return _wait(
        f"the disk is empty and the sentinels know {known} replicas: waiting for one that"
        " can be promoted"
    )


def _with_data(situation: Situation) -> Decision:
    promotable = [peer for peer in situation.peers if peer.promotable]
    if promotable and (request := situation.request) is not None and request.no_good_replica:
        if situation.refusals < _REFUSALS:
            return _doubt(request)
        # They have been cut off for longer than Sentinel tolerates: this disk is the better one.
        promotable = []
    if not promotable:
        return _as_last_master(situation)
    if situation.disk.crashed:
        return _hand_over(situation, "the last stop was a crash")
    if any(_holds_all(peer, situation.disk) for peer in promotable):
        return _hand_over(situation, "a replica holds everything that was written here")
    return Decision(Action.START_AS_MASTER, "stopped in order with more data than any replica")


def _doubt(request: Request) -> Decision:
    """Ask again: a sentinel that was just started knows of no replica whether it is a good one."""
    text = f"{request.sentinel} says that no replica is good enough"
    if request.age < _DOUBT_SECONDS:
        return _wait(f"{text}: it is asked again in a moment")
    return Decision(Action.ASK_FOR_FAILOVER, f"{text}: asked again")


def _holds_all(peer: NodeView, disk: Disk) -> bool:
    marker = disk.marker
    return marker is not None and peer.replid == marker.replid and peer.offset >= marker.offset


def _as_last_master(situation: Situation) -> Decision:
    """Nobody can take over: the whole cluster went down, and its last master begins it again."""
    missing = [str(peer.address) for peer in situation.peers if peer.role is None]
    if missing and situation.waited < situation.peer_wait:
        return _wait(f"no replica can be promoted yet; waiting for {', '.join(missing)}")
    return Decision(Action.START_AS_MASTER, "last master, and no replica can be promoted")


def _hand_over(situation: Situation, why: str) -> Decision:
    """Let a replica be promoted, by whoever is first: Sentinel, a witness or this node."""
    request = situation.request
    if request is not None and request.age < situation.failover_retry:
        return _wait(f"{why}: asked {request.sentinel} for a failover, which {request.answer} it")
    o_down = any("o_down" in view.flags for view in situation.sentinels)
    if o_down and situation.waited < situation.failover_retry:
        return _wait(f"{why}: Sentinel is about to promote a replica")
    return Decision(Action.ASK_FOR_FAILOVER, why)


def _wait(reason: str) -> Decision:
    return Decision(Action.WAIT, reason)


def _answers(situation: Situation) -> str:
    return ", ".join(f"{v.sentinel} says {v.master or v.problem}" for v in situation.sentinels)
