"""`log`: what the container is asked for, and what needs a key."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from backup_worker.cli.log import Asked, arguments, check
from backup_worker.errors import UsageError

PLAIN = Asked(
    identity=None, since=None, until=None, grep=None, values=False, limit=100, as_json=False
)
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"as_json": True}, ["--json"]),
        (
            {"identity": "key.txt", "since": NOON, "until": NOON, "values": True},
            [
                "--identity=-",
                "--since=2026-11-24T12:00:00+00:00",
                "--until=2026-11-24T12:00:00+00:00",
                "--values",
            ],
        ),
        ({"identity": "-", "grep": "DEL user:*"}, ["--identity=-", "--grep=DEL user:*"]),
    ],
)
def test_the_containers_command_line_names_no_key(
    changes: dict[str, Any], expected: list[str]
) -> None:
    asked = replace(PLAIN, **changes)
    check(asked)
    assert arguments(asked) == ["log", "--limit=100", *expected]


@pytest.mark.parametrize("changes", [{"since": NOON}, {"until": NOON}, {"grep": "SET"}])
def test_commands_are_shown_only_with_a_key(changes: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="--identity"):
        check(replace(PLAIN, **changes))


def test_a_bad_pattern_is_refused_at_once() -> None:
    with pytest.raises(UsageError, match="pattern"):
        check(replace(PLAIN, identity="key.txt", grep="'"))
