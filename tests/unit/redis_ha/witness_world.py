"""A small world for witnesses: a master that lives and dies, links, late and repeated mail.

Everything is a number or a name; time is given. What the witnesses may rely on is modelled as
they see it: closed connections, refused attempts, what replicas and sentinels answer.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from redis_ha.connection import Address
from redis_ha.discovery import NodeView, SentinelView
from redis_ha.witness.core import Core, Grant
from redis_ha.witness.decisions import Ask, Decision, Lead, Look, PassOver, Say, StandBy
from redis_ha.witness.evidence import (
    Answered,
    Closed,
    Contact,
    Evidence,
    Heard,
    Knocked,
    Looked,
    Opened,
    Reported,
    SentinelReported,
    Silent,
    Unreachable,
)
from redis_ha.witness.rules import Surroundings
from redis_ha.witness.vote import Vote

MASTER, HEIR, OTHER = Address("m", 1), Address("a", 1), Address("b", 1)
DOWN_AFTER = 5.0
TICK = 0.02


@dataclass
class Seat:
    """One witness: its mind, what it is connected to, and what it last stood by for."""

    number: int
    core: Core
    clock: float
    connected_to: str = ""
    # Its packets are dropped both ways; `reset`: those to the master are answered by a reset.
    partitioned: bool = False
    reset: bool = False
    # Data nodes that this witness no longer reaches, without a word from them.
    deaf: set[Address] = field(default_factory=set)
    # Somebody listens at the dead master's address and lets nobody in.
    listener: bool = False
    standing_by: str = ""


@dataclass
class Mail:
    due: float
    to: int
    vote: Vote


@dataclass
class World:
    """A master at MASTER, replicas HEIR and OTHER, as many sentinels as witnesses."""

    count: int = 3
    now: float = 100.0
    process: int = 1
    alive: bool = True
    epoch: int = 1
    promoted: bool = False
    # How long the sentinel takes from the request to the promotion; None: it gives up.
    promotion_seconds: float | None = 0.2
    # Sentinels that say no, as they do without a good replica ...
    refusing: set[Address] = field(default_factory=set)
    # ... that are in TILT mode: they would accept and do nothing ...
    tilting: set[Address] = field(default_factory=set)
    # ... and that have stalled since their last word: they answer what was sent once they go on.
    stalled: set[Address] = field(default_factory=set)
    late_answers: list[tuple[Seat, Looked]] = field(default_factory=list)
    # What a sentinel has of its own to say of the master.
    flags: dict[Address, set[str]] = field(default_factory=dict)
    silence: dict[Address, float] = field(default_factory=dict)
    silent: set[Address] = field(default_factory=set)
    failing_over_until: float = 0.0
    raised: bool = False
    replicas_cut: bool = False
    delay: float = 0.002
    # Each message takes as long as this says, when it is given.
    delays: Callable[[], float] | None = None
    # From whom to whom no mail comes through.
    blocked: set[tuple[int, int]] = field(default_factory=set)
    seats: dict[int, Seat] = field(default_factory=dict)
    mail: list[Mail] = field(default_factory=list)
    all_said: list[Vote] = field(default_factory=list)
    asks: list[tuple[float, int, str]] = field(default_factory=list)
    # Which sentinel each of those went to; whom a witness has passed over, and why.
    asked: list[Address] = field(default_factory=list)
    passed_over: list[tuple[Address, str]] = field(default_factory=list)
    # When a sentinel took one of them up.
    taken_up: list[float] = field(default_factory=list)
    # A request by a witness that is connected to the living master.
    asked_a_living_one: bool = False
    promotion_at: float | None = None
    # Which replicas were sent to whom, by which witness.
    led: list[tuple[int, Address, Address]] = field(default_factory=list)
    # When the sentinels begin to name the successor.
    renamed_at: float = 0.0
    # What each witness has truly seen die, whatever became of the witness since.
    saw: dict[int, set[str]] = field(default_factory=lambda: defaultdict(set))
    asked_while_raised: bool = False

    def __post_init__(self) -> None:
        self.leader = self.sentinels[-1]
        for number in range(1, self.count + 1):
            self.start(number)

    @property
    def run_id(self) -> str:
        return f"run-{self.process}"

    @property
    def replid(self) -> str:
        return f"history-{self.process}"

    @property
    def sentinels(self) -> list[Address]:
        return [Address("s", number) for number in range(1, self.count + 1)]

    def start(self, number: int) -> None:
        """Put a new witness into a seat; it remembers nothing."""
        clock = float(1000 * number)
        around = Surroundings(number, frozenset(range(1, self.count + 1)), DOWN_AFTER)
        evidence = Evidence(
            nodes=dict.fromkeys((MASTER, HEIR, OTHER), Contact()),
            sentinels=dict.fromkeys(self.sentinels),
        )
        core = Core(
            around,
            evidence,
            nonces=_counter(f"n{number}-{self.now}-"),
            stamps=_stamps(self),
            grant=Grant(0, None, self.now + clock),
        )
        self.seats[number] = Seat(number, core, clock)

    def run(self, seconds: float) -> None:
        """Let time pass."""
        for _ in range(round(seconds / TICK)):
            self.tick()

    def tick(self) -> None:
        self.now += TICK
        self._sentinel_acts()
        for seat in self.seats.values():
            self._observe(seat)
        due = [mail for mail in self.mail if mail.due <= self.now]
        self.mail = [mail for mail in self.mail if mail.due > self.now]
        for mail in due:
            seat = self.seats[mail.to]
            if not seat.partitioned:
                seat.core.note(Heard(mail.vote), self.now + seat.clock)
        for seat in self.seats.values():
            for decision in seat.core.decide(self.now + seat.clock):
                self._carry_out(seat, decision)

    def kill(self) -> None:
        self.alive = False

    def restart(self) -> None:
        """A new process at the master's address, with a history of its own."""
        self.alive, self.process = True, self.process + 1

    def begin_anew(self) -> None:
        """The master's address is the master again, in a later epoch, with replicas in sync."""
        if self.promoted:
            self.epoch += 2
        self.promoted, self.promotion_at, self.failing_over_until = False, None, 0.0
        self.raised = self.replicas_cut = False
        self.restart()

    def _sentinel_acts(self) -> None:
        if self.promotion_at is not None and self.now >= self.promotion_at and not self.alive:
            self.promoted, self.promotion_at = True, None
            self.renamed_at = self.now + 0.5

    def _observe(self, seat: Seat) -> None:
        now = self.now + seat.clock
        if seat.partitioned:
            return
        for address in {HEIR, OTHER} - seat.deaf:
            if not seat.core.evidence.nodes[address].open:
                seat.core.note(Opened(address), now)
            seat.core.note(Reported(self.view(address)), now)
        self.sentinels_report(seat)
        self._observe_master(seat, now)

    def sentinels_report(self, seat: Seat) -> None:
        for sentinel in self.sentinels:
            if sentinel in self.silent:
                continue
            silence = self.silence.get(sentinel, 0.5)
            event = SentinelReported(self._sentinel(sentinel), silence)
            seat.core.note(event, self.now + seat.clock)

    def _observe_master(self, seat: Seat, now: float) -> None:
        reachable = self.alive and not seat.reset
        if seat.connected_to and (not reachable or seat.connected_to != self.run_id):
            seat.core.note(Closed(MASTER), now)
            if not reachable:
                self.saw[seat.number].add(seat.connected_to)
            seat.connected_to = ""
        if reachable and not seat.connected_to:
            seat.core.note(Opened(MASTER), now)
            seat.connected_to = self.run_id
        if reachable:
            view = NodeView(MASTER, role="master", replid=self.replid, run_id=self.run_id)
            seat.core.note(Reported(view), now)
        else:
            seat.core.note(Knocked(MASTER) if seat.listener else Unreachable(MASTER), now)

    def view(self, address: Address) -> NodeView:
        if address == HEIR and self.promoted:
            return NodeView(address, role="master", replid="new", replid2=self.replid)
        up = self.alive and not self.replicas_cut
        down = None if up else 1
        return NodeView(address, role="slave", master=MASTER, link_down_seconds=down)

    def _sentinel(self, sentinel: Address) -> SentinelView:
        leads = sentinel == self.leader and self.now < self.failing_over_until
        renamed = self.promoted and self.now >= self.renamed_at
        return SentinelView(
            sentinel,
            master=HEIR if renamed else MASTER,
            flags=frozenset({"master", *self.flags.get(sentinel, set())})
            | ({"failover_in_progress"} if leads else set()),
            down_after=DOWN_AFTER * (100 if self.raised else 1),
            config_epoch=self.epoch + renamed,
        )

    def _carry_out(self, seat: Seat, decision: Decision) -> None:
        if isinstance(decision, Say):
            self.all_said.append(decision.vote)
            for to in self.seats:
                if to != seat.number and not (
                    seat.partitioned or (seat.number, to) in self.blocked
                ):
                    delay = self.delays() if self.delays else self.delay
                    self.mail.append(Mail(self.now + delay, to, decision.vote))
        elif isinstance(decision, Lead):
            self.led.append((seat.number, decision.replica, decision.new))
        elif isinstance(decision, StandBy):
            seat.standing_by = decision.reason
        elif isinstance(decision, Look):
            self._look(seat, decision)
        elif isinstance(decision, PassOver):
            self.passed_over.append((decision.sentinel, decision.reason))
        elif isinstance(decision, Ask):
            self.asked_while_raised |= self.raised
            self.asked_a_living_one |= self.alive and seat.connected_to == self.run_id
            self.asks.append((self.now, seat.number, decision.death.run_id))
            self.asked.append(decision.sentinel)
            self._take_request(seat, decision)

    def _look(self, seat: Seat, look: Look) -> None:
        problem = "it is in TILT mode" if look.sentinel in self.tilting else ""
        looked = Looked(look.sentinel, look.at, problem)
        if look.sentinel in self.stalled:
            self.late_answers.append((seat, looked))
        else:
            seat.core.note(looked, self.now + seat.clock)

    def go_on(self) -> None:
        """Let stalled sentinels answer what was sent to them meanwhile."""
        for seat, looked in self.late_answers:
            seat.core.note(looked, self.now + seat.clock)
        self.stalled, self.late_answers = set(), []

    def _take_request(self, seat: Seat, ask: Ask) -> None:
        now = self.now + seat.clock
        if ask.sentinel in self.refusing:
            seat.core.note(Answered(ask.sentinel, ask.at, "refused", "NOGOODSLAVE"), now)
            return
        self.taken_up.append(self.now)
        seconds = self.promotion_seconds
        self.leader = ask.sentinel
        self.failing_over_until = self.now + (2.0 if seconds is None else seconds)
        if seconds is not None:
            self.promotion_at = self.now + seconds
        seat.core.note(Answered(ask.sentinel, ask.at, "accepted"), now)

    def lose_everything(self, number: int) -> None:
        """Cut a witness off: no packet comes or goes, and its kernel gives the links up."""
        seat = self.seats[number]
        seat.partitioned = True
        for address in (MASTER, HEIR, OTHER):
            seat.core.note(Silent(address), self.now + seat.clock)
        seat.connected_to = ""

    def replay(self, vote: Vote, to: int) -> None:
        """Deliver a vote of the past once more."""
        self.mail.append(Mail(self.now, to, vote))

    def drop_mail(self) -> None:
        self.mail = []

    def hold_mail(self, seconds: float) -> None:
        self.mail = [replace(mail, due=mail.due + seconds) for mail in self.mail]


def _counter(prefix: str) -> Callable[[], str]:
    numbers: Iterator[int] = iter(range(1_000_000))
    return lambda: f"{prefix}{next(numbers)}"


def _stamps(world: World) -> Callable[[], int]:
    numbers: Iterator[int] = iter(range(1_000_000))
    return lambda: int(world.now * 1000) * 1000 + next(numbers) % 1000
