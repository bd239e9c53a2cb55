"""What a zero-loss switchover may do, decided on what nodes and sentinels say: no I/O."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from redis_ha.connection import Address
from redis_ha.discovery import NodeView, SentinelView, majority_master
from redis_ha.failover_request import VANISHED_SECONDS, Request

# How much longer than the promotion may take a pause lasts when nobody ends it (its processes were
# killed): Sentinel demotes a master that it finds beside its successor in about ten seconds.
PAUSE_MARGIN_SECONDS = 30.0
# A fenced master needs a pause only until its replicas have left it: the leading sentinel sends the
# others to the new one at its next look, a second after the promotion.
_FENCED_PAUSE_SECONDS = 4.0
# Redis counts a pause by the wall clock, so a clock that is set forward meanwhile ends it. A server
# that is stopped needs no pause that ends by itself.
_ENDING_PAUSE_SECONDS = 86_400.0
_DOWN = frozenset({"s_down", "o_down", "disconnected"})


@dataclass(frozen=True)
class Listed:
    """A replica as one sentinel lists it; `priority` 0 means never to be promoted.

    `role` is what it said of itself when that sentinel last looked, up to ten seconds ago.
    """

    address: Address
    flags: frozenset[str]
    priority: int = 100
    role: str = "slave"

    @property
    def electable(self) -> bool:
        return self.priority > 0 and not (self.flags & _DOWN)


@dataclass(frozen=True)
class Scene:
    """What is known before anything is done: sentinels, master, replicas they could promote."""

    sentinels: tuple[SentinelView, ...]
    master: NodeView
    candidates: tuple[NodeView, ...]
    # The node that shall give up the mastership; None for whichever the sentinels name.
    expected: Address | None = None
    # The replica that shall be promoted; None for whichever the sentinels prefer.
    chosen: Address | None = None
    listed: tuple[Listed, ...] = ()

    @property
    def patience(self) -> float:
        """Return for how long (s) the replicas may catch up.

        Sentinel's PUBLISH blocks behind the pause, so that the master seems down after down-after:
        then Sentinel may promote a replica that has not caught up.
        """
        return min((view.down_after for view in self.sentinels if view.master), default=0.0) / 2


def outlasting_pause(master: NodeView, remaining: float, *, ends: bool = False) -> float:
    """Return the pause (s) that is safe even if who renews it each second dies.

    `remaining` is for how long (s) a promotion may still be asked for; `ends` says that the server
    is stopped whatever comes of it.
    """
    if ends:
        return _ENDING_PAUSE_SECONDS
    return _FENCED_PAUSE_SECONDS if master.fenced else remaining + PAUSE_MARGIN_SECONDS


def electable(listed: Sequence[Listed]) -> list[Address]:
    """Return every replica that some sentinel could promote: all of them have to catch up."""
    return sorted({replica.address for replica in listed if replica.electable})


def obstacle(scene: Scene) -> str:
    """Say why a switchover can't begin now; empty when it can."""
    named = majority_master(scene.sentinels)
    if named is None:
        return "no majority of the sentinels answers and names one master"
    if scene.expected not in (None, named):
        return f"the sentinels name {named} as master, not {scene.expected}"
    if any(view.failing_over for view in scene.sentinels):
        return "a failover is in progress"
    if scene.master.role != "master":
        return f"{named} says it is {scene.master.role or scene.master.problem}"
    if text := _no_choice(scene) or _old_news(scene.listed):
        return text
    return next((text for view in scene.candidates if (text := _unfit(view, named))), "")


def _no_choice(scene: Scene) -> str:
    if not scene.candidates:
        return "no sentinel lists a replica that it could promote"
    if scene.chosen is not None and not is_first(scene.chosen, scene.listed):
        return f"the sentinels would not promote {scene.chosen}"
    return ""


def _old_news(listed: Sequence[Listed]) -> str:
    """Name a replica that a sentinel still knows as the master that it was before.

    Promoted now, it would be taken for one that has been master against the sentinel's will since
    then, and made a replica again.
    """
    known = (one for one in listed if one.electable and one.role != "slave")
    return next((f"a sentinel still takes {one.address} for a {one.role}" for one in known), "")


def is_first(chosen: Address, listed: Sequence[Listed]) -> bool:
    """Say whether every sentinel would promote `chosen`: lowest priority, no other has the same."""
    own = [replica for replica in listed if replica.address == chosen]
    others = [r.priority for r in listed if r.address != chosen and r.electable]
    if not own or not all(replica.electable for replica in own):
        return False
    return not others or max(replica.priority for replica in own) < min(others)


def preferred_priority(own: int, others: Sequence[int]) -> int | None:
    """Return the priority that makes a replica the first to be promoted; None when none can.

    Lower goes first, 0 means never. The others' priorities are not touched: whatever is left
    behind by a process that was killed, every replica can still be promoted.
    """
    rivals = [priority for priority in others if priority > 0]
    if own == 0 or (rivals and min(rivals) <= 1 and own >= min(rivals)):
        return None
    return own if not rivals or own < min(rivals) else min(rivals) - 1


def is_lasting(scene: Scene) -> bool:
    """Say whether an obstacle is one that waiting a few seconds won't remove."""
    named = majority_master(scene.sentinels)
    return named is not None and (not scene.candidates or scene.expected not in (None, named))


def behind(candidates: Sequence[NodeView], *, master: Address, offset: int) -> list[str]:
    """Say of each candidate that doesn't hold the master's data up to `offset` (bytes) why."""
    complaints = [(view, _unfit(view, master)) for view in candidates]
    return [
        text or f"{view.address} is {offset - view.offset} bytes behind"
        for view, text in complaints
        if text or view.offset < offset
    ]


def promoted(candidates: Sequence[NodeView]) -> NodeView | None:
    """Return the candidate that has become master, if any."""
    return next((view for view in candidates if view.role == "master"), None)


def still_possible(
    requests: Sequence[Request], sentinels: Sequence[SentinelView], candidates: Sequence[NodeView]
) -> str:
    """Say why a promotion may still come or have come unseen; empty when none can.

    Only then may writes on the old master be let go.
    """
    asked = {request.sentinel for request in requests if request.answer != "refused"}
    for view in sentinels:
        if view.failing_over:
            return f"{view.sentinel} is still failing over"
        if view.sentinel in asked and view.problem:
            return f"{view.sentinel} was asked and doesn't answer: {view.problem}"
    if asked:
        silent = next((view for view in candidates if view.role is None), None)
        if silent is not None:
            return f"{silent.address} may have been promoted and doesn't answer: {silent.problem}"
    return ""


def _unfit(view: NodeView, master: Address) -> str:
    if view.role is None:
        return f"{view.address} may be promoted and doesn't answer: {view.problem}"
    if view.role == "master":
        return f"{view.address} says it is a master"
    if not view.follows(master):
        return f"{view.address} may be promoted and doesn't follow {master}"
    return ""


@dataclass(frozen=True)
class Healing:
    """What to do for a switchover whose operator is gone: wait, let writes go, or demote first."""

    step: Literal["wait", "release", "demote"]
    new: Address | None = None


def heal(
    old: NodeView, others: Sequence[NodeView], sentinels: Sequence[SentinelView], *, quiet: float
) -> Healing:
    """Decide how an interrupted switchover ends; `quiet` seconds nobody was failing over.

    The old master's writes are let go only when it is a replica or no promotion can come.
    """
    named = {view.master for view in sentinels if view.master}
    new = next((v.address for v in others if v.role == "master" and v.address in named), None)
    if old.role is None:
        return Healing("wait")
    if old.role == "slave":
        return Healing("release")
    if new is not None:
        return Healing("demote", new)
    doubtful = any(view.role != "slave" for view in others) or any(v.problem for v in sentinels)
    if any(view.failing_over for view in sentinels):
        return Healing("wait")
    return Healing("release" if quiet >= (VANISHED_SECONDS if doubtful else 1.0) else "wait")
