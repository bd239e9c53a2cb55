"""What the exporter makes of what it saw: pictures in, metrics and events out."""

from dataclasses import replace
from math import isnan, nan
from pathlib import Path

import pytest

from redis_ha.connection import Address, Credentials
from redis_ha.discovery import Access
from redis_ha.environment import MAX_NODES
from redis_ha.errors import BadSetting
from redis_ha.exporter.families import families
from redis_ha.exporter.picture import (
    Picture,
    Seen,
    begin,
    events,
    with_check,
    with_expiries,
    with_look,
    with_trip,
)
from redis_ha.exporter.running import exporting
from redis_ha.exporter.settings import LISTEN, ExporterSettings, load, parse, read_address
from redis_ha.health import RoundTrip
from redis_ha.site import Member, Site
from redis_ha.survey import ReplicaEntry, SentinelSurvey, Survey
from redis_ha.witness.hearing import Hearing
from redis_ha.witness.report import Report
from redis_ha.witness.status import Status
from tests.unit.redis_ha.surveys import HEALTHY, A, B, C, S, dead, silent, with_node, with_sentinel
from tests.unit.redis_ha.test_eventlog import documented

ACCESS = Access(S, "mymaster", Credentials("exporter", "x"), Path("ca"))
SITE = Site(
    ACCESS,
    None,
    tuple(Member(f"redis-{n}", address) for n, address in enumerate((A, B, C), start=1)),
    tuple(Member(f"sentinel-{n}", address) for n, address in enumerate(S, start=1)),
)


def seen(survey: Survey, at: float = 0.0) -> Seen:
    return Seen(survey, at, 0.01)


def values(picture: Picture, now: float = 0.0) -> dict[str, float]:
    return {
        f"{sample.name.removeprefix('redis_ha_')}{list(sample.labels.values()) or ''}": sample.value
        for family in families(picture, now=now)
        for sample in family.samples
    }


def promoted(survey: Survey) -> Survey:
    """Let the majority name B, which is master, with the next epoch."""
    survey = with_node(survey, 1, view_role="master", view_master=None)
    for number in range(3):
        survey = with_sentinel(survey, number, view_master=B, epoch=3)
    return survey


CALM = begin(SITE, seen(HEALTHY))
CRASH = with_look(CALM, seen(dead(HEALTHY, 0), 1.0), wall=1001.0)
OVER = with_look(CRASH, seen(promoted(dead(HEALTHY, 0)), 3.5), wall=1003.5)


def test_a_crash_is_one_failover_as_long_as_no_master_was_seen() -> None:
    assert values(CALM)["master_available"] == 1
    assert isnan(values(CALM)["last_failover_seconds"])
    assert values(CRASH)["master_available"] == 0
    assert values(CRASH)["failovers_total"] == 0
    told = values(OVER)
    assert (told["master_available"], told["failovers_total"]) == (1, 1)
    assert (told["last_failover_seconds"], told["outage_seconds_total"]) == (2.5, 2.5)
    assert told["last_failover_timestamp_seconds"] == 1003.5
    again = with_look(OVER, seen(OVER.look.survey, 4.0), wall=1.0)  # the clock was set back
    assert values(again) | {"survey_age_seconds": 0} == told | {"survey_age_seconds": 0}


def test_a_nodes_connections_are_counted_as_its_limit_does_replicas_included() -> None:
    told = values(with_look(CALM, seen(with_node(HEALTHY, 0, info_connected_slaves=2)), wall=0.0))
    assert (told["connections['redis-1']"], told["connections_limit['redis-1']"]) == (12, 10_000)
    gone = values(with_look(CALM, seen(dead(HEALTHY, 2), 1.0), wall=0.0))
    assert isnan(gone["connections['redis-3']"])
    assert isnan(gone["connections_limit['redis-3']"])


def test_a_round_trip_that_never_comes_grows_old_but_not_where_none_is_tried() -> None:
    began = begin(replace(SITE, app=ACCESS), seen(HEALTHY, 10.0))
    assert values(began, now=50.0)["round_trip_age_seconds"] == 40
    tried = with_trip(began, RoundTrip(problem="nobody listens"), at=45.0)
    assert values(tried, now=50.0)["round_trip_age_seconds"] == 5
    assert isnan(values(CALM, now=50.0)["round_trip_age_seconds"])


def test_what_happened_is_told_once() -> None:
    assert [e.name for e in events(CALM, CRASH)] == ["master-unavailable", "member-silent"]
    over = {event.name: event.fields for event in events(CRASH, OVER)}
    assert over["master-available"]["seconds"] == 2.5
    assert (over["failover-seen"]["old"], over["failover-seen"]["new"]) == ("redis-1", "redis-2")
    assert list(events(OVER, OVER)) == []


def test_each_event_and_its_fields_are_documented() -> None:
    tilted = with_check(CALM, seen(with_sentinel(HEALTHY, 0, tilt=True)))
    refused = with_trip(CALM, RoundTrip(problem="nobody listens"), at=0.0)
    course = (
        *((CALM, CRASH), (CRASH, OVER), (CRASH, with_look(CRASH, seen(HEALTHY, 9.0), wall=0.0))),
        *((CALM, tilted), (tilted, with_check(tilted, seen(HEALTHY)))),
        *((CALM, refused), (refused, with_trip(refused, RoundTrip(0.1, by="redis-1"), at=0.0))),
    )
    told = {e.name: set(e.fields) for before, after in course for e in events(before, after)}
    assert {name: documented()[name] for name in told} == told
    assert len(told) == 9


def test_a_silent_node_keeps_its_series_and_the_master_is_no_replica() -> None:
    before, after = values(CALM), values(with_look(CALM, seen(dead(HEALTHY, 2), 1.0), wall=0.0))
    assert before.keys() == after.keys()
    assert after["node_up['redis-3']"] == 0
    assert after["replica_link_up['redis-3']"] == 0
    assert isnan(after["replica_lag_bytes['redis-3']"])
    assert before["replica_lag_bytes['redis-3']"] == 10
    assert "replica_link_up['redis-1']" not in before


def test_nothing_known_is_not_a_number_and_nobody_answering_is_no_success() -> None:
    told = values(CALM)
    unknown = ("ready", "not_ready_reasons", "quorum", "round_trip_seconds", "check_age_seconds")
    assert all(isnan(told[name]) for name in unknown)
    assert isnan(told["health['application']"])
    gone = HEALTHY
    for number in range(3):
        gone = silent(dead(gone, number), number)
    down = values(with_look(CALM, seen(gone, 1.0), wall=0.0), now=3.0)
    assert (down["survey_success"], down["survey_age_seconds"]) == (0, 2.0)
    assert (down["health['container']"], down["writable_masters"]) == (2, 0)
    assert down["sentinel_agrees['sentinel-1']"] == 0


def test_two_writable_masters_are_not_an_available_one() -> None:
    split = with_node(HEALTHY, 2, view_role="master", view_master=None)
    told = values(with_look(CALM, seen(split, 1.0), wall=0.0))
    assert (told["writable_masters"], told["master_available"]) == (2, 0)
    loading = with_node(HEALTHY, 0, view_loading=True)
    told = values(with_look(CALM, seen(loading, 1.0), wall=0.0))
    assert (told["writable_masters"], told["master_available"]) == (0, 0)


def test_readiness_and_health_come_from_the_thorough_survey() -> None:
    fine = with_trip(with_check(CALM, seen(HEALTHY)), RoundTrip(0.004, by="redis-1"), at=0.0)
    told = values(fine)
    assert (told["ready"], told["not_ready_reasons"], told["quorum"]) == (1, 0, 2)
    levels = ("container", "sentinel", "replication", "application")
    assert [told[f"health['{level}']"] for level in levels] == [0, 0, 0, 0]
    assert told["round_trip_seconds"] == 0.004
    tilted = with_check(fine, seen(with_sentinel(HEALTHY, 0, tilt=True)))
    assert (values(tilted)["ready"], values(tilted)["not_ready_reasons"]) == (0, 1)
    assert [values(tilted)[f"ready_check['{name}']"] for name in ("quorum", "votes")] == [1, 0]
    assert [event.name for event in events(fine, tilted)] == ["not-ready"]
    assert [event.name for event in events(tilted, with_check(tilted, fine.check))] == ["ready"]


def test_a_sentinel_votes_that_answers_and_counts_enough_others() -> None:
    votes = [f"sentinel_may_vote['sentinel-{n}']" for n in (1, 2, 3)]
    counts = [f"sentinel_quorum_ok['sentinel-{n}']" for n in (1, 2, 3)]
    assert all(isnan(values(CALM)[name]) for name in (*votes, *counts))
    assert values(CALM)["sentinel_config_epoch['sentinel-1']"] == 2
    hurt = silent(with_sentinel(HEALTHY, 0, tilt=True), 1)
    alone = with_sentinel(hurt, 2, quorum_verdict="NOQUORUM 1 usable Sentinels")
    told = values(with_look(with_check(CALM, seen(alone)), seen(alone, 1.0), wall=0.0))
    assert [told[name] for name in votes] == [0, 0, 1]
    assert [told[name] for name in counts] == [1, 0, 0]
    assert isnan(told["sentinel_config_epoch['sentinel-2']"])


def test_round_trips_are_counted_by_their_end() -> None:
    picture = with_trip(CALM, RoundTrip(0.002), at=0.0)
    failed = with_trip(picture, RoundTrip(problem="redis-1: nobody listens there"), at=0.0)
    told = values(failed)
    assert (told["round_trips_total['ok']"], told["round_trips_total['failed']"]) == (1, 1)
    assert isnan(told["round_trip_seconds"])
    assert told["health['container']"] == 0
    assert [e.name for e in events(picture, failed)] == ["round-trip-failed"]
    assert with_trip(failed, RoundTrip(skipped=True), at=0.0) is failed


def test_nodes_that_only_sentinels_know_are_added_bounded_and_forgotten() -> None:
    strangers = tuple(
        ReplicaEntry(Address("10.0.2.1", port), frozenset({"slave"})) for port in range(1, 40)
    )
    first: SentinelSurvey = HEALTHY.sentinels[0]
    crowded = with_sentinel(HEALTHY, 0, replicas=(*first.replicas, *strangers))
    grown = with_check(CALM, seen(crowded))
    assert len(grown.site.data_nodes) == 3 + MAX_NODES
    assert grown.site.data_nodes[3].name == "10.0.2.1:1"
    assert len(with_check(grown, seen(HEALTHY)).site.data_nodes) == 3
    assert values(grown)["nodes_expected"] == 3


def test_certificates_of_silent_nodes_keep_their_last_word() -> None:
    known = with_expiries(with_expiries(CALM, {A: 5.0, S[0]: 6.0}), {B: 7.0})
    ends = {m: values(known)[f"certificate_expiry_timestamp_seconds['{m}']"]
            for m in ("redis-1", "redis-2", "redis-3", "sentinel-1")}  # fmt: skip
    assert str(ends) == str({"redis-1": 5.0, "redis-2": 7.0, "redis-3": nan, "sentinel-1": 6.0})


def test_certificates_of_those_who_watch_are_watched_too() -> None:
    here, stock = Address("10.0.0.9", 9122), Address("10.0.0.9", 9121)
    others = (Member("ha-exporter", here), Member("redis-exporter", stock))
    known = with_expiries(begin(SITE, seen(HEALTHY), others=others), {here: 8.0})
    told = values(with_check(known, seen(HEALTHY)))
    assert told["certificate_expiry_timestamp_seconds['ha-exporter']"] == 8
    assert isnan(told["certificate_expiry_timestamp_seconds['redis-exporter']"])


def test_a_witness_that_is_silent_keeps_its_counts() -> None:
    reports = tuple(Report(n, Status(verdicts=n)) for n in (1, 2, 3))
    heard = with_check(CALM, seen(replace(HEALTHY, hearing=Hearing(3, reports))))
    fewer = with_check(heard, seen(replace(HEALTHY, hearing=Hearing(2, reports[:2]))))
    before, told = values(heard), values(fewer)
    assert before.keys() == told.keys()
    assert (told["witness_listening"], told["witness_verdicts_total['3']"]) == (2, 3)
    assert (told["witness_up['2']"], told["witness_up['3']"]) == (1, 0)


def test_no_family_comes_twice_and_each_is_explained() -> None:
    hearing = Hearing(1, (Report(1, Status()),))
    picture = with_check(CALM, seen(replace(HEALTHY, hearing=hearing)))
    found = list(families(picture, now=0.0))
    assert len({family.name for family in found}) == len(found)
    assert all(family.documentation and family.name.startswith("redis_ha_") for family in found)


def test_settings_are_the_environment_s_or_are_named(tmp_path: Path) -> None:
    ca = tmp_path / "ca.crt"
    ca.write_text("x")
    file = tmp_path / "exporter.env"
    file.write_text(
        "REDIS_SENTINEL_HOST_1=10.0.1.1\nREDIS_SENTINEL_PORT_1=1\nREDIS_EXPORTER_TLS_CERT=c\n"
        f"REDIS_TLS_CA={ca}\nREDIS_OPERATOR_USERNAME=operator\nREDIS_OPERATOR_PASSWORD=x\n"
        "REDIS_EXPORTER_TLS_KEY=k\nREDIS_NODE_NAME_1=redis-1\nREDIS_NODE_HOST_1=10.0.0.1\n"
        "REDIS_NODE_PORT_1=1\n"
    )
    values = load({"REDIS_EXPORTER_USERNAME": "exporter"}, stack=None, files=(file,))
    parsed = parse(values)
    assert (parsed.listen, parsed.site.operator.credentials.username) == (LISTEN, "operator")
    assert [member.name for member in parsed.site.data_nodes] == ["redis-1"]
    own = parse(values | {"REDIS_EXPORTER_PASSWORD": "y", "REDIS_EXPORTER_METRICS_PORT": "9"})
    assert (own.listen.port, own.site.operator.credentials.username) == (9, "exporter")
    assert own.beside == ()
    beside = parse(values | {"REDIS_EXPORTER_STOCK": "10.0.0.9:9121"}).beside
    assert beside == (Member("redis-exporter", Address("10.0.0.9", 9121)),)
    for missing in ("REDIS_EXPORTER_TLS_KEY", "REDIS_SENTINEL_HOST_1", "REDIS_TLS_CA"):
        with pytest.raises(BadSetting):
            parse({k: v for k, v in values.items() if k != missing})


def test_a_certificate_that_is_not_there_is_named(tmp_path: Path) -> None:
    nobody = Address("127.0.0.1", 1)
    site = Site(
        Access((nobody,), "mymaster", ACCESS.credentials, tmp_path / "ca.crt"), None, (), ()
    )
    settings = ExporterSettings(
        site, Address("127.0.0.1", 0), tmp_path / "x.crt", tmp_path / "x.key"
    )
    with pytest.raises(BadSetting, match=r"x\.crt: No such file"), exporting(settings):
        pass


@pytest.mark.parametrize("text", ["9122", ":9122", "host:", "host:x", "host:70000"])
def test_an_address_without_host_or_port_is_refused(text: str) -> None:
    with pytest.raises(BadSetting, match="--listen"):
        read_address(text, setting="--listen")
    assert read_address("[::1]:5", setting="--listen") == Address("::1", 5)
