"""The schema of our log lines, and that docs/LOGS.md tells of every event that there is."""

import ast
import json
import logging
import re
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from redis_ha import eventlog
from redis_ha.eventlog import EventLog, emit, stamp, written
from redis_ha.logs.entry import Entry
from redis_ha.logs.line import Line, parse
from redis_ha.witness.record import EVENTS

ROOT = Path(__file__).parents[3]
PROGRAMS = ("backup_worker", "node", "redis_ha")
NAME = re.compile(r"[a-z]+(-[a-z]+)*")
FIELD = re.compile(r"[a-z]+(_[a-z]+)*")
LOGS = {"log", "_log"}
OWN = {"level", "trace"}
# Written by `emit`'s `trace`, whatever the event.
ALWAYS = {"traceback"}


@contextmanager
def configured() -> Iterator[None]:
    """Have what is emitted on standard output for the block, as a program of ours has it."""
    logger = logging.getLogger(eventlog.__name__)
    before = logger.handlers, logger.level, logger.propagate
    eventlog.configure("worker-1", component="worker")
    try:
        yield
    finally:
        logger.handlers, logger.level, logger.propagate = before


def test_a_moment_is_written_in_utc_with_milliseconds_and_z() -> None:
    there = timezone(timedelta(hours=5, minutes=30))
    moment = datetime(2026, 11, 24, 13, 10, 0, 123_999, tzinfo=there)
    assert stamp(moment) == "2026-11-24T07:40:00.123Z"


def test_both_ways_of_logging_write_the_same_schema(capsys: pytest.CaptureFixture[str]) -> None:
    with configured():
        EventLog("redis-1", component="guard").warning("no-handover", reason="x", at=Path("/data"))
        emit("no-handover", level=logging.WARNING, reason="x", at=Path("/data"))
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    head = ["time", "level", "event", "node", "component"]
    assert list(first) == list(second) == [*head, "reason", "at"]
    for line in (first, second):
        told = [line[name] for name in ("level", "event", "reason", "at")]
        assert told == ["warning", "no-handover", "x", "/data"]
    assert (first["component"], second["component"]) == ("guard", "worker")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", first["time"])


def test_a_trace_is_one_line_with_the_traceback_in_a_field(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with configured():
        try:
            int("two\nlines")
        except ValueError:
            emit("log-stopped", level=logging.ERROR, trace=True, error="x")
    (line,) = capsys.readouterr().out.splitlines()
    assert "ValueError: invalid literal" in json.loads(line)["traceback"]


def test_where_nothing_is_configured_a_person_reads_event_and_fields(
    caplog: pytest.LogCaptureFixture,
) -> None:
    emit("store-retried", level=logging.WARNING, error="the store is away", attempt=2)
    assert caplog.messages == ["store-retried (error: the store is away, attempt: 2)"]


def test_what_is_written_is_read_back() -> None:
    moment = datetime(2026, 11, 24, 8, 30, 0, 5000, tzinfo=UTC)
    line = written(
        "role-changed",
        moment=moment,
        level="info",
        node="redis-1",
        component="guard",
        fields={"role": "master", "message": "m"},
    )
    fields = {"role": "master", "message": "m"}
    entry = Entry(moment, "info", "role-changed", "redis-1", "guard", fields=fields)
    assert parse(Line(line), node="redis-1") == entry


def emitted() -> dict[str, set[str] | None]:
    """Find every event in the code, with its fields; None where a call makes them up as it goes."""
    found: dict[str, set[str]] = defaultdict(set)
    open_ended = set(EVENTS.values())
    for program in PROGRAMS:
        for path in sorted((ROOT / program).rglob("*.py")):
            for call in ast.walk(ast.parse(path.read_text())):
                if not isinstance(call, ast.Call) or not _logs(call.func):
                    continue
                told = {"error"} if _is_trouble(call.func) else set()
                for name in _names(call):
                    found[name] |= told | ({k.arg for k in call.keywords if k.arg} - OWN)
                    if any(k.arg is None for k in call.keywords) or _is_told_later(call.func):
                        open_ended.add(name)
    return {**dict.fromkeys(open_ended), **{n: f for n, f in found.items() if n not in open_ended}}


def _logs(function: ast.expr) -> bool:
    match function:
        case ast.Name("emit") | ast.Attribute(attr="emit"):
            return True
        case _ if _is_trouble(function) or _is_told_later(function):
            return True
        case ast.Attribute(value=ast.Name(owner) | ast.Attribute(attr=owner), attr=level):
            return owner in LOGS and level in ("info", "warning", "error")
    return False


def _is_told_later(function: ast.expr) -> bool:
    """Say whether it makes an event as data, fields and all; test_exporter.py looks at those."""
    return isinstance(function, ast.Name) and function.id == "Event"


def _is_trouble(function: ast.expr) -> bool:
    """Say whether it is the worker's way of logging an error that it says only once."""
    return isinstance(function, ast.Attribute) and function.attr == "_trouble"


def _names(call: ast.Call) -> list[str]:
    """Give the names a call may log; a name that isn't written there stands in EVENTS or above."""
    first = call.args[0] if call.args else None
    choices = [first.body, first.orelse] if isinstance(first, ast.IfExp) else [first]
    return [str(c.value) for c in choices if isinstance(c, ast.Constant)]


def documented() -> dict[str, set[str]]:
    """Read the tables of docs/LOGS.md: event, level, fields, meaning."""
    text = (ROOT / "docs" / "LOGS.md").read_text()
    rows = re.findall(r"^\| `([a-z-]+)` \| [a-z]+ \|([^|]*)\|[^|]*\|$", text, re.MULTILINE)
    assert len(rows) == len(dict(rows)), "an event stands there twice"
    return {name: set(re.findall(r"`(\w+)`", fields)) for name, fields in rows}


def test_every_event_of_the_code_is_documented_and_no_other() -> None:
    assert set(emitted()) == set(documented())


def test_the_documented_fields_are_those_that_the_code_gives() -> None:
    said = documented()
    given = {name: fields for name, fields in emitted().items() if fields is not None}
    assert given == {name: said[name] - ALWAYS for name in given}


def test_events_are_in_kebab_case_and_fields_in_snake_case() -> None:
    for name, fields in documented().items():
        assert NAME.fullmatch(name), name
        assert all(FIELD.fullmatch(field) for field in fields), (name, fields)
