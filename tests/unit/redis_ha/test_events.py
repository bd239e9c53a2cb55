"""`redis-ha events` over what real nodes wrote when their master was lost in five ways.

The logs are made by tests/processes/redis_ha/record_logs.py.
"""

import json
import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from redis_ha.cli.main import execute
from redis_ha.eventlog import written
from redis_ha.events.names import Names
from redis_ha.events.timeline import Watch, read_timeline
from redis_ha.logs.entry import Entry
from redis_ha.logs.files import FileSource
from redis_ha.logs.line import Line, parse
from redis_ha.logs.opening import open_entries
from redis_ha.logs.source import Window

GOLDEN = Path(__file__).parents[1] / "golden" / "logs"
SCENARIOS = ("crash", "hang", "switchover", "handover", "aborted")


@pytest.fixture(autouse=True)
def _in_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The logs were written in UTC, and no collector stamped them."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def arguments(scenario: str) -> list[str]:
    files = [("--file", f"{p.stem}={p}") for p in sorted((GOLDEN / scenario).glob("*.log"))]
    return ["events", *(word for pair in files for word in pair)]


def told(scenario: str) -> Any:
    """What `--json` gives of it."""
    timeline = read_timeline(entries(scenario), Names({}))
    return {
        "failovers": [failover.described() for failover in timeline.failovers],
        "events": [event.described() for event in timeline.events],
    }


def entries(scenario: str) -> list[Entry]:
    sources = [FileSource(p.stem, p) for p in sorted((GOLDEN / scenario).glob("*.log"))]
    return list(open_entries(sources, Window()))


@pytest.mark.parametrize(
    ("scenario", "cause", "outcome", "votes"),
    [
        ("crash", "witness", "promoted", 1),
        ("hang", "down-after", "promoted", 3),
        ("switchover", "switchover", "promoted", 1),
        ("handover", "handover", "promoted", 1),
        ("aborted", "down-after", "aborted: no good slave", 3),
    ],
)
def test_each_way_is_one_failover_with_its_cause_and_end(
    scenario: str, cause: str, outcome: str, votes: int
) -> None:
    (failover,) = told(scenario)["failovers"]
    assert (failover["cause"], failover["outcome"]) == (cause, outcome)
    assert failover["votes"] == votes
    assert failover["led_by"].startswith("sentinel-")


@pytest.mark.parametrize("scenario", ["crash", "hang", "switchover", "handover"])
def test_the_names_and_the_seconds_are_those_of_the_logs(scenario: str) -> None:
    (failover,) = told(scenario)["failovers"]
    promoted = [
        (e.node, e.time) for e in entries(scenario) if e.message.startswith("MASTER MODE enabled")
    ]
    assert failover["to"] == promoted[-1][0]
    began = datetime.fromisoformat(failover["began"])
    assert failover["seconds"] == pytest.approx((promoted[-1][1] - began).total_seconds(), abs=2e-3)
    assert failover["from"] not in (failover["to"], "")
    whole = datetime.fromisoformat(failover["ended"]) - began
    assert sum(failover["phases"].values()) == pytest.approx(whole.total_seconds(), abs=0.01)
    assert list(failover["phases"])[-2:] == ["promoted", "ended"]


def test_what_all_saw_stands_once_with_all_who_saw_it() -> None:
    events = told("crash")["events"]
    (death,) = [e for e in events if e["event"] == "death-seen"]
    assert sorted(death["seen_by"]) == ["sentinel-1", "sentinel-2", "sentinel-3"]
    (switch,) = [e for e in events if e["event"] == "+switch-master"]
    assert len(switch["seen_by"]) == 3
    times = [e["time"] for e in events]
    assert times == sorted(times)


def test_nobody_led_where_nobody_was_asked() -> None:
    assert told("aborted")["failovers"][0]["to"] == ""


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_what_is_told_while_it_happens_is_the_same(scenario: str) -> None:
    whole = read_timeline(entries(scenario), Names({}))
    # Who follows is told the names beforehand, by the stack.
    names = Names({})
    for entry in entries(scenario):
        names.learn(entry)
    watch = Watch(names)
    heard = [watch.feed(entry) for entry in entries(scenario)]
    ended = [failover for _, failover in heard if failover]
    assert [(f.cause, f.outcome, f.began) for f in ended] == [
        (f.cause, f.outcome, f.began) for f in whole.failovers
    ]
    assert sum(event is not None for event, _ in heard) == len(whole.events)


@pytest.mark.parametrize("seed", range(20))
def test_logs_with_holes_are_read_to_their_end(seed: int) -> None:
    """Some nodes' logs are gone, others are cut: less is known, nothing is made up."""
    chance = random.Random(seed)
    for scenario in SCENARIOS:
        kept = [e for e in entries(scenario) if chance.random() < 0.5]
        timeline = read_timeline(kept, Names({}))
        assert len(timeline.failovers) <= 1
        for failover in timeline.failovers:
            assert all(took >= 0 for took in failover.phases.values())


def test_two_failovers_have_two_numbers() -> None:
    first = entries("crash")
    shift = timedelta(hours=1)
    second = [
        Entry(e.time + shift, e.level, e.event, e.node, e.component, e.message, e.fields)
        for e in first
    ]
    timeline = read_timeline([*first, *second], Names({}))
    assert [f.number for f in timeline.failovers] == [1, 2]
    one, two = timeline.failovers
    assert (one.cause, one.phases) == (two.cause, two.phases)
    assert {e.failover for e in timeline.events} == {None, 1, 2}


def test_a_workers_gap_is_an_event() -> None:
    line = written(
        "log-gap",
        moment=datetime(2026, 11, 24, 12, tzinfo=UTC),
        level="error",
        node="worker-1",
        component="worker",
        fields={"reason": "the backlog was outrun"},
    )
    entry = parse(Line(line), node="backup-worker")
    assert entry is not None
    (event,) = read_timeline([entry], Names({})).events
    assert (event.kind, event.detail) == ("log-gap", "reason the backlog was outrun")


def test_the_command_prints_the_timeline_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute([*arguments("hang"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == told("hang")


def test_in_a_pipe_failovers_come_first_and_cells_are_between_tabs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert execute(arguments("crash")) == 0
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert rows[0][1:5] == ["1", "failover", "redis-1", "redis-3"]
    assert "crash seen by the witnesses; promoted after" in rows[0][5]
    assert {len(row) for row in rows} == {6}


def test_nothing_is_said_to_be_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "log").touch()
    assert execute(["events", "--file", f"redis-1={tmp_path}"]) == 0
    assert "nothing happened" in capsys.readouterr().err
