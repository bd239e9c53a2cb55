"""The worker's rounds: when it takes a snapshot, and of which kind."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest

from backup_worker.catalog import Catalog
from backup_worker.clock import Clocks
from backup_worker.demand import Demand
from backup_worker.errors import BackupError, ClusterUnreachable, StoreFull, StoreUnreachable
from backup_worker.manifest import Kind, Manifest, proof_key
from backup_worker.proving import proof as proofs
from backup_worker.rounds import LOOK_SECONDS, Rounds
from backup_worker.snapshot import Taken
from backup_worker.store.memory import MemoryStore
from backup_worker.transform.signing import Signer
from tests.unit.backup_worker.snapshots import NOW, made, proof_of, publish

HOUR = timedelta(hours=1)


@dataclass
class Times:
    """Clocks that move when someone sleeps."""

    steady: float = 1000.0
    wall: datetime = NOW

    def sleep(self, seconds: float) -> None:
        self.steady += seconds
        self.wall += timedelta(seconds=seconds)


@dataclass
class Stage:
    """A worker on a store in memory, whose snapshots take ten seconds or fail."""

    times: Times = field(default_factory=Times)
    store: MemoryStore = field(default_factory=MemoryStore)
    signer: Signer = field(default_factory=Signer.generate)
    failure: Exception | None = None
    # What comes of the drill; None where there is none.
    proven: bool | None = None
    taken: list[Manifest] = field(default_factory=list)

    demand: Demand = field(init=False)
    pruned: int = 0
    # How often the store is full yet, and how much pruning removes.
    full: int = 0
    past: int = 0
    # Called in the middle of a snapshot.
    meanwhile: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        self.demand = Demand(lambda: self.times.wall)

    def rounds(self) -> Rounds:
        catalog = Catalog(self.store, (self.signer.public_key,), lambda: self.times.wall)
        return Rounds(
            catalog=lambda: catalog,
            take=lambda kind, _report: self.take(kind),
            prune=lambda _catalog: self.prune(),
            interval=HOUR,
            demand=self.demand,
            clocks=Clocks(lambda: self.times.steady, lambda: self.times.wall),
        )

    def take(self, kind: Kind) -> Taken:
        if self.failure is not None:
            raise self.failure
        if self.full:
            self.full -= 1
            raise unreachable(StoreFull)
        age = (NOW - self.times.wall).total_seconds() / 3600
        manifest = replace(made(age, nonce=len(self.taken) + 1), kind=kind)
        self.times.sleep(10)
        self.meanwhile()
        self.taken.append(publish(self.store, self.signer, manifest))
        proof = None if self.proven is None else proof_of(manifest, proven=self.proven)
        return Taken(manifest, proof)

    def prune(self) -> int:
        self.pruned += 1
        return self.past

    def until_the_next(self, rounds: Rounds) -> float:
        """Let the worker go on until it has taken another snapshot; the seconds until it began."""
        taken, began = len(self.taken), self.times.steady
        while len(self.taken) == taken:
            before = self.times.steady
            self.times.sleep(rounds.round())
        return before - began

    def tried(self, manifest: Manifest, *, proven: bool) -> None:
        """Put a verdict into the store, as `verify` does."""
        proof = proofs.encode(proof_of(manifest, proven=proven))
        envelope = self.signer.sign(proof, payload_type=proofs.PAYLOAD_TYPE)
        self.store.put(proof_key(manifest.id), [envelope])


@pytest.fixture
def stage() -> Stage:
    return Stage()


def unreachable(kind: type[BackupError]) -> BackupError:
    return kind(operation="reach", subject="it", cause="it is away", hint="wait")


def test_the_first_snapshot_is_taken_at_once_and_the_next_an_interval_after_it_began(
    stage: Stage,
) -> None:
    rounds = stage.rounds()
    assert stage.until_the_next(rounds) == 0
    assert stage.until_the_next(rounds) == 3590 - LOOK_SECONDS
    assert len(stage.taken) == 2


def test_a_restart_shortly_after_a_snapshot_takes_none(stage: Stage) -> None:
    publish(stage.store, stage.signer, made(0.25))
    assert stage.until_the_next(stage.rounds()) == 2700


def test_a_restart_after_the_interval_takes_one(stage: Stage) -> None:
    publish(stage.store, stage.signer, made(1.1))
    stage.rounds().round()
    assert len(stage.taken) == 1


@pytest.mark.parametrize("behind", [0, 1])
def test_a_snapshot_that_does_not_reach_to_where_the_log_begins_again_closes_no_gap(
    stage: Stage, behind: int
) -> None:
    """Its replica lagged behind the one that the log follows."""
    rounds = stage.rounds()
    rounds.round()
    (last,) = stage.taken
    begins = replace(last.replication, offset=last.replication.offset + behind)
    stage.demand.ask("the log has a gap", begins)
    assert (rounds.round() == 0.0) is bool(behind)
    assert bool(stage.demand.open[1]) is bool(behind)
    stage.times.sleep(1)
    stage.demand.met_since(stage.times.wall, last.replication)
    assert bool(stage.demand.open[1]) is bool(behind)
    stage.demand.met_since(stage.times.wall, replace(begins, replid="b" * 40, offset=1))
    assert not stage.demand.open[1]


def test_in_a_full_store_what_is_past_its_retention_makes_room(stage: Stage) -> None:
    stage.full, stage.past = 1, 3
    assert stage.rounds().round() == LOOK_SECONDS
    assert (len(stage.taken), stage.pruned) == (1, 2)


def test_a_store_that_stays_full_is_tried_only_once_more(stage: Stage) -> None:
    stage.full, stage.past = 9, 3
    rounds = stage.rounds()
    rounds.round()
    assert (stage.full, stage.pruned, stage.taken) == (7, 1, [])
    assert rounds.standing.problem


def test_where_nothing_is_past_its_retention_a_full_store_is_not_filled_twice(
    stage: Stage,
) -> None:
    stage.full = 9
    stage.rounds().round()
    assert (stage.full, stage.pruned) == (8, 1)


def test_a_failed_proof_stays_known_until_another_snapshot_is_proven(stage: Stage) -> None:
    stage.proven = False
    rounds = stage.rounds()
    rounds.round()
    assert rounds.standing.proof_failed
    stage.proven = True
    stage.times.sleep(3600)
    rounds.round()
    assert not rounds.standing.proof_failed


def test_a_failed_proof_in_the_store_is_known_after_a_restart(stage: Stage) -> None:
    stage.tried(publish(stage.store, stage.signer, made(0.25)), proven=False)
    stage.failure = unreachable(ClusterUnreachable)
    rounds = stage.rounds()
    rounds.round()
    assert rounds.standing.proof_failed


def test_a_proof_that_fails_later_is_seen_within_a_minute_and_until_another_is_proven(
    stage: Stage,
) -> None:
    stage.proven = True
    rounds = stage.rounds()
    rounds.round()
    stage.tried(stage.taken[0], proven=True)
    assert rounds.round() <= LOOK_SECONDS
    assert not rounds.standing.proof_failed
    stage.tried(stage.taken[0], proven=False)
    rounds.round()
    assert rounds.standing.proof_failed
    stage.proven = None
    stage.until_the_next(rounds)
    rounds.round()
    assert rounds.standing.proof_failed
    stage.tried(stage.taken[1], proven=True)
    rounds.round()
    assert not rounds.standing.proof_failed


def test_a_look_at_a_store_in_which_nothing_changed_reads_nothing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(stage.store, stage.signer, made(0.25))
    rounds, reads = stage.rounds(), list[str]()
    read = stage.store.get
    monkeypatch.setattr(
        stage.store, "get", lambda key, *rest: reads.append(key) or read(key, *rest)
    )
    rounds.round()
    first = len(reads)
    for _ in range(20):
        stage.times.sleep(rounds.round())
    assert (first, len(reads)) == (1, 1)
    stage.tried(made(0.25), proven=True)
    rounds.round()
    assert len(reads) == 3


def test_a_snapshot_that_cannot_be_trusted_does_not_count(stage: Stage) -> None:
    publish(stage.store, Signer.generate(), made(0.25))
    stage.rounds().round()
    assert len(stage.taken) == 1


def test_a_day_of_rounds_takes_one_each_hour(stage: Stage) -> None:
    rounds, end = stage.rounds(), stage.times.steady + 24 * 3600
    while stage.times.steady < end:
        stage.times.sleep(rounds.round())
    assert len(stage.taken) == 24
    gaps = {b.taken_at - a.taken_at for a, b in zip(stage.taken, stage.taken[1:], strict=False)}
    assert gaps == {HOUR}


@pytest.mark.parametrize("jump", [timedelta(days=-30), timedelta(days=30)])
def test_a_jump_of_the_wall_clock_neither_stops_nor_hurries_it(
    stage: Stage, jump: timedelta
) -> None:
    rounds = stage.rounds()
    rounds.round()
    stage.times.wall += jump
    stage.times.sleep(1800)
    rounds.round()
    assert len(stage.taken) == 1
    assert stage.until_the_next(rounds) == pytest.approx(1790, abs=1)


def test_each_snapshot_is_followed_by_pruning(stage: Stage) -> None:
    rounds = stage.rounds()
    stage.times.sleep(rounds.round())
    rounds.round()
    assert stage.pruned == 1


def test_a_snapshot_that_is_wanted_is_taken_at_once_and_once(stage: Stage) -> None:
    rounds = stage.rounds()
    rounds.round()
    stage.demand.ask("the log has a gap")
    assert rounds.round() == LOOK_SECONDS
    assert rounds.round() == LOOK_SECONDS
    assert [manifest.kind for manifest in stage.taken] == [Kind.SCHEDULED, Kind.GAP]


def test_what_is_wanted_during_a_snapshot_needs_another(stage: Stage) -> None:
    wishes = iter(["the log has a gap"])
    stage.meanwhile = lambda: [stage.demand.ask(wish) for wish in wishes] and None
    rounds = stage.rounds()
    assert rounds.round() == 0
    assert rounds.round() == LOOK_SECONDS
    assert [manifest.kind for manifest in stage.taken] == [Kind.SCHEDULED, Kind.GAP]


def test_a_snapshot_that_another_took_meets_a_wish(stage: Stage) -> None:
    rounds = stage.rounds()
    rounds.round()
    stage.demand.ask("the log begins here")
    stage.times.sleep(60)
    publish(stage.store, stage.signer, made(-70 / 3600, nonce=99))
    stage.times.sleep(60)
    rounds.round()
    assert len(stage.taken) == 1
    assert stage.demand.open[1] == ""


def test_another_worker_s_log_that_reaches_into_ours_meets_a_wish(stage: Stage) -> None:
    stage.demand.ask("the log begins here")
    asked = stage.times.wall
    stage.times.sleep(60)
    stage.demand.met_since(asked - timedelta(seconds=1))
    assert stage.demand.open[1] == "the log begins here"
    stage.demand.met_since(asked + timedelta(seconds=1))
    assert stage.demand.open[1] == ""


def test_a_log_that_reaches_into_the_future_meets_no_wish(stage: Stage) -> None:
    stage.demand.ask("the log begins here")
    stage.demand.met_since(stage.times.wall + timedelta(days=30))
    assert stage.demand.open[1] == "the log begins here"


def test_snapshots_of_a_clock_that_was_ahead_hide_neither_gaps_nor_failures(stage: Stage) -> None:
    rounds = stage.rounds()
    rounds.round()
    stage.times.wall += timedelta(days=30)
    stage.times.sleep(3600)
    rounds.round()
    stage.times.wall -= timedelta(days=30)
    stage.times.sleep(3600)
    rounds.round()
    stage.demand.ask("the log has a gap")
    rounds.round()
    assert [manifest.kind for manifest in stage.taken] == [Kind.SCHEDULED] * 3 + [Kind.GAP]
    stage.failure = unreachable(ClusterUnreachable)
    for _ in range(10):
        stage.times.sleep(3600)
        rounds.round()
    assert rounds.standing.snapshot == stage.taken[-1].id
    assert stage.times.steady - rounds.standing.taken == pytest.approx(36010, abs=20)


def test_a_clock_that_leaps_makes_no_snapshot_older_than_it_is(stage: Stage) -> None:
    rounds = stage.rounds()
    rounds.round()
    stage.times.wall += timedelta(days=30)
    stage.times.sleep(600)
    rounds.round()
    assert stage.times.steady - rounds.standing.taken == pytest.approx(610, abs=1)


def test_a_wish_outlives_a_failure(stage: Stage) -> None:
    rounds = stage.rounds()
    rounds.round()
    stage.demand.ask("the log has a gap")
    stage.failure = unreachable(ClusterUnreachable)
    assert rounds.round() == 2
    stage.failure = None
    rounds.round()
    assert stage.taken[-1].kind is Kind.GAP
    assert stage.demand.open[1] == ""


@pytest.mark.parametrize("kind", [ClusterUnreachable, StoreFull, StoreUnreachable])
def test_a_failure_is_told_waited_on_and_tried_again(stage: Stage, kind: type[BackupError]) -> None:
    rounds = stage.rounds()
    stage.failure = unreachable(kind)
    assert [rounds.round() for _ in range(3)] == [2, 4, 8]
    assert rounds.standing.snapshot is None
    assert rounds.standing.problem == "reach it: it is away; wait"
    stage.failure = None
    rounds.round()
    assert (rounds.standing.snapshot, rounds.standing.problem) == (stage.taken[0].id, "")


def test_even_a_bug_does_not_end_it(stage: Stage) -> None:
    stage.failure = ZeroDivisionError("division by zero")
    rounds = stage.rounds()
    assert rounds.round() == 2
    assert rounds.standing.problem == "unexpected ZeroDivisionError: division by zero"


def test_sigterm_passes_through_it(stage: Stage) -> None:
    class Stopped(BaseException):
        pass

    stage.failure = Stopped()  # type: ignore[assignment]
    with pytest.raises(Stopped):
        stage.rounds().round()
