"""From looks to what the page shows: headline, members, lines, age."""

import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from redis_ha.backup_report import BackupReport, Snapshot
from redis_ha.dashboard.history import WINDOW_SECONDS, Point, described, point, remembered
from redis_ha.dashboard.known import (
    Backups,
    Known,
    Look,
    Thorough,
    merged,
    with_backups,
    with_look,
    with_problem,
    with_thorough,
)
from redis_ha.dashboard.view import About, state
from redis_ha.health import RoundTrip
from redis_ha.survey import Lack, Survey
from redis_ha.witness.hearing import Hearing
from redis_ha.witness.report import Report
from redis_ha.witness.status import Status
from tests.unit.redis_ha.surveys import HEALTHY, B, dead, silent, with_node, with_sentinel

T = 1_795_550_000.0
ABOUT = About("mymaster", 1.0)
WROTE = RoundTrip(0.004, by="redis-1")
FAILED = RoundTrip(problem="no majority of the sentinels names one master")
ALL_DOWN = silent(silent(silent(dead(dead(dead(HEALTHY, 0), 1), 2), 0), 1), 2)


def look(survey: Survey = HEALTHY, *, at: float = T, trip: RoundTrip = WROTE) -> Look:
    return Look(at, 0.02, survey, trip)


def known(*looks: Look, thorough: Survey | None = HEALTHY) -> Known:
    found = Known(began=T - 10)
    if thorough is not None:
        found = with_thorough(found, Thorough(thorough, {}))
    for one in looks:
        found = with_look(found, one)
    return found


def promoted() -> Survey:
    survey = with_node(dead(HEALTHY, 0), 1, view_role="master", view_master=None)
    for number in range(3):
        survey = with_sentinel(survey, number, view_master=B, epoch=3)
    return survey


def test_before_the_first_look_nothing_is_claimed() -> None:
    shown = state(Known(began=T), ABOUT, now=T)
    assert (shown["headline"]["health"], shown["headline"]["ready"]) == (None, None)
    assert (shown["nodes"], shown["look"]["age"], shown["stale"]) == ([], None, False)
    assert shown["worker"]["absent"]
    assert shown["backups"]["problem"]
    json.dumps(shown, allow_nan=False)


def test_a_healthy_cluster() -> None:
    shown = state(known(look()), ABOUT, now=T + 0.5)
    assert (shown["headline"]["health"], shown["headline"]["reasons"]) == ("healthy", [])
    assert shown["headline"]["ready"] is True
    assert [(n["name"], n["role"], n["link"]) for n in shown["nodes"]] == [
        ("redis-1", "master", "up"),
        ("redis-2", "replica", "promotable"),
        ("redis-3", "replica", "promotable"),
    ]
    assert [n["behind_bytes"] for n in shown["nodes"]] == [None, 0, 10]
    assert [n["heard_seconds"] for n in shown["nodes"]] == [None, 0.0, 1.0]
    assert {n["follows"] for n in shown["nodes"][1:]} == {"redis-1"}
    for sentinel in shown["sentinels"]:
        assert (sentinel["names"], sentinel["agrees"], sentinel["may_vote"]) == (
            "redis-1", True, True,
        )  # fmt: skip
    assert shown["outage"]["sentinels"] == {"epoch": 2, "seconds_ago": 300.0}
    assert shown["look"]["age"] == 0.5
    json.dumps(shown, allow_nan=False)


def test_ready_is_not_claimed_before_the_rights_were_tried() -> None:
    assert state(known(look(), thorough=None), ABOUT, now=T)["headline"]["ready"] is None


def test_rights_found_wanting_stay_until_they_are_tried_again() -> None:
    tried = with_sentinel(HEALTHY, 1, lacks=(Lack("sentinel-peer", "may not PUBLISH"),))
    headline = state(known(look(), thorough=tried), ABOUT, now=T)["headline"]
    assert headline["ready"] is False
    assert headline["not_ready"][0]["subject"] == "sentinel-2"
    # One that is gone now isn't blamed for what it lacked before.
    gone = merged(silent(HEALTHY, 1), Thorough(tried, {}))
    assert gone.sentinels[1].lacks == ()


def test_a_crash_shows_the_reasons_then_the_new_master_and_the_failover() -> None:
    before = known(look(at=T - 3))
    down = with_look(before, look(dead(HEALTHY, 0), at=T - 2, trip=FAILED))
    shown = state(down, ABOUT, now=T - 1)
    assert shown["headline"]["health"] == "down"
    assert shown["headline"]["reasons"][0]["state"] == "bad"
    assert shown["nodes"][0]["link"] == "silent"
    assert shown["nodes"][0]["problem"] == "nobody listens there"
    assert (shown["outage"]["down_seconds"], shown["outage"]["total_seconds"]) == (1.0, 1.0)
    after = state(with_look(down, look(promoted(), at=T)), ABOUT, now=T)
    assert after["master"] == "redis-2"
    (failover,) = after["failovers"]
    assert (failover["old"], failover["new"], failover["seconds"]) == ("redis-1", "redis-2", 2.0)
    assert (after["outage"]["down_seconds"], after["outage"]["total_seconds"]) == (None, 2.0)


def test_when_nobody_answers_the_last_that_was_seen_stays_and_its_age_is_told() -> None:
    shown = state(known(look(at=T), look(ALL_DOWN, at=T + 5, trip=FAILED)), ABOUT, now=T + 6)
    assert (shown["look"]["silent"], shown["stale"]) == (True, True)
    assert (shown["look"]["age"], shown["look"]["answer_age"]) == (1.0, 6.0)
    assert [node["role"] for node in shown["nodes"]] == ["master", "replica", "replica"]
    assert shown["headline"]["health"] == "down"
    assert shown["outage"]["sentinels"] is None


def test_a_look_that_never_ends_makes_what_is_shown_stale() -> None:
    one = known(look())
    assert not state(one, ABOUT, now=T + 10)["stale"]
    assert state(one, ABOUT, now=T + 16)["stale"]
    assert not state(one, About("mymaster", 60.0), now=T + 100)["stale"]


def test_what_could_not_be_looked_at_is_told_until_it_could() -> None:
    troubled = with_problem(known(look()), "rights", "OSError: too many open files")
    assert state(troubled, ABOUT, now=T)["problems"] == ["rights: OSError: too many open files"]
    assert state(with_problem(troubled, "rights", ""), ABOUT, now=T)["problems"] == []


def test_each_sentinel_has_its_witness() -> None:
    watching = Status(state="watching", master="10.0.0.1:1")
    heard = Hearing(2, (Report(1, watching), Report(3, replace(watching, unreachable=("x",)))))
    tried = replace(HEALTHY, hearing=heard, witness_set=True)
    shown = state(known(look(replace(HEALTHY, witness_set=True)), thorough=tried), ABOUT, now=T)
    assert [s["witness"] for s in shown["sentinels"]] == ["watching", None, "watching"]
    assert shown["sentinels"][2]["witness_trouble"] == "is not connected to x"
    assert shown["witnesses"]["wanted"]


def test_backups_come_with_their_calendar_or_the_reason_why_not() -> None:
    report = BackupReport("s1", 60.0, 50.0, running=True, interval=3600.0, follows=str(B))
    listed = Backups(T - 20, report, (Snapshot("s1", T - 60, "proven"),))
    shown = state(with_backups(known(look()), listed), ABOUT, now=T)
    assert (shown["backups"]["age"], shown["backups"]["problem"]) == (20.0, "")
    kept = [h for day in shown["backups"]["days"] for h in day["hours"] if h["snapshots"]]
    assert [(hour["state"], hour["snapshots"]) for hour in kept] == [("proven", ("s1",))]
    assert shown["worker"]["follows"] == "redis-2"
    away = Backups(T, BackupReport(absent="the container is stopped"), "the container is stopped")
    shown = state(with_backups(known(look()), away), ABOUT, now=T)
    assert shown["backups"]["problem"] == shown["worker"]["absent"] == "the container is stopped"


def test_without_an_application_user_the_roles_say_whether_writes_work() -> None:
    skipped = RoundTrip(skipped=True, problem="not set")
    seen = point(HEALTHY, skipped, T)
    assert (seen.available, seen.milliseconds) == (True, None)
    assert not point(dead(HEALTHY, 0), skipped, T).available
    assert point(HEALTHY, WROTE, T) == Point(T, True, 4.0, {"redis-2": 0, "redis-3": 10})


def test_a_step_shows_its_worst_look() -> None:
    points = [
        Point(T - 7, True, 5.0, {"redis-2": 7}), Point(T - 6.5, False, None, {"redis-2": None}),
        Point(T - 6.2, True, 80.0, {"redis-2": 9}), Point(T - 0.5, True, 1.0, {"redis-3": 1}),
    ]  # fmt: skip
    shown = described(points, now=T, interval=1.0)
    assert sorted(set(shown["strip"])) == ["none", "ok", "partly"]  # type: ignore[call-overload]
    assert [m for m in shown["milliseconds"] if m is not None] == [80.0, 1.0]  # type: ignore[attr-defined]
    assert max(filter(None, shown["lags"]["redis-2"])) == 9  # type: ignore[index]
    assert (shown["looks"], shown["available"]) == (4, 3)


@given(st.lists(st.floats(0.05, 30.0), min_size=1, max_size=200), st.floats(0.2, 60.0))
def test_memory_and_picture_are_bounded_and_every_look_in_the_window_is_drawn(
    pauses: list[float], interval: float
) -> None:
    at, points = T, ()
    for pause in pauses:
        at += pause
        points = remembered(points, Point(at, True, 1.0))
    assert all(seen.at > at - WINDOW_SECONDS for seen in points)
    shown = described(points, now=at, interval=interval)
    strip: list[str] = shown["strip"]  # type: ignore[assignment]
    step: float = shown["step"]  # type: ignore[assignment]
    begin: float = shown["begin"]  # type: ignore[assignment]
    assert len(strip) <= 300
    assert begin <= at < begin + step * len(strip)
    drawn = {int((seen.at - begin) // step) for seen in points if seen.at >= begin}
    assert {n for n, kind in enumerate(strip) if kind == "ok"} == drawn
