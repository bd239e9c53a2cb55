"""A lease in a store: threads, failures and what is left behind."""

import errno
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import pytest

from backup_worker.errors import LeaseLost, StoreUnreachable
from backup_worker.lease import Lease, keeping, rules
from backup_worker.lease.document import Document, Phase, decode, encode, key_of
from backup_worker.store.contract import StoredObject, read_small
from backup_worker.store.memory import MemoryStore
from tests.faulty_store import FaultyStore


@dataclass
class Place:
    """One store, one time, several workers."""

    store: FaultyStore = field(default_factory=lambda: FaultyStore(MemoryStore()))
    now: float = 100.0

    def lease(self, name: str) -> Lease:
        return Lease(self.store, name, clock=lambda: self.now)

    def document(self, term: int) -> Document | None:
        return decode(read_small(self.store, key_of(term)))

    def terms(self) -> list[str]:
        return [found.key for found in self.store.list("lease/")]

    def wait_for(self, *leases: Lease, until: Callable[[], bool]) -> float:
        """Let the leases take their steps until something is so; return the seconds it took."""
        began = self.now
        while not until():
            assert self.now - began < 120
            for lease in leases:
                lease.try_acquire()
            self.now += 1
        return self.now - began


@pytest.fixture
def place() -> Place:
    return Place()


def test_the_first_holds_at_once_and_the_second_stands_by(place: Place) -> None:
    first, second = place.lease("a"), place.lease("b")
    assert first.try_acquire() == 1
    assert second.try_acquire() is None
    first.require()
    with pytest.raises(LeaseLost, match="another worker holds"):
        second.require()
    assert place.document(1) == Document("a", Phase.HELD, 1)


def test_a_dead_holder_is_replaced_with_the_next_term(place: Place) -> None:
    first, second, third = place.lease("a"), place.lease("b"), place.lease("c")
    first.try_acquire()
    took = place.wait_for(second, third, until=lambda: bool(second.term or third.term))
    assert rules.VALID < took < 60
    assert (second.term, third.term) in {(2, None), (None, 2)}


def test_a_released_lease_is_taken_over_at_once(place: Place) -> None:
    first, second = place.lease("a"), place.lease("b")
    first.try_acquire()
    second.try_acquire()
    first.release()
    assert first.term is None
    with pytest.raises(LeaseLost, match="released"):
        first.require()
    assert second.try_acquire() == 2


def test_the_same_worker_started_again_holds_at_once(place: Place) -> None:
    place.lease("a").try_acquire()
    assert place.lease("a").try_acquire() == 2


def test_a_frozen_holder_finds_out_before_it_publishes(place: Place) -> None:
    first, second = place.lease("a"), place.lease("b")
    first.try_acquire()
    place.now += rules.VALID
    with pytest.raises(LeaseLost, match="20 s ago"):
        first.require()
    with pytest.raises(LeaseLost):
        first.renew()
    place.wait_for(second, until=lambda: second.term == 2)
    assert first.try_acquire() is None


def test_a_higher_term_is_noticed_by_the_next_renewal(place: Place) -> None:
    first = place.lease("a")
    first.try_acquire()
    place.store.put(key_of(2), [encode(Document("b", Phase.CLAIMED, 0))])
    first.require()
    with pytest.raises(LeaseLost, match="term 2 was claimed"):
        first.renew()
    with pytest.raises(LeaseLost):
        first.require()


def test_a_holder_whose_store_is_away_goes_on_for_as_long_as_its_renewal_counts(
    place: Place,
) -> None:
    lease = place.lease("a")
    lease.try_acquire()
    place.store.away = True
    place.now += 19
    with pytest.raises(StoreUnreachable):
        lease.renew()
    lease.require()
    place.now += 1
    with pytest.raises(LeaseLost):
        lease.renew()


def test_a_renewal_counts_from_before_it_was_sent(place: Place) -> None:
    lease = place.lease("a")
    lease.try_acquire()
    place.now += 5
    put = place.store.put

    def slow_put(*args: object, **options: object) -> object:
        place.now += 12
        return put(*args, **options)  # type: ignore[arg-type]

    place.store.put = slow_put  # type: ignore[method-assign,assignment]
    lease.renew()
    place.now += 7
    lease.require()
    place.now += 1
    with pytest.raises(LeaseLost):
        lease.require()


def test_a_claim_whose_answer_was_lost_is_made_again(place: Place) -> None:
    lease = place.lease("a")
    place.store.lost_answers = 1
    with pytest.raises(StoreUnreachable):
        lease.try_acquire()
    assert place.wait_for(lease, until=lambda: lease.term == 2) >= rules.WAIT


def test_content_that_nobody_understands_is_a_living_holder_s(place: Place) -> None:
    place.store.put(key_of(7), [b'{"format":2,"holder":"of the future"}'])
    lease = place.lease("a")
    assert place.wait_for(lease, until=lambda: lease.term == 8) > rules.STALE + rules.WAIT
    changing = iter(range(1000))

    def alive() -> bool:
        place.store.put(key_of(9), [b"%d" % next(changing)])
        return place.now > began + 100

    began = place.now
    other = place.lease("b")
    place.wait_for(other, until=alive)
    assert other.term is None


def test_the_holder_removes_all_but_the_last_ten_terms(place: Place) -> None:
    for number in range(13):
        lease = place.lease(f"worker {number}")
        lease.try_acquire()
        lease.release()
    assert place.terms() == [key_of(term) for term in range(4, 14)]


def test_a_store_that_refuses_to_delete_is_fine(place: Place) -> None:
    place.store.undeletable = True
    for number in range(13):
        lease = place.lease(f"worker {number}")
        assert lease.try_acquire() == number + 1
        lease.release()
    assert len(place.terms()) == 13


def test_it_is_renewed_in_the_background_and_released_at_the_end() -> None:
    store = FaultyStore(MemoryStore())
    lease, lost = Lease(store, "a"), threading.Event()
    assert lease.try_acquire() == 1
    with lease.kept(lambda _: lost.set()):
        assert not lost.wait(rules.RENEW + 1)
        document = decode(read_small(store, key_of(1)))
        assert document is not None
        assert document.counter >= 2
    assert Lease(store, "b").try_acquire() == 2


def test_its_loss_is_told_from_the_background() -> None:
    store = MemoryStore()
    lease, lost = Lease(store, "a"), threading.Event()
    lease.try_acquire()
    with lease.kept(lambda _: lost.set()):
        store.put(key_of(2), [encode(Document("b", Phase.CLAIMED, 0))])
        assert lost.wait(rules.RENEW + 5)
        with pytest.raises(LeaseLost):
            lease.require()
    assert decode(read_small(store, key_of(1))) == Document("a", Phase.HELD, 2)


class Broken(MemoryStore):
    """A store that, once it is broken, fails in a way that no store may."""

    broken = False

    def put(self, key: str, chunks: Iterable[bytes], *, if_absent: bool = False) -> StoredObject:
        if self.broken:
            raise OSError(errno.EROFS, "Read-only file system")
        return super().put(key, chunks, if_absent=if_absent)


@dataclass
class Skipping:
    """A clock that leaps past what a renewal counts for once it is told to."""

    ahead: float = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "RENEW", 0.1)
    monkeypatch.setattr(keeping, "_AGAIN", 0.1)


@pytest.mark.usefixtures("at_once")
def test_an_error_that_nobody_expects_is_survived_while_the_lease_lasts() -> None:
    store = Broken()
    lease, lost = Lease(store, "a"), threading.Event()
    lease.try_acquire()
    with lease.kept(lambda _: lost.set()):
        store.broken = True
        assert not lost.wait(0.5)
        store.broken = False
        before = decode(read_small(store, key_of(1)))
        assert not lost.wait(0.5)
        assert decode(read_small(store, key_of(1))) != before


@pytest.mark.usefixtures("at_once")
def test_an_error_that_nobody_expects_ends_the_work_when_the_lease_has_run_out() -> None:
    store, clock = Broken(), Skipping()
    lease, lost = Lease(store, "a", clock=clock), threading.Event()
    lease.try_acquire()
    with lease.kept(lambda _: lost.set()):
        store.broken = True
        assert not lost.wait(0.5)
        clock.ahead = rules.VALID
        assert lost.wait(5)
        store.broken = False
