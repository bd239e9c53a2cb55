"""Votes on the wire and in the count: what is no vote, and what no longer is one."""

import hmac
import string
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_ha.connection import Address
from redis_ha.witness.evidence import Contact, Evidence, Heard, noted
from redis_ha.witness.resp import Garbage, Push, Refusal, Replies, command
from redis_ha.witness.rules import VOTE_SECONDS, Surroundings, tally
from redis_ha.witness.vote import Death, Vote, read, sign

DEATH = Death(Address("10.0.0.1", 6379), "run", 7)
VOTE = Vote(2, DEATH, dead=True, stamp=5, nonce="theirs", heard={1: "mine"}, granted=1)
AROUND = Surroundings(1, frozenset({1, 2, 3}), 5.0)


def counted(*votes: Vote, age: float = 0.1) -> set[int]:
    evidence = Evidence({DEATH.master: Contact()}, {})
    for vote in votes:
        evidence = noted(evidence, Heard(vote), 100.0)
    return set(tally(evidence, AROUND, DEATH, nonce="mine", now=100.0 + age))


def test_a_vote_that_answers_the_nonce_counts() -> None:
    assert counted(VOTE, replace(VOTE, number=3)) == {2, 3}


@pytest.mark.parametrize(
    "change",
    [
        {"dead": False},
        {"heard": {1: "of yesterday"}},
        {"heard": {}},
        {"death": replace(DEATH, run_id="another process")},
        {"death": replace(DEATH, epoch=6)},
        {"death": replace(DEATH, master=Address("10.0.0.2", 6379))},
        {"number": 1},
        {"number": 4},
    ],
)
def test_any_other_does_not(change: dict[str, Any]) -> None:
    assert counted(replace(VOTE, **change)) == set()


def test_an_old_vote_no_longer_counts() -> None:
    assert counted(VOTE, age=VOTE_SECONDS + 0.1) == set()


def test_a_vote_taken_back_is_not_undone_by_a_replay() -> None:
    assert counted(VOTE, replace(VOTE, dead=False, stamp=6), VOTE) == set()


def test_a_vote_survives_the_wire() -> None:
    assert read(sign(VOTE, "secret"), "secret") == VOTE


@given(at=st.integers(0, 10_000), character=st.sampled_from(string.ascii_letters + string.digits))
def test_a_changed_message_is_no_vote(at: int, character: str) -> None:
    message = sign(VOTE, "secret")
    index = at % len(message)
    changed = message[:index] + character + message[index + 1 :]
    assert read(changed, "secret") == (VOTE if changed == message else None)
    assert read(message, "another secret") is None


@given(st.one_of(st.text(), st.none(), st.integers(), st.lists(st.text())))
def test_garbage_is_no_vote(message: object) -> None:
    assert read(message, "secret") is None


@pytest.mark.parametrize("body", ["[]", "null", "{}", '{"death": 1}', '{"number": "x"}', "x"])
def test_a_signed_message_of_another_shape_is_no_vote(body: str) -> None:
    mac = hmac.new(b"redis-ha witness secret", body.encode(), "sha256").hexdigest()
    assert read(f"{mac} {body}", "secret") is None


REPLIES = [
    (b"+OK\r\n", "OK"),
    (b"-ERR no\r\n", Refusal("ERR no")),
    (b":12\r\n", 12),
    (b"$5\r\nh\r\nlo\r\n", "h\r\nlo"),
    (b"$-1\r\n", None),
    (b"_\r\n", None),
    (b"#t\r\n", True),
    (b",1.5\r\n", 1.5),
    (b"=7\r\ntxt:abc\r\n", "abc"),
    (b"%1\r\n+a\r\n*2\r\n:1\r\n:2\r\n", {"a": [1, 2]}),
    (b">3\r\n+message\r\n$1\r\nc\r\n$1\r\nm\r\n", Push(("message", "c", "m"))),
]


@given(st.lists(st.sampled_from(REPLIES)), st.integers(1, 9))
def test_replies_arrive_whole_however_they_are_cut(
    replies: list[tuple[bytes, Any]], size: int
) -> None:
    parser, stream = Replies(), b"".join(raw for raw, _ in replies)
    chunks = [stream[at : at + size] for at in range(0, len(stream), size)]
    values = [value for chunk in chunks for value in parser.feed(chunk)]
    assert values == [value for _, value in replies]


@given(st.binary(max_size=200))
def test_a_peer_that_speaks_otherwise_is_garbage_or_waited_for(data: bytes) -> None:
    with suppress(Garbage):
        values = list(Replies().feed(data))
        assert len(values) <= len(data)


def test_a_reply_without_end_is_garbage() -> None:
    with pytest.raises(Garbage):
        list(Replies().feed(b"$99999999\r\n" + b"x" * (1 << 20)))


def test_a_command_is_written_as_a_list_of_strings() -> None:
    assert command("PUBLISH", "c", "é") == b"*3\r\n$7\r\nPUBLISH\r\n$1\r\nc\r\n$2\r\n\xc3\xa9\r\n"
