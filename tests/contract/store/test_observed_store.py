"""What is noted around a store: whether the last request was answered, and how many were not."""

from collections.abc import Callable
from contextlib import suppress

import pytest

from backup_worker.errors import AlreadyExists, ObjectNotFound, StoreUnreachable
from backup_worker.store.contract import Store
from backup_worker.store.memory import MemoryStore
from backup_worker.store.observed import ObservedStore
from tests.contract.store.test_store_contract import keys, read
from tests.faulty_store import FaultyStore

REQUESTS: dict[str, Callable[[Store], object]] = {
    "put": lambda store: store.put("x", [b"again"]),
    "get": lambda store: read(store, "x"),
    "head": lambda store: store.head("x"),
    "list": keys,
    "delete": lambda store: store.delete("x"),
}


@pytest.fixture
def faulty() -> FaultyStore:
    return FaultyStore(MemoryStore())


@pytest.mark.parametrize("request_name", REQUESTS)
def test_a_request_that_is_not_answered_is_a_problem_until_one_is(
    faulty: FaultyStore, request_name: str
) -> None:
    store = ObservedStore(faulty)
    store.put("x", [b"content"])
    assert (store.problem, store.failures) == ("", 0)
    faulty.away = True
    for _ in range(2):
        with pytest.raises(StoreUnreachable):
            REQUESTS[request_name](store)
    assert "away" in store.problem
    assert store.failures == 2
    faulty.away = False
    REQUESTS[request_name](store)
    assert (store.problem, store.failures) == ("", 2)


def test_an_unwelcome_answer_is_an_answer(faulty: FaultyStore) -> None:
    store = ObservedStore(faulty)
    store.put("x", [b"content"])
    for failing in (
        lambda: store.head("missing"),
        lambda: store.put("x", [b""], if_absent=True),
    ):
        store.problem = "from before"
        with suppress(ObjectNotFound, AlreadyExists):
            failing()
        assert store.problem == ""
    assert read(store, "x") == b"content"
    assert store.failures == 0


def test_a_read_that_is_broken_off_by_the_reader_says_nothing(faulty: FaultyStore) -> None:
    store = ObservedStore(faulty)
    store.put("x", [b"1", b"2"])
    stream = store.get("x")
    next(stream)
    stream.close()
    assert (store.problem, store.failures) == ("", 0)
