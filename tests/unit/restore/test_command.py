"""Which options go together, what is asked of the container, how progress is shown in a pipe."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from backup_worker.cli.restore_display import PlainLines
from backup_worker.cli.restore_remote import arguments, pinned
from backup_worker.cli.restore_request import Request, check
from backup_worker.errors import UsageError
from backup_worker.log.plan import AtOffset
from backup_worker.progress import Progress

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
PLAIN = Request(
    snapshot="latest",
    identity="key.txt",
    output=None,
    resume=False,
    undo=False,
    yes=False,
    dry_run=False,
    force=False,
    no_safety_snapshot=False,
    timeout=120.0,
    as_json=False,
)


A_FILE = {"from_file": "dump.rdb", "snapshot": None, "identity": None}
WITH_FILE: list[dict[str, Any]] = [
    {"output": "x.rdb"},
    {"config": True},
    {"resume": True},
    {"undo": True},
    {"at": NOON},
    {"offset": AtOffset(7)},
    {"before_command": "FLUSHALL"},
]


@pytest.mark.parametrize(
    "changes",
    [
        {"snapshot": None},
        {"resume": True},
        {"undo": True},
        {"snapshot": None, "resume": True, "undo": True},
        {"snapshot": None, "undo": True, "output": "x.rdb"},
        {"snapshot": None, "resume": True, "dry_run": True},
        {"snapshot": None, "undo": True, "offset": AtOffset(7)},
        {"snapshot": None, "resume": True, "before_command": "FLUSHALL"},
        {"at": NOON, "offset": AtOffset(7)},
        {"at": NOON, "before_command": "FLUSHALL"},
        {"config": True, "output": "x.rdb"},
        {"config": True, "at": NOON},
        {"config": True, "snapshot": None, "resume": True},
        {"down_after": 5000, "min_replicas": 1},
        {"snapshot": None, "undo": True, "down_after": 5000},
        {"from_file": "dump.rdb"},
        {"from_file": "dump.rdb", "snapshot": None},
        *(A_FILE | more for more in WITH_FILE),
    ],
)
def test_options_that_do_not_go_together(changes: dict[str, Any]) -> None:
    check(PLAIN)
    with pytest.raises(UsageError):
        check(replace(PLAIN, **changes))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ["--yes", "--identity=-"]),
        ({"dry_run": True}, ["--yes", "--dry-run"]),
        ({"output": "x.rdb"}, ["--yes", "--identity=-", "--output=-"]),
        ({"identity": None, "force": True, "as_json": True}, ["--yes", "--force", "--json"]),
        ({"config": True}, ["--yes", "--identity=-", "--config"]),
    ],
)
def test_the_containers_command_line_asks_nothing_and_names_no_key(
    changes: dict[str, Any], expected: list[str]
) -> None:
    words = ["restore", *expected, "--timeout=120.0", "latest"]
    assert arguments(replace(PLAIN, **changes)) == words


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"at": NOON}, "--at=2026-11-24T12:00:00+00:00"),
        ({"offset": AtOffset(7)}, "--offset=7"),
        ({"offset": AtOffset(7, "3f2a9c1e")}, "--offset=3f2a9c1e:7"),
        ({"before_command": "DEL user:*"}, "--before-command=DEL user:*"),
    ],
)
def test_a_point_needs_no_snapshot_and_goes_along(changes: dict[str, Any], expected: str) -> None:
    request = replace(PLAIN, snapshot=None, **changes)
    check(request)
    assert arguments(request) == [
        "restore", "--yes", "--identity=-", "--timeout=120.0", expected
    ]  # fmt: skip
    # To say where the point lies, the log has to be opened.
    assert "--identity=-" in arguments(replace(request, dry_run=True))


def test_a_plain_file_needs_neither_snapshot_nor_key_and_comes_by_pipe() -> None:
    request = replace(PLAIN, snapshot=None, identity=None, from_file="/tmp/dump.rdb")
    check(request)
    assert arguments(replace(request, from_name="/tmp/dump.rdb")) == [
        "restore", "--yes", "--from=-", "--timeout=120.0", "--from-name=/tmp/dump.rdb"
    ]  # fmt: skip


def test_what_was_shown_is_what_is_done() -> None:
    """By the time the question is answered another command may match."""
    request = replace(PLAIN, snapshot=None, before_command="FLUSHALL")
    plan = {"snapshot": "20260101T000000Z-00000000", "point": {"offset": 7, "timeline": "a" * 40}}
    assert arguments(pinned(request, plan))[-2:] == [
        f"--offset={'a' * 40}:7", "20260101T000000Z-00000000"
    ]  # fmt: skip
    assert pinned(PLAIN, plan | {"point": None}) == PLAIN


def test_resume_and_undo_name_no_snapshot() -> None:
    request = replace(PLAIN, snapshot=None, resume=True)
    assert arguments(request) == [
        "restore", "--yes", "--identity=-", "--resume", "--timeout=120.0"
    ]  # fmt: skip


def test_settings_for_a_lost_journal_go_along() -> None:
    request = replace(PLAIN, snapshot=None, identity=None, undo=True, force=True)
    request = replace(request, down_after=5000, min_replicas=0)
    check(request)
    assert arguments(request) == [
        "restore", "--yes", "--force", "--undo", "--timeout=120.0", "--down-after=5000",
        "--min-replicas=0",
    ]  # fmt: skip


def test_a_pipe_gets_a_line_a_phase_and_one_each_few_seconds(
    capsys: pytest.CaptureFixture[str],
) -> None:
    times = iter([0.0, 1.0, 2.0, 7.5, 8.0])
    lines = PlainLines(clock=lambda: next(times))
    lines(Progress("decrypt", 0, 4096))
    lines(Progress("decrypt", 1024, 4096))
    lines(Progress("load", 3, 100))
    lines(Progress("load", 50, 100))
    lines(Progress("switch", note="linking"))
    assert capsys.readouterr().err == "decrypt ...\nload ...\nload ... 50 %\nswitch ...\n"
