"""The replication protocol's parser gives the same events however the bytes are cut."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_worker.errors import ProtocolError
from backup_worker.replication.protocol import (
    MAX_LINE,
    Commands,
    Continue,
    Event,
    FullResync,
    KeepAlive,
    RdbChunk,
    RdbEnd,
    RdbStart,
    ReplicationParser,
    Reply,
    ServerError,
)

REPLID = "8de1787ba490483314a4d30f1c628bc5025eb761"
MARK = b"0123456789abcdefghijklmnopqrstuvwxyzABCD"


def parse(pieces: list[bytes]) -> list[Event]:
    """Feed the pieces; join neighbouring chunks, as where they are cut means nothing."""
    parser, events = ReplicationParser(), list[Event]()
    for piece in pieces:
        for event in parser.feed(piece):
            last = events[-1] if events else None
            if isinstance(event, RdbChunk) and isinstance(last, RdbChunk):
                events[-1] = RdbChunk(last.data + event.data)
            elif isinstance(event, Commands) and isinstance(last, Commands):
                events[-1] = Commands(last.data + event.data)
            else:
                events.append(event)
    return events


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(stream) + 1) for place in places), len(stream)]
    return [stream[start:end] for start, end in itertools.pairwise(edges)]


def transcript(framed: bytes) -> bytes:
    return b"+PONG\r\n\n+FULLRESYNC " + REPLID.encode() + b" 553\r\n\n\n" + framed


# Payloads rich in the mark's own beginnings, which a parser must not take for its end.
payloads = st.lists(
    st.one_of(st.binary(max_size=50), st.integers(1, 39).map(lambda n: MARK[:n])), max_size=12
).map(b"".join)


@given(payload=payloads, rest=st.binary(max_size=60), places=st.lists(st.integers(0), max_size=30))
def test_a_marked_rdb_survives_every_cut(payload: bytes, rest: bytes, places: list[int]) -> None:
    stream = transcript(b"$EOF:" + MARK + b"\r\n" + payload + MARK + rest)
    expected: list[Event] = [
        *(Reply("PONG"), KeepAlive(), FullResync(REPLID, 553), KeepAlive(), KeepAlive()),
        RdbStart(None),
        *([RdbChunk(payload)] if payload else []),
        RdbEnd(),
        *([Commands(rest)] if rest else []),
    ]
    assert parse(cut(stream, places)) == expected


@given(payload=st.binary(min_size=1), rest=st.binary(), places=st.lists(st.integers(0)))
def test_a_counted_rdb_survives_every_cut(payload: bytes, rest: bytes, places: list[int]) -> None:
    stream = transcript(b"$%d\r\n" % len(payload) + payload + rest)
    events = parse(cut(stream, places))
    assert events[5:] == [
        RdbStart(len(payload)),
        RdbChunk(payload),
        RdbEnd(),
        *([Commands(rest)] if rest else []),
    ]


@given(st.lists(st.binary(max_size=200), max_size=20))
def test_noise_is_refused_or_waited_on_and_never_anything_else(pieces: list[bytes]) -> None:
    try:
        parse(pieces)
    except ProtocolError as error:
        assert error.exit_code == 6  # noqa: PT017 - either outcome is right


def test_a_chunk_that_holds_only_payload_is_handed_on_as_it_is() -> None:
    parser = ReplicationParser()
    list(parser.feed(transcript(b"$EOF:" + MARK + b"\r\n")))
    data = bytes(100_000)
    (event,) = parser.feed(data)
    assert isinstance(event, RdbChunk)
    assert event.data is data


@pytest.mark.parametrize(
    ("line", "transient"),
    [
        (b"-NOMASTERLINK Can't SYNC while not connected with my master", True),
        (b"-LOADING Redis is loading the dataset in memory", True),
        (b"-ERR max number of clients reached", True),
        (b"-WRONGPASS invalid username-password pair or user is disabled.", False),
        (b"-NOPERM this user has no permissions to run the 'psync' command", False),
        (b"-ERR unknown command", False),
    ],
)
def test_a_refusal_says_whether_a_later_try_may_help(line: bytes, transient: bool) -> None:
    assert parse([line + b"\r\n"]) == [ServerError(line[1:].decode(), transient)]


def test_a_failed_fork_after_the_announcement_is_transient() -> None:
    events = parse([transcript(b"-ERR BGSAVE failed, replication can't continue\r\n")])
    assert events[-1] == ServerError("ERR BGSAVE failed, replication can't continue", True)


@pytest.mark.parametrize("name", [None, REPLID])
def test_a_continued_stream_is_commands_from_its_first_byte(name: str | None) -> None:
    line = b"+CONTINUE" + (b" " + name.encode() if name else b"") + b"\r\n"
    assert parse([line + b"*1\r\n"]) == [Continue(name), Commands(b"*1\r\n")]


@pytest.mark.parametrize(
    "stream",
    [
        b"HTTP/1.1 400 Bad Request\r\n",
        b"+FULLRESYNC short 1\r\n",
        b"+FULLRESYNC " + REPLID.encode() + b" -1\r\n",
        b"+CONTINUE nonsense\r\n",
        transcript(b"$0\r\n"),
        transcript(b"$-1\r\n"),
        transcript(b"$12x\r\n"),
        transcript(b"$EOF:tooshort\r\n"),
        transcript(b"+OK\r\n"),
        b"x" * (MAX_LINE + 1),
    ],
)
def test_what_no_server_sends_is_refused(stream: bytes) -> None:
    with pytest.raises(ProtocolError, match="replication stream"):
        parse(cut(stream, [7]))
