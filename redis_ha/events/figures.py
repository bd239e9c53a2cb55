"""One failover: why it came, who led it, how long each part took, how it ended."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from redis_ha.eventlog import stamp
from redis_ha.events.happening import ABORTED, Happening

Cause = Literal["witness", "down-after", "handover", "guard", "switchover", "forced", "unknown"]
# Who orders a role in the course of a failover; anybody else is an operator.
MACHINES = ("sentinel", "witness")
_SIGNS = ("server-died", "death-seen", "+sdown", "handing-over", "failover-ordered")


@dataclass(frozen=True)
class Failover:
    """Figures of one failover; times (UTC) are None where nobody told of them.

    `began` is the first sign of it, `noticed` when a witness or sentinel took the master for dead,
    `decided` a quorum's +odown or the order, `promoted` when the new master said that it is one.
    """

    number: int
    cause: Cause
    old: str
    new: str
    leader: str
    votes: int
    outcome: str
    began: datetime
    noticed: datetime | None
    decided: datetime | None
    started: datetime | None
    elected: datetime | None
    promoted: datetime | None
    ended: datetime | None

    @property
    def seconds(self) -> float | None:
        """Seconds from the first sign to the promotion."""
        return None if self.promoted is None else (self.promoted - self.began).total_seconds()

    @property
    def phases(self) -> dict[str, float]:
        """Seconds of each part, in their order; a part whose end nobody told of is in the next."""
        marks = ("noticed", "decided", "started", "elected", "promoted", "ended")
        parts, before = {}, self.began
        for mark in marks:
            at: datetime | None = getattr(self, mark)
            if at is not None:
                parts[mark] = max(0.0, round((at - before).total_seconds(), 3))
                before = max(before, at)
        return parts

    def described(self) -> dict[str, Any]:
        """Give plain values for JSON."""
        return {
            "failover": self.number,
            "cause": self.cause,
            "from": self.old,
            "to": self.new,
            "led_by": self.leader,
            "votes": self.votes,
            "outcome": self.outcome,
            "began": stamp(self.began),
            "ended": stamp(self.ended) if self.ended else None,
            "seconds": self.seconds,
            "phases": self.phases,
        }


def judge(number: int, happenings: Sequence[Happening], *, settled: bool) -> Failover:
    """Read a failover out of what happened; abouts are names. `settled`: its end was seen."""
    story = _Story(happenings)
    started = story.last("+try-failover")
    return Failover(
        number=number,
        cause=_cause(story),
        old=story.old,
        new=story.new,
        leader=story.leader,
        votes=story.votes,
        outcome=_outcome(story, settled=settled),
        began=min(h.time for h in happenings if h.kind in (*_SIGNS, "+try-failover", "+odown")),
        noticed=story.first("death-seen", "+sdown", until=started),
        decided=story.first("+odown", "failover-ordered", until=started),
        started=started,
        elected=story.last("+elected-leader"),
        promoted=story.promoted,
        ended=story.ended,
    )


class _Story:
    """Looks things up in what happened."""

    def __init__(self, happenings: Sequence[Happening]) -> None:
        self._all = sorted(happenings, key=lambda h: h.time)
        self.kinds: Collection[str] = {h.kind for h in happenings}

    def of(self, *kinds: str) -> list[Happening]:
        return [h for h in self._all if h.kind in kinds]

    def first(self, *kinds: str, until: datetime | None = None) -> datetime | None:
        times = (h.time for h in self.of(*kinds))
        return next((time for time in times if until is None or time <= until), None)

    def last(self, *kinds: str) -> datetime | None:
        return max((h.time for h in self.of(*kinds)), default=None)

    @property
    def leader(self) -> str:
        return next((h.node for h in reversed(self.of("+elected-leader", "+try-failover"))), "")

    @property
    def votes(self) -> int:
        """Count who voted as the leader did, whose own vote is for itself."""
        votes = {h.node: h.detail for h in self.of("+vote-for-leader")}
        mine = votes.get(self.leader)
        return sum(vote == mine for vote in votes.values()) if mine else 0

    @property
    def old(self) -> str:
        return next((h.about for h in self.of("+try-failover", "+switch-master")), "")

    @property
    def new(self) -> str:
        switched = [h.new for h in self.of("+switch-master")]
        chosen = [h.about for h in self.of("+promoted-slave", "+selected-slave")]
        return (switched or chosen[-1:] or [""])[0]

    @property
    def aborted(self) -> Happening | None:
        return next((h for h in reversed(self._all) if h.kind.startswith(ABORTED)), None)

    @property
    def promoted(self) -> datetime | None:
        said = [h.time for h in self.of("master-mode") if h.about == self.new]
        return said[-1] if said else self.first("+promoted-slave", "+switch-master")

    @property
    def ended(self) -> datetime | None:
        own = [h.time for h in self.of("+switch-master") if h.node == self.leader]
        aborted = self.aborted.time if self.aborted else None
        return own[-1] if own else self.last("+switch-master") or aborted

    @property
    def by_hand(self) -> bool:
        """Whether somebody other than Sentinel and witness sent the old master to the new one."""
        return any(h.about == self.old and h.by not in MACHINES for h in self.of("replica-of"))


def _cause(story: _Story) -> Cause:
    """Say what set it off; an order has the reason of who gave it."""
    if "handing-over" in story.kinds:
        return "handover"
    if "failover-ordered" not in story.kinds:
        return "down-after" if "+odown" in story.kinds or "+sdown" in story.kinds else "unknown"
    if "asking-for-failover" in story.kinds:
        return "witness"
    if "failover-requested" in story.kinds:
        return "guard"
    return "switchover" if story.by_hand else "forced"


def _outcome(story: _Story, *, settled: bool) -> str:
    if "+switch-master" in story.kinds:
        return "promoted"
    if story.aborted:
        return "aborted: " + story.aborted.kind.removeprefix(ABORTED + "-").replace("-", " ")
    return "unknown" if settled else "not ended"
