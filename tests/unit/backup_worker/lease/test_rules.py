"""The lease's rules against any order of events: never two holders, and always one again."""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from backup_worker.errors import RefusedForSafety
from backup_worker.lease import rules
from backup_worker.lease.document import Document, Phase, decode, encode, key_of, term_of
from backup_worker.lease.rules import Claimed, Holding, StandingBy, judge, why_not

WORKERS = ("a", "b", "c")


class StoreFailed(Exception):
    """What a request ends with here when it gets no answer."""


@dataclass
class Objects:
    """The store: what is there, and writes under way that may still arrive."""

    terms: dict[int, bytes] = field(default_factory=dict)
    stray: list[rules.Request] = field(default_factory=list)

    def remove_before(self, term: int) -> None:
        """Remove even more than keeping.py does."""
        for old in [other for other in self.terms if other < term]:
            del self.terms[old]

    def carry_out(self, request: rules.Request) -> Any:
        match request:
            case rules.ListTerms():
                return list(self.terms)
            case rules.Read(term):
                return self.terms.get(term)
            case rules.Create(term, content):
                if term in self.terms:
                    return False
                self.terms[term] = content
                return True
            case rules.Rewrite(term, content):
                self.terms[term] = content
                return None


@dataclass
class Worker:
    """A process: its state, and the step it is in, which waits for an answer."""

    name: str
    objects: Objects
    clock: Callable[[], float]
    state: rules.State = field(default_factory=StandingBy)
    steps: rules.Steps | None = None
    request: rules.Request | None = None
    answer: Any = None
    carried_out: bool = False
    alive: bool = True

    def begin(self) -> None:
        self.steps = rules.step(self.state, self.name, self.clock)
        self._advance(next)

    def go_on(self) -> None:
        """Do the next thing without a fault."""
        if self.steps is None:
            self.begin()
        elif self.carried_out:
            self.receive()
        else:
            self.carry_out()

    def carry_out(self) -> None:
        """The request arrives at the store."""
        if self.request is not None and not self.carried_out:
            self.answer, self.carried_out = self.objects.carry_out(self.request), True

    def receive(self) -> None:
        """The answer arrives here."""
        answer, self.answer, self.carried_out = self.answer, None, False
        self._advance(lambda steps: steps.send(answer))

    def fail(self) -> None:
        """No answer; a request that was not carried out may be later."""
        if self.request is not None and not self.carried_out:
            self.objects.stray.append(self.request)
        self.answer, self.carried_out = None, False
        with pytest.raises(StoreFailed):
            self._advance(lambda steps: steps.throw(StoreFailed()))
        self.steps = self.request = None

    def crash(self) -> None:
        if self.request is not None and not self.carried_out:
            self.objects.stray.append(self.request)
        self.state, self.steps, self.request = StandingBy(), None, None
        self.answer, self.carried_out, self.alive = None, False, False

    def release(self) -> None:
        """As keeping.py does it."""
        state, self.state = self.state, StandingBy()
        if isinstance(state, Holding) and not why_not(state, now=self.clock()):
            document = Document(self.name, Phase.RELEASED, state.counter + 1)
            self.objects.terms[state.term] = encode(document)

    def may_publish(self) -> bool:
        return self.alive and not why_not(self.state, now=self.clock())

    def _advance(self, resume: Callable[[rules.Steps], rules.Request]) -> None:
        assert self.steps is not None
        try:
            self.request = resume(self.steps)
        except StopIteration as end:
            self.state, self.steps, self.request = end.value, None, None


@dataclass
class World:
    """Workers around one store; each worker's clock runs at the same speed, from its own zero."""

    objects: Objects = field(default_factory=Objects)
    now: float = 1000.0
    workers: list[Worker] = field(default_factory=list)

    def __post_init__(self) -> None:
        for number, name in enumerate(WORKERS):
            offset = 137.0 * number
            self.workers.append(Worker(name, self.objects, lambda o=offset: self.now + o))

    def holders(self) -> list[str]:
        return [worker.name for worker in self.workers if worker.may_publish()]

    def run(
        self,
        seconds: float,
        *,
        latency: Callable[[], float],
        frozen: str = "",
        until_held: bool = True,
    ) -> float | None:
        """Let all living workers but a frozen one work without a fault.

        Returns when one held, None if none did in that time.
        """
        until = self.now + seconds
        due = {w.name: self.now for w in self.workers if w.alive and w.name != frozen}
        while due and self.now < until:
            name = min(due, key=due.__getitem__)
            worker = next(w for w in self.workers if w.name == name)
            self.now = max(self.now, min(due[name], until))
            worker.go_on()
            rest = rules.pause(worker.state, now=worker.clock()) if worker.steps is None else 0.0
            due[name] = self.now + rest + latency()
            assert len(self.holders()) <= 1
            if until_held and self.holders():
                return self.now
        return None


class AnyOrder(RuleBasedStateMachine):
    """Requests, answers, failures, crashes, pauses and stray writes in any order."""

    who = st.integers(0, len(WORKERS) - 1)

    @initialize()
    def start(self) -> None:
        self.world = World()

    @rule(seconds=st.floats(0, 6))
    def time_passes(self, seconds: float) -> None:
        self.world.now += seconds

    @rule(seconds=st.floats(10, 70))
    def much_time_passes(self, seconds: float) -> None:
        self.world.now += seconds

    @rule(who=who, times=st.integers(1, 8))
    def go_on(self, who: int, times: int) -> None:
        for _ in range(times):
            if self.world.workers[who].alive:
                self.world.workers[who].go_on()

    @rule(frozen=st.sampled_from(("", *WORKERS)), seconds=st.floats(1, 60), seed=st.integers(0, 9))
    def work_while_one_is_frozen(self, frozen: str, seconds: float, seed: int) -> None:
        pace = random.Random(seed)
        self.world.run(
            seconds, latency=lambda: pace.uniform(0.01, 0.9), frozen=frozen, until_held=False
        )

    @rule(who=who)
    def fail(self, who: int) -> None:
        if self.world.workers[who].steps is not None:
            self.world.workers[who].fail()

    @rule(who=who)
    def crash(self, who: int) -> None:
        self.world.workers[who].crash()

    @rule(who=who)
    def start_again(self, who: int) -> None:
        self.world.workers[who].alive = True

    @rule(who=who)
    def release(self, who: int) -> None:
        if self.world.workers[who].steps is None:
            self.world.workers[who].release()

    @precondition(lambda self: self.world.objects.stray)
    @rule(data=st.data())
    def a_stray_write_arrives(self, data: st.DataObject) -> None:
        stray = self.world.objects.stray
        self.world.objects.carry_out(stray.pop(data.draw(st.integers(0, len(stray) - 1))))

    @precondition(lambda self: self.world.holders())
    @rule()
    def old_terms_are_removed(self) -> None:
        for worker in self.world.workers:
            if worker.may_publish():
                self.world.objects.remove_before(worker.state.term)

    @invariant()
    def never_two(self) -> None:
        assert len(self.world.holders()) <= 1

    def teardown(self) -> None:
        """From wherever this ended, one holds again within 60 s of the holder's death."""
        for worker in self.world.workers:
            if worker.may_publish():
                worker.crash()
        self.world.workers[0].crash()
        self.world.workers[1].alive = True
        for worker in self.world.workers:
            if worker.steps is not None:
                worker.fail()
        died, pace = self.world.now, random.Random(1)
        held = self.world.run(60, latency=lambda: pace.uniform(0.01, 0.4))
        assert held is not None
        assert held - died < 60


AnyOrder.TestCase.settings = settings(
    max_examples=200,
    stateful_step_count=60,
    suppress_health_check=[HealthCheck.too_slow],
)
TestAnyOrder = AnyOrder.TestCase


def rough_day(world: World, dice: random.Random, *, seconds: float) -> int:
    """Work with long pauses, failures, crashes and late writes; return how many terms were held."""
    until, due = world.now + seconds, dict.fromkeys(WORKERS, world.now)
    held: set[int] = set()
    while world.now < until:
        name = min(due, key=due.__getitem__)
        worker = next(w for w in world.workers if w.name == name)
        world.now = max(world.now, due[name])
        what = dice.random()
        if world.objects.stray and what < 0.02:
            world.objects.carry_out(world.objects.stray.pop(0))
        elif not worker.alive or what < 0.01:
            worker.crash() if worker.alive else setattr(worker, "alive", True)
        elif worker.steps is not None and what < 0.05:
            worker.fail()
        elif worker.steps is None and what < 0.02:
            worker.release()
        else:
            worker.go_on()
        rest = rules.pause(worker.state, now=worker.clock()) if worker.steps is None else 0.0
        hiccup = dice.uniform(*dice.choice(((0, 24), (13, 22)))) if dice.random() < 0.06 else 0.0
        due[name] = world.now + (hiccup or rest + dice.uniform(0.001, 0.3))
        assert len(world.holders()) <= 1
        for term in [w.state.term for w in world.workers if w.may_publish()]:
            held.add(term)
            world.objects.remove_before(term)
    return len(held)


@given(seed=st.integers(0, 2**32))
@settings(max_examples=40)
def test_rough_days_never_have_two_holders(seed: int) -> None:
    assert rough_day(World(), random.Random(seed), seconds=6000) > 10


@given(seed=st.integers(0, 2**32))
@settings(max_examples=60)
def test_a_dead_holder_is_replaced_within_a_minute_on_a_slow_store(seed: int) -> None:
    pace = random.Random(seed)
    world = World()
    slow = lambda: pace.uniform(0.05, 1.0)  # noqa: E731
    assert world.run(60, latency=slow) is not None
    died = world.now
    next(worker for worker in world.workers if worker.may_publish()).crash()
    held = world.run(60, latency=slow)
    assert held is not None
    assert held - died < 60


def watch(document: Document | bytes, *, since: float = 0.0) -> StandingBy:
    content = document if isinstance(document, bytes) else encode(document)
    return StandingBy(7, content, since)


@pytest.mark.parametrize(
    ("seen", "claim", "at_once", "reason"),
    [
        (StandingBy(), True, True, "nobody has held"),
        (watch(Document("b", Phase.RELEASED, 3)), True, True, "b released it"),
        (watch(Document("a", Phase.HELD, 3)), True, True, "own process"),
        (watch(Document("a", Phase.CLAIMED, 3)), True, False, "own process"),
        (watch(Document("b", Phase.HELD, 3), since=90), False, False, "b holds term 7"),
        (watch(Document("b", Phase.CLAIMED, 3), since=90), False, False, "b holds term 7"),
        (watch(Document("b", Phase.HELD, 3), since=80), True, False, "not renewed it for 20 s"),
        (watch(b"what is this", since=90), False, False, "an unknown holder holds term 7"),
        (watch(b"what is this", since=80), True, False, "an unknown holder"),
    ],
)
def test_what_a_lease_object_means(
    seen: StandingBy, claim: bool, at_once: bool, reason: str
) -> None:
    verdict = judge(seen, "a", now=100.0)
    assert (verdict.claim, verdict.at_once) == (claim, at_once)
    assert reason in verdict.reason


def test_only_a_fresh_renewal_lets_publish() -> None:
    assert why_not(Holding(1, 0, renewed=100, reason=""), now=119.9) == ""
    assert "20 s ago" in why_not(Holding(1, 0, renewed=100, reason=""), now=120)
    assert why_not(Claimed(1, 0, 100, 121, ""), now=101)
    assert why_not(StandingBy(lost="term 2 was claimed"), now=0) == "term 2 was claimed"


GOOD: dict[str, Any] = {"counter": 1, "format": 1, "state": "held", "worker": "a"}


def test_a_document_is_read_as_it_was_written() -> None:
    document = Document("a", Phase.CLAIMED, 12)
    assert encode(document) == b'{"counter":12,"format":1,"state":"claimed","worker":"a"}'
    assert decode(encode(document)) == document


@pytest.mark.parametrize(
    "change",
    [
        *[{"format": 2}, {"counter": -1}, {"counter": True}, {"state": "free"}],
        *[{"worker": ""}, {"worker": 7}, {"more": 1}],
    ],
)
def test_what_says_anything_else_is_not_understood(change: dict[str, Any]) -> None:
    assert decode(json.dumps(GOOD).encode()) is not None
    assert decode(json.dumps(GOOD | change).encode()) is None


@given(
    st.binary()
    | st.recursive(st.none() | st.text(), st.lists).map(lambda v: json.dumps(v).encode())
)
def test_no_content_breaks_the_reader(content: bytes) -> None:
    assert decode(content) is None


def test_keys() -> None:
    assert key_of(42) == "lease/0000000042.json"
    assert term_of("lease/0000000042.json") == 42
    for other in ("lease/0000000000.json", "lease/42.json", "lease/x", "log/0000000042.json"):
        assert term_of(other) is None
    with pytest.raises(RefusedForSafety, match="ten digits"):
        key_of(10**10)


class Careless(Objects):
    """A store that ignores the condition of a claim."""

    def carry_out(self, request: rules.Request) -> Any:
        if isinstance(request, rules.Create):
            self.terms[request.term] = request.content
            return True
        return super().carry_out(request)


@pytest.mark.parametrize("seed", range(20))
def test_a_store_that_lets_two_make_one_claim_is_found_out(seed: int) -> None:
    randomly = random.Random(seed)
    world = World(Careless())
    one, other = world.workers[:2]
    for worker in (one, other):
        worker.begin()
        while not isinstance(worker.request, rules.Create):
            worker.go_on()
    world.workers = [one, other]
    world.run(120, latency=lambda: randomly.uniform(0.01, 0.3), until_held=False)
    assert len(world.holders()) == 1
    states = {type(worker.state) for worker in world.workers}
    assert states == {Holding, StandingBy}
