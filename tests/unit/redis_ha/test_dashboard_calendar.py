"""The calendar of backups: each hour of the last days judged by what the store holds."""

from collections import Counter
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from redis_ha.backup_report import Snapshot, ask_snapshots, parse_snapshots
from redis_ha.dashboard.calendar import Hour, calendar

HOUR = 3600.0
# 10:30 of a Tuesday.
NOW = datetime(2026, 11, 24, 10, 30, tzinfo=UTC).timestamp()


def taken(hours_ago: float, state: str = "proven", note: str = "") -> Snapshot:
    at = NOW - hours_ago * HOUR
    return Snapshot(f"s{hours_ago:g}", at, state, note)


def hours(*snapshots: Snapshot, interval: float = HOUR) -> dict[str, Hour]:
    days = calendar(snapshots, now=NOW, interval=interval)
    return {f"{d.date} {n:02}": hour for d in days for n, hour in enumerate(d.hours)}


def states(*snapshots: Snapshot, interval: float = HOUR) -> list[str]:
    """Return the states of today's hours up to the present one."""
    found = hours(*snapshots, interval=interval)
    return [found[f"2026-11-24 {n:02}"].state for n in range(11)]


def test_seven_days_today_first_with_24_hours_each() -> None:
    days = calendar([], now=NOW)
    assert [day.date for day in days][:2] == ["2026-11-24", "2026-11-23"]
    assert (len(days), {len(day.hours) for day in days}) == (7, {24})
    counted = Counter(hour.state for day in days for hour in day.hours)
    assert counted == {"before": 7 * 24 - 13, "future": 13}


def test_an_hour_is_as_good_as_its_best_snapshot() -> None:
    found = hours(
        taken(1, "failed", "chunk 3 fails its MAC"),
        taken(1.1),
        taken(2, "not proven"),
        taken(2.1, "failed", "no room"),
        taken(3, "bad", "signature"),
    )
    assert found["2026-11-24 09"].state == "proven"
    assert found["2026-11-24 09"].snapshots == ("s1.1", "s1")
    assert found["2026-11-24 09"].note == "chunk 3 fails its MAC"
    assert found["2026-11-24 08"].state == "unproven"
    assert found["2026-11-24 07"].state == "failed"


def test_a_missed_hour_is_missing_and_a_late_snapshot_is_not() -> None:
    regular = [taken(h + 0.25) for h in range(11)]
    assert states(*regular) == ["proven"] * 11
    without_two = [s for s in regular if s.id not in ("s4.25", "s5.25")]
    assert [n for n, s in enumerate(states(*without_two)) if s == "missing"] == [5, 6]
    # 06:59:59, then 08:00:05: the hour between has none, and nothing is wrong.
    late = states(taken(0.4), taken(1.4), taken(2.4985), taken(3.5003), taken(4.5))
    assert late[6:9] == ["proven", "between", "proven"]


def test_the_present_hour_is_due_until_it_is_overdue() -> None:
    assert states(taken(0.9))[-2:] == ["proven", "due"]
    assert states(taken(1.4))[-2:] == ["proven", "missing"]


def test_with_a_longer_interval_the_hours_between_are_not_missing() -> None:
    every_six = [taken(h) for h in (2.0, 8.0)]
    assert "missing" not in states(*every_six, interval=6 * HOUR)
    assert states(taken(8.0), interval=6 * HOUR)[8:] == ["missing", "between", "due"]


@given(st.lists(st.floats(0.01, 200.0), max_size=60), st.floats(600.0, 90_000.0))
def test_every_snapshot_of_the_days_shown_is_in_its_hour_and_in_no_other(
    ages: list[float], interval: float
) -> None:
    snapshots = [Snapshot(f"{n}", NOW - age * HOUR, "proven") for n, age in enumerate(ages)]
    days = calendar(snapshots, now=NOW, interval=interval)
    shown = [name for day in days for hour in day.hours for name in hour.snapshots]
    first = datetime.fromisoformat(days[-1].date).replace(tzinfo=UTC).timestamp()
    assert sorted(shown) == sorted(s.id for s in snapshots if s.taken_at >= first)
    for day in days:
        for hour in day.hours:
            assert (hour.state == "proven") == bool(hour.snapshots)


def test_what_the_worker_lists_is_read_and_what_it_says_instead_is_told() -> None:
    printed = """[{"id": "a", "taken_at": "2026-11-24T09:30:00Z", "state": "failed",
      "proof": {"cause": "digest differs"}, "note": ""},
      {"id": "b", "taken_at": "2026-11-24T08:30:00Z", "state": "bad", "problem": "no manifest"},
      {"id": "c", "taken_at": "2026-11-24T07:30:00Z", "state": "not proven", "proof": null}]"""
    found = parse_snapshots(printed, "")
    assert not isinstance(found, str)
    assert [(s.id, s.state, s.note) for s in found] == [
        ("a", "failed", "digest differs"), ("b", "bad", "no manifest"), ("c", "not proven", ""),
    ]  # fmt: skip
    assert found[0].taken_at == NOW - HOUR
    assert parse_snapshots("", "backup-worker: reach the worker: it is stopped\n") == (
        "reach the worker: it is stopped"
    )
    for garbage in ("{}}", '[{"id": 1}]', "[3]", '[{"id":"a","taken_at":"x","state":"y"}]'):
        assert isinstance(parse_snapshots(garbage, ""), str)
    assert isinstance(ask_snapshots({}, {}), str)
