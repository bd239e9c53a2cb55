"""Times and offsets as they are written on a command line."""

import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_worker.cli.moments import parse_moment, parse_offset
from backup_worker.errors import UsageError
from backup_worker.log.plan import AtOffset

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()


@pytest.mark.usefixtures("berlin")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now", NOW),
        ("10 minutes ago", NOW - timedelta(minutes=10)),
        ("2h ago", NOW - timedelta(hours=2)),
        ("1h 30m ago", NOW - timedelta(minutes=90)),
        ("1 hour, 5 mins ago", NOW - timedelta(minutes=65)),
        ("1 Day Ago", NOW - timedelta(days=1)),
        ("3 weeks ago", NOW - timedelta(weeks=3)),
        ("45s ago", NOW - timedelta(seconds=45)),
        ("2026-11-24T08:30:00Z", datetime(2026, 11, 24, 8, 30, tzinfo=UTC)),
        ("2026-11-24T08:30:00.250+02:00", datetime(2026, 11, 24, 6, 30, 0, 250_000, UTC)),
        ("2026-11-24 08:30", datetime(2026, 11, 24, 7, 30, tzinfo=UTC)),
        ("2026-07-24 08:30:10", datetime(2026, 7, 24, 6, 30, 10, tzinfo=UTC)),
        ("2026-11-24", datetime(2026, 11, 23, 23, 0, tzinfo=UTC)),
    ],
)
def test_a_moment(text: str, expected: datetime) -> None:
    found = parse_moment(text, now=NOW)
    assert found == expected
    assert found.tzinfo == UTC


@pytest.mark.parametrize(
    "text",
    ["", "ago", "10 ago", "ten minutes ago", "yesterday", "08:30", "2026-13-01", "10 minutes",
     "99999999 weeks ago", "2026-11-24T25:00:00Z", "0001-01-01", "5 months ago"],
)  # fmt: skip
def test_what_is_no_moment(text: str) -> None:
    with pytest.raises(UsageError, match="10 minutes ago"):
        parse_moment(text, now=NOW)


@given(st.text(max_size=40))
def test_any_text_is_a_moment_or_a_usage_error(text: str) -> None:
    try:
        assert parse_moment(text, now=NOW).tzinfo == UTC
    except UsageError as error:
        assert error.exit_code == 2  # noqa: PT017 - both are right


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", AtOffset(0)),
        ("123", AtOffset(123)),
        ("3f2a9c1e:45", AtOffset(45, "3f2a9c1e")),
        (f"{'a' * 40}:7", AtOffset(7, "a" * 40)),
    ],
)
def test_an_offset(text: str, expected: AtOffset) -> None:
    assert parse_offset(text) == expected


@pytest.mark.parametrize(
    "text", ["", "-1", "1.5", "3f2:1", ":1", "3f2a9c1e:", f"{'a' * 41}:1", "x"]
)
def test_what_is_no_offset(text: str) -> None:
    with pytest.raises(UsageError):
        parse_offset(text)
