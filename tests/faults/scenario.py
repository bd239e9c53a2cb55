"""A scenario: faults in time under a load with a ledger, then what must be true."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from subprocess import TimeoutExpired

import redis

from redis_ha.discovery import ask_sentinels
from redis_ha.errors import RedisHaError
from redis_ha.failover_test.measures import overlaps, spans_of
from redis_ha.failover_test.observer import Observer
from redis_ha.failover_test.records import Sample
from tests.faults.evidence import unseen
from tests.faults.fault import FENCED_WITHIN, Fault, Happened, inexcusable, may_tear_the_log
from tests.faults.injuries import begin
from tests.faults.world import World
from tests.processes.cluster import Process
from tests.processes.ledger import Ledger
from tests.processes.redis_ha.process_hands import site_of

# After the last fault ended (s): Sentinel demotes a master that is back within some ten seconds,
# tries one that it failed to replace again after twice its failover-timeout (20 s here), and does
# nothing for 30 s after a clock has jumped.
HEALTHY_WITHIN = 120.0
LOG_WHOLE_WITHIN = 60.0
# A fault hits a master that was seen to be one so shortly before (s).
_SEEN_WITHIN = 3.0
_WARM_SECONDS, _CALM_SECONDS = 1.0, 1.0
_PACE = 0.002
# How exactly an observer on a busy machine knows that two took writes at once (s).
_SLACK = 1.0
# What a machine that runs other tests as well may add to an outage (s).
_BUSY = 8.0


@dataclass(frozen=True)
class Scenario:
    """Faults under a name; `seed` deals the parts, so that the same seed hurts the same nodes.

    `outage_within` (s) is how long one writer may wait at most; None where that is not the point.
    `by_witness`: the sentinels' down-after was not waited for, however busy the machine was.
    """

    name: str
    faults: tuple[Fault, ...]
    seed: int = 0
    outage_within: float | None = None
    by_witness: bool = False


@dataclass(frozen=True)
class Running:
    """A fault that was begun, with its planned end; whom it hurts, and what ends it."""

    what: Happened
    hurt: frozenset[str]
    end: Callable[[], object]


@dataclass
class Outcome:
    """What a scenario came to; times in seconds."""

    scenario: Scenario
    acknowledged: int = 0
    lost: int = 0
    longest_gap: float = 0.0
    two_masters: float = 0.0
    healthy_after: float = 0.0
    troubles: list[str] = field(default_factory=list)

    @property
    def verdict(self) -> str:
        return "; ".join(self.troubles) or "passed"

    def __str__(self) -> str:
        faults = "; ".join(map(str, self.scenario.faults))
        return (
            f"{self.scenario.name} (seed {self.scenario.seed}): {faults}: {self.lost} of"
            f" {self.acknowledged} lost, gap {self.longest_gap:.2f} s, two masters"
            f" {self.two_masters:.2f} s, healthy {self.healthy_after:.1f} s after the end"
            + "".join(f"; {trouble}" for trouble in self.troubles)
        )


def play(world: World, scenario: Scenario) -> Outcome:
    """Play one scenario on a healthy cluster, mend it, and judge what came of it."""
    world.chance.seed(scenario.seed)
    world.cast()
    outcome = Outcome(scenario)
    overtaken, asked = world.overtaken(), world.asked()
    run = f"faults-{scenario.seed}-{time.monotonic_ns()}"
    observer = Observer(site_of(world.cluster), run)
    writers = Ledger.running(world.cluster, threads=3, pace=_PACE, token=f" {run}")
    with observer.watching(), writers as ledger:
        time.sleep(_WARM_SECONDS)
        happened: list[Happened] = []
        _attempt(lambda: _happen(world, scenario.faults, observer, happened), outcome)
        world.mend()
        ended = time.monotonic()
        _attempt(lambda: world.settle(HEALTHY_WITHIN), outcome)
        outcome.healthy_after = time.monotonic() - ended
        time.sleep(_CALM_SECONDS)
    outcome.two_masters = longest_overlap(observer.nodes)
    if not outcome.troubles:
        _attempt(lambda: _account(world, ledger, happened, outcome), outcome)
        _attempt(lambda: _judge(world, outcome), outcome)
        if scenario.by_witness and world.asked() == asked:
            outcome.troubles.append("no witness asked for a failover")
        may_lack = may_tear_the_log(scenario.faults) or world.overtaken() > overtaken
        _attempt(lambda: _judge_backup(world, outcome, may_lack=may_lack), outcome)
    return outcome


def _attempt(step: Callable[[], None], outcome: Outcome) -> None:
    try:
        step()
    except (AssertionError, RedisHaError, redis.RedisError, OSError, TimeoutExpired) as error:
        outcome.troubles.append(f"{type(error).__name__}: {error}")


def _happen(
    world: World, faults: Sequence[Fault], observer: Observer, happened: list[Happened]
) -> None:
    """Begin and end each fault at its time; note what happened when."""
    start = time.monotonic()
    to_come = sorted(faults, key=lambda one: one.at)
    running: list[Running] = []
    while to_come or running:
        begin_at = start + to_come[0].at if to_come else math.inf
        first = min(running, key=lambda one: one.what.ended, default=None)
        end_at = first.what.ended if first else math.inf
        time.sleep(max(0.0, min(begin_at, end_at) - time.monotonic()))
        if first is None or begin_at <= end_at:
            running.append(_begun(world, to_come.pop(0), observer, running))
        else:
            running.remove(first)
            first.end()
            happened.append(replace(first.what, ended=time.monotonic()))


def _begun(world: World, fault: Fault, observer: Observer, running: Sequence[Running]) -> Running:
    """Begin a fault; it ends as planned. Raises AssertionError where nothing of it shows."""
    hurt, begun = world.meant(fault.part), time.monotonic()
    names = {process.name for process in hurt}
    hit = fault.kind == "rolling" or bool(_masters(observer, begun) & names)
    end, revive = begin(world, fault, hurt), _hurt_worker(world, fault)
    what = Happened(fault, begun, time.monotonic(), begun + fault.seconds, hit)
    one = Running(what, frozenset(names), lambda: (end(), revive()))
    if missing := set(unseen(world, fault, _undisturbed(hurt, running))):
        one.end()
        raise AssertionError(f"{fault} didn't take hold on {', '.join(sorted(missing))}")
    return one


def _undisturbed(hurt: Sequence[Process], running: Sequence[Running]) -> list[Process]:
    """Return those on whom no other fault may hide what is to be seen."""
    if any(one.what.fault.kind == "rolling" for one in running):
        return []
    busy = {name for one in running for name in one.hurt}
    return [process for process in hurt if process.name not in busy]


def _masters(observer: Observer, now: float) -> set[str]:
    """Name the nodes that were just seen to be master."""
    return {
        name
        for name, samples in observer.nodes.items()
        if any(s.role == "master" and s.at > now - _SEEN_WITHIN for s in samples[-200:])
    }


def _hurt_worker(world: World, fault: Fault) -> Callable[[], None]:
    """A zone that goes takes the worker along, and so does the end of everything."""
    backup = world.backup
    if backup is None or fault.part not in ("zone", "everything") or fault.kind != "crash":
        return lambda: None
    backup.kill()
    return backup.start


def _account(world: World, ledger: Ledger, happened: Sequence[Happened], outcome: Outcome) -> None:
    lost = ledger.lost(world.cluster)
    outcome.acknowledged, outcome.lost = ledger.acknowledged, len(lost)
    outcome.longest_gap = ledger.longest_gap
    times = inexcusable(happened, [ledger.acknowledged_at(key) for key in lost])
    if times:
        begun = happened[0].begun
        outcome.troubles.append(
            f"{len(times)} writes lost beyond the bound, acknowledged {times[0] - begun:.1f} to"
            f" {times[-1] - begun:.1f} s after the first fault"
        )


def _judge(world: World, outcome: Outcome) -> None:
    if outcome.two_masters > FENCED_WITHIN + _SLACK:
        outcome.troubles.append(f"two masters took writes for {outcome.two_masters:.1f} s")
    bound = outcome.scenario.outage_within
    if bound is not None and outcome.longest_gap > bound + _BUSY:
        outcome.troubles.append(f"{outcome.longest_gap:.1f} s without a write, {bound} expected")
    if not outcome.acknowledged:
        outcome.troubles.append("nothing was ever written")
    if len(set(_level_digests(world))) != 1:
        outcome.troubles.append("the nodes hold different data")
    epochs = {view.config_epoch for view in ask_sentinels(world.cluster.access())}
    if len(epochs) != 1:
        outcome.troubles.append(f"the sentinels hold configurations of epochs {sorted(epochs)}")


def _judge_backup(world: World, outcome: Outcome, *, may_lack: bool) -> None:
    if world.backup is not None:
        outcome.troubles += world.backup.complaints(LOG_WHOLE_WITHIN, may_lack=may_lack)


def _level_digests(world: World) -> list[str]:
    def level() -> bool:
        return len({view.offset for view in world.cluster.views()}) == 1

    world.cluster.wait_for(level, 30.0, world.cluster.views)
    return world.cluster.digests()


def longest_overlap(nodes: Mapping[str, Sequence[Sample]]) -> float:
    """Return the longest time (s) in which two nodes were seen to take writes."""
    writable = {
        name: list(spans_of(sample.at for sample in samples if sample.writable))
        for name, samples in nodes.items()
    }
    return max((span.seconds for span in overlaps(writable)), default=0.0)
