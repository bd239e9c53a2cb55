"""The walker agrees with a parser that takes one step at a time, however the stream is cut."""

import itertools
import random
import time
import tracemalloc
from collections.abc import Callable, Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from backup_worker.errors import ProtocolError
from backup_worker.log.boundary import LIMIT, Boundary, BoundaryWalker

START = Boundary(1000, None)
PING = b"*1\r\n$4\r\nPING\r\n"
HELLO = (
    b"*3\r\n$7\r\nPUBLISH\r\n$18\r\n__sentinel__:hello\r\n$50\r\n"
    b"172.28.0.21,26379,5f0c,3,mymaster,172.28.0.11,6379\r\n"
)
GETACK = b"*3\r\n$8\r\nREPLCONF\r\n$6\r\nGETACK\r\n$1\r\n*\r\n"
SIGNS = (PING, GETACK, HELLO)


def command(*words: bytes) -> bytes:
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)


def naive(stream: bytes, start: Boundary = START) -> list[Boundary]:
    """Return every boundary of a well-formed stream, its start included."""
    found, position, db, inside = [start], 0, start.db, False
    while position < len(stream):
        words, position = _read_command(stream, position)
        name = words[0].upper()
        inside = (inside or name == b"MULTI") and name != b"EXEC"
        if name == b"SELECT" and len(words) == 2:
            db = int(words[1])
        if not inside:
            found.append(Boundary(start.offset + position, db))
    return found


def _read_command(stream: bytes, position: int) -> tuple[list[bytes], int]:
    line = stream.index(b"\r\n", position)
    words, count = [], int(stream[position + 1 : line])
    position = line + 2
    for _ in range(count):
        line = stream.index(b"\r\n", position)
        length = int(stream[position + 1 : line])
        words.append(stream[line + 2 : line + 2 + length])
        position = line + 2 + length + 2
    return words, position


values = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([b"", b"\r\n*1\r\n$4\r\nPING\r\n", b"*3\r\n", b"$5\r\nhello\r\n", b"MULTI"]),
    st.integers(LIMIT - 3, LIMIT + 3).map(lambda n: b"v" * n),
    st.integers(900, 3000).map(lambda n: b"\r\n" * (n // 2)),
)
plain = st.one_of(
    st.builds(lambda k, v: command(b"SET", k, v), values, values),
    st.lists(values, min_size=1, max_size=12).map(lambda v: command(b"RPUSH", b"k", *v)),
    st.builds(lambda v: command(b"GETDEL", v), values),
    st.sampled_from([PING, GETACK, command(b"FLUSHALL"), command(b"set", b"multi", b"exec")]),
    st.integers(0, 15).map(lambda db: command(b"SELECT", str(db).encode())),
)
transactions = st.lists(plain, max_size=6).map(
    lambda inner: command(b"MULTI") + b"".join(inner) + command(b"EXEC")
)
streams = st.lists(st.one_of(plain, transactions), max_size=20).map(b"".join)


def pieces(stream: bytes, cuts: Sequence[int]) -> list[bytes]:
    places = sorted({cut % (len(stream) + 1) for cut in cuts} | {0, len(stream)})
    return [stream[a:b] for a, b in itertools.pairwise(places)]


def feed_in_steps(walker: BoundaryWalker, stream: bytes, size: int) -> None:
    for at in range(0, len(stream), size):
        walker.feed(stream[at : at + size])


@given(streams, st.lists(st.integers(0, 10**6), max_size=12))
@example(PING + command(b"MULTI") + PING + command(b"EXEC"), [14, 20, 40])
@example(command(b"SET", b"k", b"\r\n" * 700), [30, 31, 1428, 1429])
def test_the_last_boundary_is_found_after_every_piece(stream: bytes, cuts: list[int]) -> None:
    boundaries = naive(stream)
    walker, fed = BoundaryWalker(START), START.offset
    for piece in pieces(stream, cuts):
        walker.feed(piece)
        fed += len(piece)
        assert walker.boundary == max(
            (b for b in boundaries if b.offset <= fed), key=lambda b: b.offset
        )


@given(st.lists(st.one_of(st.sampled_from(SIGNS), plain), min_size=1, max_size=4))
def test_a_stretch_is_quiet_if_it_is_nothing_but_signs_of_life(commands: list[bytes]) -> None:
    quiet = BoundaryWalker(START).feed(b"".join(commands))
    assert quiet == all(one in SIGNS for one in commands)


def test_a_hello_is_as_long_as_it_says() -> None:
    forged = HELLO.replace(b"6379\r\n", b"6379\r\n" + PING)
    with pytest.raises(ProtocolError):
        BoundaryWalker(START).feed(HELLO.replace(b"$50", b"$49"))
    walker = BoundaryWalker(START)
    # One command, whatever its message looks like.
    assert walker.feed(forged.replace(b"$50", b"$66") + b"\r\n")
    assert walker.boundary.offset == START.offset + len(forged) + 2


def test_a_sign_of_life_cut_in_two_or_inside_a_transaction_is_not_quiet() -> None:
    walker = BoundaryWalker(START)
    assert not walker.feed(PING[:5])
    assert not walker.feed(PING[5:])
    assert walker.feed(PING)
    walker.feed(command(b"MULTI"))
    assert not walker.feed(PING)
    assert walker.boundary.offset == START.offset + 2 * len(PING)


@pytest.mark.parametrize(
    "garbage",
    [
        b"\n",
        b"+OK\r\n",
        b"*0\r\n",
        b"*-1\r\n",
        b"*01\r\n$1\r\na\r\n",
        b"*1\r\n$-1\r\n",
        b"*1\r\n:5\r\n",
        b"*1\r\n$3\r\nabcd\r\n",
        b"*2\r\n$3\r\nGET\r\n*1\r\n",
        b"*1\r\n$4\r\nPING\r\n$4\r\nPING\r\n",
        b"*1\r\n$9999999999999999999999999\r\n",
        b"*1\r\n$500\r\n" + b"v" * 501 + b"\n",
        b"PING\r\n",
        b"*1\n$4\nPING\n",
    ],
)
def test_what_no_server_sends_is_refused(garbage: bytes) -> None:
    for size in (1, len(garbage)):
        walker = BoundaryWalker(START)
        walker.feed(command(b"SET", b"a", b"b"))
        with pytest.raises(ProtocolError, match="no command where one was due"):
            feed_in_steps(walker, garbage, size)


@given(streams, st.integers(0, 10**6), st.binary(min_size=1, max_size=3))
def test_a_damaged_stream_ends_in_nothing_but_a_protocol_error(
    stream: bytes, place: int, damage: bytes
) -> None:
    at = place % (len(stream) + 1)
    walker = BoundaryWalker(START)
    try:
        walker.feed(stream[:at] + damage + stream[at:])
    except ProtocolError:
        return
    assert START.offset <= walker.boundary.offset <= START.offset + len(stream) + len(damage)


def test_a_huge_value_and_a_huge_transaction_take_no_memory() -> None:
    piece = b"v" * 65536
    inner = command(b"SET", b"key", b"value") * 2000
    walker = BoundaryWalker(START)
    walker.feed(PING)
    tracemalloc.start()
    walker.feed(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n" % (len(piece) * 1000))
    for _ in range(1000):
        walker.feed(piece)
    assert walker.boundary.offset == START.offset + len(PING)
    walker.feed(b"\r\n" + command(b"MULTI"))
    before = walker.boundary
    for _ in range(100):
        walker.feed(inner)
    assert walker.boundary == before
    walker.feed(command(b"EXEC"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    end = before.offset + len(command(b"MULTI") + command(b"EXEC")) + 100 * len(inner)
    assert walker.boundary.offset == end
    assert peak < 3_000_000


def _speed(stream: bytes, piece: int = 135_000) -> float:
    """Walk a stream; return MB/s of CPU time."""
    walker = BoundaryWalker(START)
    began = time.process_time()
    feed_in_steps(walker, stream, piece)
    assert walker.boundary.offset == START.offset + len(stream)
    return len(stream) / (time.process_time() - began) / 1e6


@pytest.mark.parametrize(("value", "slowest"), [(19, 60), (88, 120), (2000, 100)])
def test_it_keeps_up_with_a_busy_stream(
    value: int, slowest: int, figure: Callable[[str], None]
) -> None:
    source = random.Random(value)
    stream = b"".join(
        command(b"SET", b"key:%08d" % source.randrange(10**8), b"v" * value)
        for _ in range(6_000_000 // (value + 60))
    )
    BoundaryWalker(START).feed(stream[:1000])
    best = max(_speed(stream) for _ in range(3))
    figure(f"commands with values of {value} bytes: {best:.0f} MB/s")
    assert best > slowest
