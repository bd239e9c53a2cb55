"""The witness's decision: has the master's process died, and who may ask for a failover?

No I/O. Events come in, decisions go out, each with its reason. That only one witness asks at a
time doesn't rest on who hears what first: a witness asks with the grants of a majority, each
grants to one witness at a time, and a grant outlasts the time in which it may be used.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from redis_ha.connection import Address
from redis_ha.failover_request import Request, asking_order, request_state
from redis_ha.witness.decisions import (
    Ask,
    Decision,
    Done,
    Lead,
    Look,
    PassOver,
    Say,
    StandBy,
    Verdict,
    Withdraw,
)
from redis_ha.witness.evidence import Answered, Event, Evidence, Looked, noted
from redis_ha.witness.fencing import Duty, find_living, fulfil
from redis_ha.witness.rules import Surroundings, find_heir, heard_dead, obstacle, over, tally
from redis_ha.witness.vote import Death, Vote

# A grant is given out for so long (s), and names a nonce that is good for so long (s) ...
GIVEN_SECONDS, NONCE_SECONDS = 0.3, 0.4
# ... so that it can't be used after both; it binds its giver for a second (s) more, in which
# whatever was asked for shows at the sentinels.
GRANT_SECONDS = GIVEN_SECONDS + NONCE_SECONDS + 1.0
# A sentinel that is to be asked says within this (s) how it is, or the next one is asked ...
PATIENCE_SECONDS = 0.1
# ... and what it said is good for so long (s): it may stall a moment later.
FIT_SECONDS = 0.05
# Votes are repeated, for who starts or connects late.
_REPEAT_SECONDS = 0.1


@dataclass(frozen=True)
class Grant:
    """Whom this witness lets ask because of which death, and since when."""

    number: int
    death: Death | None
    at: float


@dataclass(frozen=True)
class Case:
    """One death, from its verdict to the promotion."""

    death: Death
    replid: str
    since: float
    nonce: str
    nonce_at: float
    tried: frozenset[int] = frozenset()
    # Who isn't fit or said no under the present grant: nothing was begun there.
    refused: frozenset[Address] = frozenset()
    # Who didn't answer a look at once; asked after the others.
    late: frozenset[Address] = frozenset()
    look: Look | None = None
    # What came of that look, and when: why the sentinel isn't fit, "" where it is; None while open.
    unfit: str | None = None
    looked_at: float = 0.0
    request: Request | None = None
    requested_at: float = 0.0
    said: Vote | None = None
    said_at: float = 0.0
    standing_by: str = ""


@dataclass
class Core:
    """One witness's mind; `nonces` and `stamps` give what must never repeat.

    The first `grant` is made at the start, to nobody: what was granted before isn't known.
    """

    around: Surroundings
    evidence: Evidence
    nonces: Callable[[], str]
    stamps: Callable[[], int]
    grant: Grant
    case: Case | None = None
    # The old masters that may write beside a successor, or may do so once they are back.
    duties: dict[Address, Duty] = field(default_factory=dict)
    # The run id of the last master that got a successor: the sentinels may name it a while longer.
    settled: str = ""
    _out: list[Decision] = field(default_factory=list)

    def note(self, event: Event, now: float) -> None:
        """Take in an event; `decide` is to be called after it."""
        self.evidence = noted(self.evidence, event, now)
        if isinstance(event, Answered) and self.case:
            self.case = _answered(self.case, event)
        if isinstance(event, Looked) and self.case and self.case.look == Look(*event.look):
            self.case = replace(self.case, unfit=event.problem, looked_at=now)

    @property
    def asked(self) -> bool:
        """True while this witness waits for a promotion that it asked for."""
        return self.case is not None and self.case.request is not None

    def waits_for_another(self, now: float) -> bool:
        """Say whether another witness is at it, by this one's own grant: here nothing is urgent."""
        if self.case is None or self.grant.death != self.case.death:
            return False
        return self.grant.number != self.around.me and now - self.grant.at < GRANT_SECONDS

    def decide(self, now: float) -> list[Decision]:
        """Say what is to be done now, in order."""
        self._out = []
        if self.case is None:
            self.case = self._open_case(now)
        if self.case is not None:
            self._pursue(self.case, now)
        self._fence(now)
        return self._out

    def _open_case(self, now: float) -> Case | None:
        master = self.evidence.master(now)
        contact = self.evidence.nodes.get(master) if master else None
        if master is None or contact is None or not contact.unanswered or contact.view is None:
            return None
        if contact.view.role != "master" or contact.lost_at is None:
            return None
        if contact.view.run_id == self.settled:
            return None
        views = self.evidence.words(now, contact.lost_at)
        epochs = [view.config_epoch for view in views if view.master == master]
        if not epochs:
            return None
        death = Death(master, contact.view.run_id, max(epochs))
        reason = "its connection was closed and can't be made again"
        self._out.append(Verdict(death, reason, since=contact.lost_at))
        return Case(death, contact.view.replid, contact.lost_at, nonce=self.nonces(), nonce_at=now)

    def _pursue(self, case: Case, now: float) -> None:
        if self._ended(case, now):
            return
        if now - case.nonce_at > NONCE_SECONDS:
            case = replace(case, nonce=self.nonces(), nonce_at=now)
        reason = self._in_the_way(case, now)
        if reason:
            self._stand_by(case, reason, now)
            return
        case = self._granting(replace(case, standing_by=""), now)
        self.case = case = self._say(case, dead=True, now=now, reason="the master's process died")
        if self._my_turn(case, now):
            self._approach(case, now)

    def _ended(self, case: Case, now: float) -> bool:
        """Close a case whose master answers again or has a successor."""
        death = case.death
        contact = self.evidence.nodes[death.master]
        text = over(self.evidence, death, replid=case.replid, since=case.since, now=now)
        if not (contact.open or text):
            return False
        if text:
            self.settled = death.run_id
            self._lead(case, now)
            self._out.append(Done(death, text))
        else:
            self._say(case, dead=False, now=now, reason="it answers again")
            self._out.append(Withdraw(death, "it answers again"))
        if text or self.grant.death == death:
            self.duties[death.master] = Duty(death.master, case.replid, death.epoch, since=now)
        self.case = None
        return True

    def _lead(self, case: Case, now: float) -> None:
        """Do for the other replicas at once what the sentinel that was asked will do."""
        old = case.death.master
        heir = find_heir(self.evidence, old, replid=case.replid, since=case.since, now=now)
        if heir is None or case.request is None or case.request.answer == "refused":
            return
        for address, contact in self.evidence.others(old).items():
            view = contact.fresh_view(now, case.since)
            if view and view.role == "slave" and view.master == old and not view.link_up:
                reason = f"{heir.address} needs replicas to take writes"
                self._out.append(Lead(address, heir.address, reason))

    def _in_the_way(self, case: Case, now: float) -> str:
        if not self.evidence.nodes[case.death.master].unanswered:
            return "somebody listens at the master's address, or the way there is gone"
        if case.request is not None:
            age = now - case.requested_at
            asked = case.request.sentinel
            view = next(v for v in self.evidence.words(now, case.since) if v.sentinel == asked)
            if request_state(replace(case.request, age=age), view) == "open":
                return f"{asked} was asked and may still promote a replica"
        return obstacle(self.evidence, self.around, case.death, since=case.since, now=now)

    def _stand_by(self, case: Case, reason: str, now: float) -> None:
        if reason != case.standing_by:
            self._out.append(StandBy(case.death, reason))
        if case.said is not None and case.said.dead:
            case = self._say(case, dead=False, now=now, reason=reason)
        self.case = replace(case, standing_by=reason)

    def _granting(self, case: Case, now: float) -> Case:
        """Let one witness ask, the first of those that saw the death and haven't had their turn."""
        voters = {*self._votes(case, now), self.around.me}
        if now - self.grant.at < GRANT_SECONDS or len(voters) < self.around.majority:
            return case
        if len(self.around.numbers) > 3:
            voters |= heard_dead(self.evidence, self.around, case.death, now=now)
        tried = frozenset() if voters <= case.tried else case.tried
        self.grant = Grant(min(voters - tried), case.death, now)
        tried |= {self.grant.number}
        nobody = frozenset[Address]()
        return replace(case, tried=tried, refused=nobody, late=nobody, look=None, unfit=None)

    def _granted(self, case: Case, now: float) -> int | None:
        """Return whom this witness lets ask, as long as that may still be used."""
        given = self.grant.death == case.death and now - self.grant.at < GIVEN_SECONDS
        return self.grant.number if given else None

    def _say(self, case: Case, *, dead: bool, now: float, reason: str) -> Case:
        """Vote, when there is something new or the last time is a while ago."""
        granted = self._granted(case, now) if dead else None
        news = (dead, case.nonce, self._nonces_heard(), granted)
        if case.said is not None and now - case.said_at < _REPEAT_SECONDS:
            said = case.said
            if news == (said.dead, said.nonce, said.heard, said.granted):
                return case
        vote = Vote(
            self.around.me,
            case.death,
            dead=dead,
            stamp=self.stamps(),
            nonce=case.nonce,
            heard=self._nonces_heard(),
            granted=granted,
        )
        self._out.append(Say(vote, reason))
        return replace(case, said=vote, said_at=now)

    def _nonces_heard(self) -> dict[int, str]:
        ballots = self.evidence.ballots
        return {n: ballots[n].vote.nonce for n in sorted(ballots) if n in self.around.numbers}

    def _votes(self, case: Case, now: float) -> dict[int, Vote]:
        return tally(self.evidence, self.around, case.death, nonce=case.nonce, now=now)

    def _my_turn(self, case: Case, now: float) -> bool:
        used = (
            case.request is not None
            and case.requested_at >= self.grant.at
            and case.request.answer != "refused"
        )
        gone = self.evidence.nodes[case.death.master].gone
        granted = self._granted(case, now)
        if granted is None or used or not gone:
            return False
        return granted == self.around.me or self._may_ask(case, now)

    def _may_ask(self, case: Case, now: float) -> bool:
        """Say whether a majority lets this witness ask; its own grant may have gone to another."""
        granted = [vote.granted for vote in self._votes(case, now).values()]
        grants = [self._granted(case, now), *granted].count(self.around.me)
        return grants >= self.around.majority

    def _approach(self, case: Case, now: float) -> None:
        """See how the next sentinel is, meanwhile the grants come in, then ask it at once.

        Everything is judged anew after the look: a master that is back is not failed over.
        """
        look = case.look
        if look is not None and case.unfit is None:
            if now - look.at <= PATIENCE_SECONDS:
                return
            self._out.append(PassOver(look.sentinel, "it doesn't answer at once"))
            case = replace(case, late=case.late | {look.sentinel})
        elif look is not None and case.unfit:
            self._out.append(PassOver(look.sentinel, case.unfit))
            case = replace(case, refused=case.refused | {look.sentinel})
        elif look is not None and not self._may_ask(case, now):
            return
        elif look is not None and now - case.looked_at <= FIT_SECONDS:
            self._ask(case, look.sentinel, now)
            return
        self.case = self._look(replace(case, look=None, unfit=None), now)

    def _look(self, case: Case, now: float) -> Case:
        """Take the sentinel that anybody else would take: two requests there are one failover."""
        views = self.evidence.words(now, case.since)
        old = case.death.master
        order = asking_order(views, master=old, data_nodes=tuple(self.evidence.nodes))
        left = [v.sentinel for v in order if v.master == old and v.sentinel not in case.refused]
        if not left:
            return case
        look = Look(min(left, key=lambda sentinel: sentinel in case.late), now)
        self._out.append(look)
        return replace(case, look=look)

    def _ask(self, case: Case, sentinel: Address, now: float) -> None:
        witnesses = sorted({self.around.me, *self._votes(case, now)})
        reason = f"witnesses {witnesses} saw the master die"
        self._out.append(Ask(sentinel, case.death, reason, at=now))
        request = Request(sentinel, "vanished", text="no reply yet")
        self.case = replace(case, request=request, requested_at=now, look=None, unfit=None)

    def _fence(self, now: float) -> None:
        """Keep whoever is master beside a successor from writing."""
        duties = [*self.duties.values(), *find_living(self.evidence, self.duties, now)]
        self.duties = {}
        for duty in duties:
            left, decision = fulfil(duty, self.evidence, now)
            if decision is not None:
                self._out.append(decision)
            if left is not None:
                self.duties[left.old] = left


def _answered(case: Case, event: Answered) -> Case:
    """Take in the answer to the present request; one to an earlier says nothing about this."""
    request = case.request
    if request is None or (request.sentinel, case.requested_at) != (event.sentinel, event.at):
        return case
    no = {request.sentinel} if event.answer == "refused" else set()
    request = replace(request, answer=event.answer, text=event.text)
    return replace(case, request=request, refused=case.refused | no)
