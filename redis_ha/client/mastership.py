"""Which node a client may write to, decided on what nodes and sentinels say: no I/O.

The proof that one node succeeded another is replication's own: a promoted replica keeps its old
master's replication id as `master_replid2` (INFO replication, Redis 4 and later). A node that was
only restarted, or told to stop following by hand long ago, can't have the id of the present master.
"""

from dataclasses import dataclass
from textwrap import shorten

from redis_ha.connection import Address
from redis_ha.discovery import NodeView, SentinelView, majority_master

# Characters of what one sentinel says: nine may say something else each.
_PROBLEM_LENGTH = 120


@dataclass(frozen=True)
class Known:
    """The master that a client last settled on, and the sentinels' epoch at that time."""

    address: Address
    replid: str
    epoch: int = 0


@dataclass(frozen=True)
class Evidence:
    """What was answered so far; `complete` once every sentinel was heard or found silent."""

    sentinels: tuple[SentinelView, ...]
    nodes: tuple[NodeView, ...]
    complete: bool = True

    def node(self, address: Address | None) -> NodeView | None:
        """Return what a node said, None when it wasn't heard yet."""
        return next((view for view in self.nodes if view.address == address), None)

    def epoch_of(self, address: Address) -> int:
        """Return the highest epoch in which a sentinel names this master."""
        return max((v.config_epoch for v in self.sentinels if v.master == address), default=0)


@dataclass(frozen=True)
class Verdict:
    """The node to write to, or None, and why."""

    master: Known | None
    reason: str


def decide(known: Known | None, evidence: Evidence) -> Verdict:
    """Say which node is the writable master, or that it is too early to say."""
    named = majority_master(evidence.sentinels)
    if known is not None and (named is None or not _left_behind(known, named, evidence)):
        return _by_history(known, named, evidence)
    if named is None:
        return Verdict(None, _no_majority(evidence))
    return _by_sentinels(named, evidence)


def _no_majority(evidence: Evidence) -> str:
    """Say why the sentinels are no help: each of their problems once."""
    problems = dict.fromkeys(view.problem for view in evidence.sentinels if view.problem)
    reason = "no majority of the sentinels answers and names one master"
    told = "; ".join(shorten(problem, _PROBLEM_LENGTH) for problem in problems)
    return f"{reason}: {told}" if told else reason


def _left_behind(known: Known, named: Address, evidence: Evidence) -> bool:
    """Say whether the sentinels went on from the known master in a later epoch."""
    return named != known.address and evidence.epoch_of(named) > known.epoch


def _by_history(known: Known, named: Address | None, evidence: Evidence) -> Verdict:
    incumbent = evidence.node(known.address)
    if incumbent is None:
        # An address that is nobody's any more answers nothing at all. So it may be alive: then
        # only who a sentinel knows of is its successor.
        alive = NodeView(known.address, "master", replid=known.replid)
        if (heir := _heir(known, alive, evidence)) is not None:
            return _accept(heir, evidence, f"it was promoted over {known.address}", known.epoch)
        return Verdict(None, f"{known.address} was not heard yet")
    restarted = incumbent.replid != known.replid
    heir = _heir(known, incumbent, evidence)
    if heir is not None:
        return _accept(heir, evidence, f"it was promoted over {known.address}", known.epoch)
    if restarted and named != known.address and incumbent.role == "master":
        # It was restarted meanwhile: only the sentinels can say that it still counts.
        return Verdict(None, f"{known.address} was restarted and the sentinels don't name it")
    if not evidence.complete:
        return Verdict(None, _unless_serving(incumbent, "not all sentinels were heard yet"))
    reason = "it still is the master"
    return _judge(incumbent, evidence, reason, known.epoch, restarted=restarted)


def _by_sentinels(named: Address, evidence: Evidence) -> Verdict:
    view = evidence.node(named)
    if view is None:
        return Verdict(None, f"{named} was not heard yet")
    follows = evidence.node(view.master)
    if view.role == "slave" and follows is not None and _serves(follows):
        return _accept(follows, evidence, f"{named}, which the sentinels name, follows it")
    heir = _heir(Known(named, view.replid), view, evidence)
    if heir is not None:
        return _accept(heir, evidence, f"it was promoted over {named}")
    return _judge(view, evidence, "the sentinels' majority names it and it says master")


def _heir(known: Known, incumbent: NodeView, evidence: Evidence) -> NodeView | None:
    """Return the one node that continued the known master's history, if that history is over.

    While the incumbent still lives in it, a sentinel must know of the promotion: else somebody
    just told a replica to stop following, and the sentinels will make it follow again.
    """
    others = [v for v in evidence.nodes if v.address != known.address and _serves(v)]
    histories = {known.replid, incumbent.replid} - {""}
    heirs = [view for view in others if view.replid2 in histories]
    if len(heirs) != 1:
        return None
    told = any(v.failing_over or v.master == heirs[0].address for v in evidence.sentinels)
    lives_on = incumbent.role == "master" and incumbent.replid == heirs[0].replid2
    return None if lives_on and not told else heirs[0]


def _judge(
    view: NodeView, evidence: Evidence, reason: str, epoch: int = 0, *, restarted: bool = False
) -> Verdict:
    """Settle on a node if it serves and no sentinel has seen a later master that serves, too.

    One that was restarted may be the old master come back: then the later one need not answer.
    """
    if not _serves(view):
        return Verdict(None, _unless_serving(view, ""))
    least = max(epoch, evidence.epoch_of(view.address))
    for sentinel in evidence.sentinels:
        other = evidence.node(sentinel.master)
        if sentinel.master in (None, view.address) or sentinel.config_epoch <= least:
            continue
        if restarted or (other is not None and _serves(other)):
            return Verdict(None, f"{sentinel.sentinel} names {sentinel.master} in a later epoch")
    return _accept(view, evidence, reason, epoch)


def _serves(view: NodeView) -> bool:
    return view.role == "master" and not view.loading


def _accept(view: NodeView, evidence: Evidence, reason: str, epoch: int = 0) -> Verdict:
    """Settle on a node; the epoch never goes back, so that late sentinels can't undo it."""
    seen = max((v.config_epoch for v in evidence.sentinels), default=0)
    return Verdict(Known(view.address, view.replid, max(epoch, seen)), reason)


def _unless_serving(view: NodeView, otherwise: str) -> str:
    if view.loading:
        return f"{view.address} is loading its data"
    if view.role == "master":
        return otherwise
    return f"{view.address} says: {view.role or view.problem}"
