"""What a witness knows first-hand of the nodes, and what happens to it: data, no I/O.

Times are seconds of the witness's own monotonic clock, given in by the caller.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from redis_ha.connection import Address
from redis_ha.discovery import NodeView, SentinelView, majority_master
from redis_ha.failover_request import Answer
from redis_ha.witness.vote import Vote

LONG_AGO = float("-inf")
# A server that is restarted at once listens again before this: then nothing has died.
CONFIRM_SECONDS = 0.02
# What was answered longer ago says nothing about now.
FRESH_SECONDS = 0.5
# The sentinels' word on who is master while nothing happens.
NAMED_SECONDS = 5.0


@dataclass(frozen=True)
class Opened:
    """A connection to a data node was made and the login accepted."""

    address: Address


@dataclass(frozen=True)
class Closed:
    """The other side closed a connection that had been open: EOF or reset."""

    address: Address


@dataclass(frozen=True)
class Silent:
    """A connection was given up without a word from the other side, which proves nothing."""

    address: Address


@dataclass(frozen=True)
class Unreachable:
    """A connection attempt met nobody: refused, or the SYN unanswered in its time."""

    address: Address


@dataclass(frozen=True)
class Knocked:
    """An attempt met a listener that then closed or stalled: somebody lives there."""

    address: Address


@dataclass(frozen=True)
class Reported:
    """A data node answered what it is; `priority` 0 means never to be promoted."""

    view: NodeView
    priority: int = 100


@dataclass(frozen=True)
class SentinelReported:
    """A sentinel answered; `silence` (s) since the master last answered its ping."""

    view: SentinelView
    silence: float = 0.0


@dataclass(frozen=True)
class Heard:
    """A vote came in, its signature proven."""

    vote: Vote


@dataclass(frozen=True)
class Looked:
    """What came of a look at a sentinel, begun `at`; `problem` is why it isn't to be asked."""

    sentinel: Address
    at: float
    problem: str = ""

    @property
    def look(self) -> tuple[Address, float]:
        return self.sentinel, self.at


@dataclass(frozen=True)
class Answered:
    """What a sentinel said to the request for a failover that was made `at`."""

    sentinel: Address
    at: float
    answer: Answer
    text: str = ""


Event = (
    Opened
    | Closed
    | Silent
    | Unreachable
    | Knocked
    | Reported
    | SentinelReported
    | Heard
    | Looked
    | Answered
)


@dataclass(frozen=True)
class Contact:
    """A data node as seen by this witness; `lost_at` only when the other side closed."""

    open: bool = False
    lost_at: float | None = None
    down_at: float = LONG_AGO
    unreachable_at: float = LONG_AGO
    view: NodeView | None = None
    viewed_at: float = LONG_AGO
    priority: int = 100

    @property
    def unanswered(self) -> bool:
        """True when a closed connection couldn't be made again: the process seems dead."""
        return not self.open and self.lost_at is not None and self.unreachable_at >= self.lost_at

    @property
    def gone(self) -> bool:
        """True once that was so for long enough to be no restart."""
        since = self.unreachable_at if self.lost_at is None else self.lost_at
        return self.unanswered and self.unreachable_at - since >= CONFIRM_SECONDS

    def fresh_view(self, now: float, since: float = LONG_AGO) -> NodeView | None:
        """Return what it said, unless that is too old or from before `since`."""
        recent = now - self.viewed_at <= FRESH_SECONDS and self.viewed_at >= since
        return self.view if self.open and recent else None


@dataclass(frozen=True)
class Word:
    """What a sentinel last said, and when."""

    view: SentinelView
    silence: float
    at: float


@dataclass(frozen=True)
class Ballot:
    """The latest vote of another witness, and when it was heard."""

    vote: Vote
    at: float


@dataclass(frozen=True)
class Evidence:
    """All that a witness has seen and heard; `sentinels` as they are configured."""

    nodes: Mapping[Address, Contact]
    sentinels: Mapping[Address, Word | None]
    ballots: Mapping[int, Ballot] = field(default_factory=dict)

    def words(self, now: float, since: float, age: float = FRESH_SECONDS) -> list[SentinelView]:
        """Return what all sentinels say, those without a fresh answer as a problem."""
        return [
            word.view
            if word and now - word.at <= age and word.at >= since
            else SentinelView(address, problem="no fresh answer")
            for address, word in self.sentinels.items()
        ]

    def master(self, now: float) -> Address | None:
        """Return the master that the sentinels' majority names."""
        return majority_master(self.words(now, LONG_AGO, NAMED_SECONDS))

    def others(self, master: Address) -> dict[Address, Contact]:
        return {address: one for address, one in self.nodes.items() if address != master}


def noted(evidence: Evidence, event: Event, now: float) -> Evidence:
    """Return the evidence with one event more."""
    match event:
        case SentinelReported(view, silence):
            sentinels = {**evidence.sentinels, view.sentinel: Word(view, silence, now)}
            return replace(evidence, sentinels=sentinels)
        case Heard(vote):
            return replace(evidence, ballots=_with_ballot(evidence.ballots, vote, now))
        case Reported(view, priority):
            contact = evidence.nodes[view.address]
            contact = replace(contact, view=view, viewed_at=now, priority=priority)
            return _with_contact(evidence, view.address, contact)
        case Opened() | Closed() | Silent() | Unreachable() | Knocked():
            contact = _touched(evidence.nodes[event.address], event, now)
            return _with_contact(evidence, event.address, contact)
        case Looked() | Answered():
            return evidence


def _touched(
    contact: Contact, event: Opened | Closed | Silent | Unreachable | Knocked, now: float
) -> Contact:
    match event:
        case Opened():
            return replace(contact, open=True, lost_at=None, unreachable_at=LONG_AGO)
        case Closed():
            return replace(contact, open=False, lost_at=now, down_at=now)
        case Silent():
            return replace(contact, open=False, lost_at=None, down_at=now)
        case Unreachable():
            return replace(contact, unreachable_at=now)
        case Knocked():
            # Whoever lived a moment ago has to be found dead anew.
            lost_at = None if contact.lost_at is None else now
            return replace(contact, lost_at=lost_at, unreachable_at=LONG_AGO)


def _with_contact(evidence: Evidence, address: Address, contact: Contact) -> Evidence:
    return replace(evidence, nodes={**evidence.nodes, address: contact})


# A witness whose clock was set back is believed again after this much silence.
_FORGET_SECONDS = 10.0


def _with_ballot(ballots: Mapping[int, Ballot], vote: Vote, now: float) -> Mapping[int, Ballot]:
    """Keep the latest vote of each witness; an older one is a copy or a replay."""
    known = ballots.get(vote.number)
    if known and vote.stamp <= known.vote.stamp and now - known.at < _FORGET_SECONDS:
        return ballots
    return {**ballots, vote.number: Ballot(vote, now)}
