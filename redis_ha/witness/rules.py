"""What stands against asking for a failover, and whom to let ask: pure rules on the evidence."""

from dataclasses import dataclass

from redis_ha.connection import Address
from redis_ha.discovery import NodeView, SentinelView, majority_master
from redis_ha.witness.evidence import Evidence
from redis_ha.witness.vote import Death, Vote

# Losing another data node within this time (s) of the master looks like a loss of one's own.
TOGETHER_SECONDS = 2.0
# So close to down-after (s) Sentinel may begin a failover of its own at any moment.
SENTINELS_TURN_SECONDS = 0.5
# A vote that isn't repeated for so long no longer stands.
VOTE_SECONDS = 1.0
# A replica that lost its master so long (s) before lacks too much to be worth the hurry.
LINK_DOWN_SECONDS = 10


@dataclass(frozen=True)
class Surroundings:
    """What stays: this witness's number, all numbers, down-after (s) as the stack sets it."""

    me: int
    numbers: frozenset[int]
    down_after: float

    @property
    def majority(self) -> int:
        return len(self.numbers) // 2 + 1


def over(evidence: Evidence, death: Death, *, replid: str, since: float, now: float) -> str:
    """Say why nothing is left to be done for a master that died; empty while something is."""
    heir = find_heir(evidence, death.master, replid=replid, since=since, now=now)
    if heir is not None:
        return f"{heir.address} was promoted"
    views = evidence.words(now, since)
    named = majority_master(views)
    later = any(view.master == named and view.config_epoch > death.epoch for view in views)
    if named not in (None, death.master) and later:
        return f"the sentinels name {named} by now"
    return ""


def find_heir(
    evidence: Evidence, old: Address, *, replid: str, since: float, now: float
) -> NodeView | None:
    """Return the node that continued the old master's history, by replication's own proof."""
    views = (contact.fresh_view(now, since) for contact in evidence.others(old).values())
    heirs = [view for view in views if view and view.role == "master" and view.replid2 == replid]
    return heirs[0] if len(heirs) == 1 else None


def obstacle(
    evidence: Evidence, around: Surroundings, death: Death, *, since: float, now: float
) -> str:
    """Say why no failover may be asked for now; empty when nothing is in its way."""
    views = evidence.words(now, since)
    return (
        _at_the_sentinels(views, around, death)
        or _sentinels_turn(evidence, around, views)
        or _isolated(evidence, death, since)
        or _at_the_survivors(evidence, death, since, now)
    )


def _at_the_sentinels(views: list[SentinelView], around: Surroundings, death: Death) -> str:
    named = majority_master(views)
    if named is None:
        return "no majority of the sentinels has answered since"
    if named != death.master:
        return f"the sentinels name {named}"
    for view in views:
        if view.master is None:
            continue
        if view.master != death.master:
            return f"{view.sentinel} names {view.master}"
        if view.failing_over:
            return f"{view.sentinel} is failing over"
        if view.down_after > around.down_after:
            return f"down-after is raised on {view.sentinel}, as a live restore does"
    return ""


def _sentinels_turn(evidence: Evidence, around: Surroundings, views: list[SentinelView]) -> str:
    """Once Sentinel acts by itself, whoever asks as well makes it two failovers."""
    late, unknown = [], 0
    for view in views:
        word = evidence.sentinels[view.sentinel]
        if view.master is None or word is None:
            # It may have found the master down as well, and lead already.
            unknown += 1
            continue
        if "o_down" in view.flags:
            return f"{view.sentinel} takes the master for down: Sentinel acts by itself"
        if "s_down" in view.flags or word.silence >= view.down_after - SENTINELS_TURN_SECONDS:
            late.append(str(view.sentinel))
    # One that alone lost the master begins nothing: its quorum is a majority, as the planner asks.
    if not late or len(late) + unknown < around.majority:
        return ""
    return f"{', '.join(late)} missed the master for so long that Sentinel may act by itself"


def _isolated(evidence: Evidence, death: Death, since: float) -> str:
    for address, contact in evidence.others(death.master).items():
        if not contact.open and contact.down_at >= since - TOGETHER_SECONDS:
            return f"{address} was lost at the same time: this witness may be cut off"
    return ""


def _at_the_survivors(evidence: Evidence, death: Death, since: float, now: float) -> str:
    contacts = evidence.others(death.master).values()
    fresh = [(c, view) for c in contacts if (view := c.fresh_view(now, since))]
    if not fresh:
        return "no other data node has answered since"
    for _, view in fresh:
        if view.role == "master":
            return f"{view.address} says it is master"
        if view.master == death.master and view.link_up:
            return f"{view.address} is still connected to it"
    if not any(c.priority > 0 and _can_follow_on(view, death) for c, view in fresh):
        return "no replica can be promoted"
    return ""


def _can_follow_on(view: NodeView, death: Death) -> bool:
    down = view.link_down_seconds or 0
    return view.promotable and view.master == death.master and down <= LINK_DOWN_SECONDS


def tally(
    evidence: Evidence, around: Surroundings, death: Death, *, nonce: str, now: float
) -> dict[int, Vote]:
    """Return the standing votes of other witnesses for this death that answer this nonce."""
    return {
        number: ballot.vote
        for number, ballot in evidence.ballots.items()
        if number in around.numbers - {around.me}
        and now - ballot.at <= VOTE_SECONDS
        and ballot.vote.dead
        and ballot.vote.death == death
        and ballot.vote.heard.get(around.me) == nonce
    }


def heard_dead(evidence: Evidence, around: Surroundings, death: Death, *, now: float) -> set[int]:
    """Return who said lately that it saw this death, whether or not it has heard this witness."""
    return {
        number
        for number, ballot in evidence.ballots.items()
        if number in around.numbers
        and now - ballot.at <= VOTE_SECONDS
        and ballot.vote.dead
        and ballot.vote.death == death
    }
