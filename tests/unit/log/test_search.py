"""The last match with its neighbours, wherever segments, forks and transactions lie."""

import shlex
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_worker.cli.log_text import command_text
from backup_worker.errors import PointNotFound, SnapshotCorrupt, UsageError
from backup_worker.log.commands import Command, commands
from backup_worker.log.listing import Filter, listed
from backup_worker.log.plan import AtOffset
from backup_worker.log.search import Pattern, living_lines
from backup_worker.log.segment import Timeline
from tests.unit.log.stored import A, B, StoredLog, Words, resp

PING, FLUSH = (b"PING",), (b"flushall",)
HELLO = (b"PUBLISH", b"__sentinel__:hello", b"127.0.0.1,26379")


def numbered(number: int) -> Words:
    return (b"SET", b"key:%d" % number, b"value %d" % number)


def command(*words: bytes) -> Command:
    return next(commands([resp(*words)], offset=0, db=0, subject="log/x"))


@pytest.mark.parametrize(
    ("pattern", "words", "expected"),
    [
        ("FLUSHALL", (b"flushall",), True),
        ("flushall", (b"FLUSHALL", b"ASYNC"), True),
        ("FLUSH", (b"FLUSHALL",), False),
        ("FLUSH*", (b"flushdb",), True),
        ("DEL user:*", (b"DEL", b"user:1", b"x"), True),
        ("DEL user:*", (b"DEL", b"USER:1"), False),
        ("DEL user:*", (b"DEL",), False),
        ("DEL 'a b'", (b"del", b"a b"), True),
        ("SET * *", (b"SET", b"k", bytes(100_000)), True),
        ("SET * 0*", (b"SET", b"k", b"0" * 100_000), False),
        ("FUNCTION FLUSH", (b"function", b"flush"), True),
        ("SET FLUSH", (b"set", b"flush"), False),
        ("SET k?y", (b"SET", b"k\xffy"), True),
        ("SET sch\u00f6n", (b"SET", "sch\u00f6n".encode()), True),
    ],
)
def test_what_a_pattern_matches(pattern: str, words: Words, expected: bool) -> None:
    assert Pattern.parse(pattern).matches(command(*words)) is expected


@given(st.lists(st.binary(min_size=1, max_size=9), min_size=1, max_size=3))
def test_the_fast_look_misses_no_match(words: list[bytes]) -> None:
    with suppress(UnicodeDecodeError, UsageError, SnapshotCorrupt):
        pattern = Pattern.parse(shlex.join(word.decode() for word in words))
        rough, matches = pattern.rough, pattern.matches(command(*words))
        assert rough is None or not matches or rough.search(resp(*words))


@pytest.mark.parametrize("pattern", ["FLUSHALL", "DEL user:*"])
def test_what_begins_with_a_word_is_looked_for_fast(pattern: str) -> None:
    assert Pattern.parse(pattern).rough is not None


@pytest.mark.parametrize("text", ["", "  ", "'open"])
def test_what_is_no_pattern(text: str) -> None:
    with pytest.raises(UsageError):
        Pattern.parse(text)


def texts(found: object) -> list[str]:
    return [command_text(one.command, values=True) for one in found]  # type: ignore[attr-defined]


def test_the_last_match_and_its_neighbours_across_segments() -> None:
    log = StoredLog()
    log.write(FLUSH, numbered(1), numbered(2), at_ms=1000)
    log.write(PING, PING, at_ms=2000)
    log.write(HELLO, numbered(3), FLUSH, HELLO, at_ms=3000)
    log.write(PING, at_ms=4000)
    log.write((b"SET", b"x", resp(*FLUSH)), numbered(5), numbered(6), at_ms=5000)
    match = log.search.last(Pattern.parse("FLUSHALL"))
    assert match.found.time_ms == 3002
    assert texts(match.before) == ['SET key:2 "value 2"', 'SET key:3 "value 3"']
    assert len(match.after) == 2
    assert texts(match.after)[1] == 'SET key:5 "value 5"'
    assert match.target == AtOffset(match.found.command.before, A)


def test_a_match_in_a_transaction_lies_before_all_of_it() -> None:
    log = StoredLog()
    log.write(numbered(1), (b"MULTI",), numbered(2), FLUSH, (b"EXEC",), numbered(3))
    match = log.search.last(Pattern.parse("FLUSHALL"))
    assert match.target.offset == len(resp(*numbered(1)))


def test_a_branch_that_was_given_up_is_not_searched() -> None:
    log = StoredLog()
    log.write(FLUSH, numbered(1), at_ms=1000)
    fork = log.end
    log.write(numbered(2), FLUSH, at_ms=2000)
    log.write(numbered(3), timeline=Timeline(B, A, fork), start=fork + 1, at_ms=9000)
    assert log.search.last(Pattern.parse("FLUSHALL")).target.offset == 0


def test_no_match_says_how_much_was_looked_at() -> None:
    log = StoredLog()
    log.write(numbered(1))
    log.write(numbered(1))
    with pytest.raises(PointNotFound, match="2 segments"):
        log.search.last(Pattern.parse("FLUSHALL"))


def test_the_listing_is_in_order_and_the_last_ones_count() -> None:
    log = StoredLog()
    for number in range(5):
        log.write(PING, numbered(2 * number), numbered(2 * number + 1), at_ms=number * 1000)
    every = [f'SET key:{number} "value {number}"' for number in range(10)]
    assert texts(listed(log.search, Filter())) == every
    for limit in (1, 3, 4, 10, 99):
        assert texts(listed(log.search, Filter(limit=limit))) == every[-limit:]
    between = Filter(since_ms=1002, until_ms=3001)
    assert texts(listed(log.search, between)) == every[3:7]
    assert texts(listed(log.search, Filter(pattern=Pattern.parse("SET key:3")))) == [every[3]]
    assert len(texts(listed(log.search, Filter(pattern=Pattern.parse("PING"), limit=2)))) == 2


def test_what_came_after_a_leap_of_the_clock_is_listed_and_lives() -> None:
    log = StoredLog()
    for number, at_ms in enumerate((1000, 9_000_000, 2000, 3000)):
        log.write(numbered(number), at_ms=at_ms)
    wanted = Filter(since_ms=1500, until_ms=3500)
    assert texts(listed(log.search, wanted)) == [f'SET key:{n} "value {n}"' for n in (2, 3)]
    log.write(numbered(4), timeline=Timeline(B, A, log.end), at_ms=4000)
    assert [one.replid for one in living_lines(log.history)] == [B]


def test_the_database_is_known_in_each_segment() -> None:
    log = StoredLog()
    log.write((b"SELECT", b"3"), numbered(1), db=None)
    log.write(numbered(2), db=3)
    assert [one.command.db for one in listed(log.search, Filter())] == [3, 3]


@pytest.mark.parametrize(
    ("words", "hidden", "shown"),
    [
        ((b"SET", b"k", b"secret value"), "SET k <12 bytes>", 'SET k "secret value"'),
        ((b"flushall",), "flushall", "flushall"),
        ((b"SET", b"", b""), 'SET "" <0 bytes>', 'SET "" ""'),
        ((b"SET", b"a\nb\x1b[31m\xff", b"1"), r'SET "a\nb\x1b[31m\xff" <1 bytes>', None),
        ((b"SET", b"k", bytes(70_000)), "SET k <70000 bytes>", "SET k <70000 bytes>"),
        ((b"MSET", *[b"x"] * 20), "MSET x" + " <1 bytes>" * 10 + " <9 more>", None),
        ((b"SET", b"<1 bytes>", b"x"), 'SET "<1 bytes>" <1 bytes>', None),
    ],
)
def test_values_are_hidden_and_nothing_misleads_a_terminal(
    words: Words, hidden: str, shown: str | None
) -> None:
    assert command_text(command(*words), values=False) == hidden
    if shown is not None:
        assert command_text(command(*words), values=True) == shown


@given(st.lists(st.binary(max_size=30), min_size=1, max_size=4))
def test_a_shown_command_is_one_printable_line(words: list[bytes]) -> None:
    if words[0].upper() in {b"SELECT", b"MULTI"}:
        return
    assert command_text(command(*words), values=True).isprintable()
