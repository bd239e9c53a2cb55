"""What docs and callers rely on, the same for every store."""

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext

import pytest

from backup_worker.errors import (
    AlreadyExists,
    BackupError,
    DeletionRefused,
    ObjectNotFound,
    UsageError,
)
from backup_worker.store.contract import Store, StoredObject
from backup_worker.store.s3 import MIB, S3Store

BAD_KEYS = [
    *["", "/x", "x/", "a//b", ".", "..", "../x", "a/../b", "a/.b", "a b", "a\nb", "ä", "a\\b"],
    *["-x", "x" * 201, "/".join("x" * 100 for _ in range(9))],
]
SIZES = [0, 1, 8 * MIB - 1, 8 * MIB, 8 * MIB + 1, 20 * MIB]


class SourceFailed(Exception):
    """What a stream of chunks raises in these tests."""


def content(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def pieces(data: bytes, size: int = 300_000) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def failing_after(size: int, error: Callable[[], BaseException]) -> Iterator[bytes]:
    yield from pieces(content(size))
    raise error()


def read(store: Store, key: str, *, offset: int = 0) -> bytes:
    with closing(store.get(key, offset=offset)) as chunks:
        return b"".join(chunks)


def keys(store: Store, prefix: str = "") -> list[str]:
    return [found.key for found in store.list(prefix)]


@pytest.mark.parametrize("size", SIZES)
def test_what_was_put_is_read_back(store: Store, size: int) -> None:
    assert store.put("snapshots/1/data", pieces(content(size))) == StoredObject(
        "snapshots/1/data", size
    )
    assert read(store, "snapshots/1/data") == content(size)
    assert store.head("snapshots/1/data").size == size


def test_a_put_replaces(store: Store) -> None:
    store.put("x", [b"old and longer"])
    store.put("x", [b"new"])
    assert read(store, "x") == b"new"
    assert keys(store) == ["x"]


def test_chunks_of_any_size(store: Store) -> None:
    data = content(9 * MIB)
    store.put("x", [b"", data[:1], b"", data[1:], b""])
    assert read(store, "x") == data


@pytest.mark.parametrize("offset", [0, 1, 700_000, 999_999, 1_000_000, 5_000_000])
def test_reading_from_an_offset(store: Store, offset: int) -> None:
    store.put("x", [content(1_000_000)])
    assert read(store, "x", offset=offset) == content(1_000_000)[offset:]


def test_reading_an_empty_object_from_an_offset(store: Store) -> None:
    store.put("x", [])
    assert read(store, "x", offset=3) == b""


def test_a_read_can_be_given_up(store: Store) -> None:
    store.put("x", pieces(content(2 * MIB)))
    with closing(store.get("x")) as chunks:
        assert content(2 * MIB).startswith(next(chunks))
    assert read(store, "x") == content(2 * MIB)


def test_an_absent_object_is_named(store: Store) -> None:
    for attempt in (lambda: read(store, "no/such"), lambda: store.head("no/such")):
        with pytest.raises(ObjectNotFound, match="no/such") as raised:
            attempt()
        assert raised.value.exit_code == 3


def test_a_prefix_of_a_key_is_no_object(store: Store) -> None:
    store.put("a/b", [b"x"])
    with pytest.raises(ObjectNotFound):
        read(store, "a")
    with pytest.raises(ObjectNotFound):
        store.head("a")


def test_list_is_sorted_and_by_prefix(store: Store) -> None:
    names = ["b", "a/2", "a/10", "a-1", "a.1", "a/1/x", "ab", "c/d/e/f"]
    for name in names:
        store.put(name, [name.encode()])
    assert keys(store) == sorted(names)
    assert keys(store, "a/") == ["a/1/x", "a/10", "a/2"]
    assert keys(store, "a/1") == ["a/1/x", "a/10"]
    assert keys(store, "a") == sorted(n for n in names if n.startswith("a"))
    assert keys(store, "none") == []
    assert list(store.list("c")) == [StoredObject("c/d/e/f", 7)]


def test_a_marked_object_is_what_it_was_until_the_store_removes_it(store: Store) -> None:
    store.put("a/1", [b"x"])
    marks = isinstance(store, S3Store)
    for key in ("a/1", "a/1", "never/was"):
        with nullcontext() if marks else pytest.raises(DeletionRefused, match="by itself"):
            store.expire(key)
    assert keys(store) == ["a/1"]
    assert b"".join(store.get("a/1")) == b"x"
    store.put("a/1", [b"anew"])
    store.delete("a/1")
    assert keys(store) == []


def test_delete_is_idempotent_and_leaves_the_others(store: Store) -> None:
    store.put("a/1", [b"x"])
    store.put("a/2", [b"y"])
    store.delete("a/1")
    store.delete("a/1")
    store.delete("never/was")
    assert keys(store) == ["a/2"]
    store.delete("a/2")
    store.put("a", [b"now an object"])
    assert keys(store) == ["a"]


@pytest.mark.parametrize("size", [10, 9 * MIB])
def test_if_absent_writes_once(store: Store, size: int) -> None:
    store.put("x", pieces(content(size)), if_absent=True)
    with pytest.raises(AlreadyExists, match="x"):
        store.put("x", pieces(content(size + 1)), if_absent=True)
    assert read(store, "x") == content(size)


def test_of_several_at_once_one_wins(store: Store) -> None:
    won: list[bytes] = []
    barrier = threading.Barrier(6)

    def race(mine: bytes) -> None:
        def late() -> Iterator[bytes]:
            barrier.wait(10)
            yield mine

        try:
            store.put("x", late(), if_absent=True)
            won.append(mine)
        except AlreadyExists:
            pass

    threads = [threading.Thread(target=race, args=(b"%d" % i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(won) == 1
    assert read(store, "x") == won[0]


@pytest.mark.parametrize("size", [100_000, 20 * MIB])
@pytest.mark.parametrize("error", [SourceFailed, ConnectionResetError, KeyboardInterrupt])
def test_a_failing_source_leaves_nothing(
    store: Store, size: int, error: type[BaseException]
) -> None:
    with pytest.raises(error):
        store.put("deep/er/x", failing_after(size, error))
    assert keys(store) == []
    store.put("deep", [b"the folder is gone too"])


def test_a_failing_source_leaves_the_old_object(store: Store) -> None:
    store.put("x", [b"old"])
    with pytest.raises(SourceFailed):
        store.put("x", failing_after(9 * MIB, SourceFailed))
    assert read(store, "x") == b"old"


def test_a_reader_never_sees_a_part(store: Store) -> None:
    seen: list[list[str]] = []

    def watched() -> Iterator[bytes]:
        for chunk in pieces(content(20 * MIB), 4 * MIB):
            yield chunk
            seen.append(keys(store))

    store.put("x", watched())
    assert seen == [[]] * 5
    assert keys(store) == ["x"]


@pytest.mark.parametrize("key", BAD_KEYS)
def test_a_key_that_some_store_could_not_hold_is_refused(store: Store, key: str) -> None:
    attempts: list[Callable[[], object]] = [
        lambda: store.put(key, [b"x"]),
        lambda: read(store, key),
        lambda: store.head(key),
        lambda: store.delete(key),
    ]
    for attempt in attempts:
        with pytest.raises(UsageError):
            attempt()
    assert keys(store) == []


@pytest.mark.parametrize("prefix", ["/", "../", "a/../", ".x", "a b"])
def test_a_prefix_that_no_key_has_is_refused(store: Store, prefix: str) -> None:
    with pytest.raises(UsageError):
        keys(store, prefix)


@pytest.mark.parametrize(("first", "second"), [("x", "x/y"), ("x/y", "x")])
def test_a_name_is_an_object_or_a_folder(
    store: Store, first: str, second: str, request: pytest.FixtureRequest
) -> None:
    if "moto" in request.node.name:
        pytest.skip("a flat name space, as AWS has it, holds both")
    store.put(first, [b"kept"])
    with pytest.raises(BackupError, match=second):
        store.put(second, [b"refused"])
    assert keys(store) == [first]
    assert read(store, first) == b"kept"


def test_errors_are_one_line(store: Store) -> None:
    with pytest.raises(BackupError) as raised:
        store.head("no/such")
    assert "\n" not in str(raised.value)
