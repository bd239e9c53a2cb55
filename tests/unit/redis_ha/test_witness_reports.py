"""What a witness says of itself: on the wire, in its file, as metrics, and in the findings."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.acl import USERS
from redis_ha.connection import Address
from redis_ha.findings import State
from redis_ha.health import RoundTrip, judge_health, overall
from redis_ha.readiness import is_ready, judge_readiness
from redis_ha.survey import Denial, Lack, Survey
from redis_ha.witness import channels, decisions
from redis_ha.witness.hearing import Hearing, places_to_ask
from redis_ha.witness.metrics import metric_rows
from redis_ha.witness.record import NAMES, recorded
from redis_ha.witness.report import MOST_CHARACTERS, Report, is_question, read, written
from redis_ha.witness.status import NOT_LET_IN, STATES, LastDeath, Status, at_rest, load
from redis_ha.witness.vote import Death
from redis_ha.witnessing import witness_troubles
from tests.unit.redis_ha.surveys import HEALTHY, A, B, C, dead, silent, with_node

NONCE = "ab" * 16
MASTER = Address("10.0.0.1", 6379)
DEATH = Death(MASTER, "run", 7)
LAST = LastDeath(str(MASTER), at=1.5e9, asked="10.0.1.3:26381", asked_after=0.05)
STATUS = Status(verdicts=2, asked=1, accepted=1, master=str(MASTER), state="watching", last=LAST)
REPORT = Report(2, STATUS)
WRONG = "WRONGPASS invalid username-password pair or user is disabled."


def test_an_answer_survives_the_wire() -> None:
    assert read(written(REPORT, NONCE), NONCE) == REPORT
    unheard = Report(1, Status())
    assert read(written(unheard, NONCE), NONCE) == unheard


@given(st.one_of(st.text(), st.none(), st.integers(), st.binary()))
def test_garbage_is_no_answer(message: object) -> None:
    assert read(message, NONCE) is None


@pytest.mark.parametrize(
    "change",
    [
        {"nonce": "another"},
        {"number": 0},
        {"number": "1"},
        {"verdicts": -1},
        {"verdicts": 1.5},
        {"unreachable": None},
        {"last": {"master": 1}},
        {"last": []},
    ],
)
def test_an_answer_of_another_shape_is_none(change: dict[str, Any]) -> None:
    body = json.loads(written(REPORT, NONCE)) | change
    assert read(json.dumps(body), NONCE) is None


def test_an_answer_stays_small_whatever_nodes_say() -> None:
    noisy = replace(STATUS, reason="r" * 100_000, unreachable=("x" * 10_000,) * 500)
    text = written(Report(3, noisy), NONCE)
    assert len(text) < MOST_CHARACTERS
    assert read(text, NONCE) is not None


@given(st.text())
def test_only_a_nonce_is_a_question(text: str) -> None:
    hexadecimal = 8 <= len(text) <= 64 and set(text) <= set("0123456789abcdef")
    assert is_question(text) is hexadecimal


def test_a_status_file_is_read_back_and_a_torn_one_is_none(tmp_path: Path) -> None:
    path = tmp_path / "witness.json"
    assert load(path) is None
    STATUS.write(path)
    assert load(path) == STATUS
    path.write_text(path.read_text()[:40])
    assert load(path) is None


@pytest.mark.parametrize(
    ("master", "nodes", "sentinels", "state"),
    [
        ("m", {"a": "", "b": ""}, {"s": ""}, "watching"),
        ("m", {"a": "", "b": WRONG}, {"s": ""}, "watching"),
        ("m", {"a": WRONG, "b": WRONG}, {"s": ""}, NOT_LET_IN),
        ("", {"a": WRONG, "b": "Connection refused"}, {"s": WRONG}, NOT_LET_IN),
        ("", {"a": "", "b": ""}, {"s": "timed out"}, "no majority of the sentinels"),
    ],
)
def test_what_keeps_it_from_watching_is_told_apart(
    master: str, nodes: dict[str, str], sentinels: dict[str, str], state: str
) -> None:
    said, reason = at_rest(master, nodes, sentinels)
    assert said == state
    assert ("password" in reason) is (state == NOT_LET_IN)


def test_a_death_is_kept_with_its_times() -> None:
    verdict = decisions.Verdict(DEATH, "closed", since=10.0)
    ask = decisions.Ask(Address("10.0.1.3", 26381), DEATH, "witnesses [1, 2] saw it", at=0.0)
    done = decisions.Done(DEATH, "10.0.0.2:6379 was promoted")
    status = recorded(Status(), verdict, ago=0.02, wall=1000.0)
    assert status.last == LastDeath(str(MASTER), at=999.98)
    status = recorded(status, ask, ago=0.05, wall=1000.03)
    again = recorded(status, ask, ago=1.5, wall=1001.5)
    status = recorded(again, done, ago=1.9, wall=1001.9)
    assert status.last == LastDeath(
        str(MASTER), 999.98, "10.0.1.3:26381", asked_after=0.05, ended_after=1.9, outcome="done"
    )
    assert (status.verdicts, status.asked, status.withdrawn) == (1, 2, 0)
    assert (status.state, status.reason) == ("done", "10.0.0.2:6379 was promoted")


def test_every_decision_has_a_state_that_metrics_know() -> None:
    assert set(NAMES.values()) <= set(STATES)


def test_metrics_have_a_row_for_each_count_and_one_state_that_is_true() -> None:
    rows = metric_rows(Hearing(3, (REPORT, Report(3, replace(STATUS, state="made up")))))
    values = {(row.name, tuple(row.labels.values())): row.value for row in rows}
    assert len(values) == len(rows)
    assert values["redis_ha_witness_listening", ()] == 3
    assert values["redis_ha_witness_verdicts_total", ("2",)] == 2
    assert values["redis_ha_witness_state", ("2", "watching")] == 1
    for number in ("2", "3"):
        states = [r for r in rows if r.name.endswith("_state") and r.labels["witness"] == number]
        assert sum(row.value for row in states) == 1
    assert values["redis_ha_witness_state", ("3", "other")] == 1
    assert all(row.name.endswith("_total") == (row.kind == "counter") for row in rows)


def test_the_rights_name_the_channels_that_are_used() -> None:
    rules = {user.name: (user.data or "").split() for user in USERS}
    asking = {f"&{channels.QUESTIONS}", f"&{channels.ANSWERS}"}
    named = {user: {word for word in words if word[0] == "&"} for user, words in rules.items()}
    assert named["witness"] == asking | {f"&{channels.VOTES}"}
    assert named["exporter"] == asking


def test_they_are_asked_over_a_replica_when_there_is_one() -> None:
    views = [node.view for node in HEALTHY.nodes]
    assert places_to_ask(views) == [B, C, A]
    assert places_to_ask([views[0], replace(views[1], link_down_seconds=3), views[2]])[0] == C
    assert places_to_ask(views[:1]) == [A]
    assert places_to_ask([replace(view, role=None) for view in views]) == []


def reports(*statuses: Status) -> tuple[Report, ...]:
    return tuple(Report(number, status) for number, status in enumerate(statuses, start=1))


REFUSED = Denial("witness", "auth", "AUTH", age=1.0, count=40)
TROUBLES = {
    "too few": (with_node(HEALTHY, 1, witnesses=1), "no majority sees a crash"),
    "one is missing": (with_node(HEALTHY, 1, witnesses=2), "a majority still sees a crash"),
    "a wrong password": (with_node(HEALTHY, 1, denials=(REFUSED,)), "wrong password"),
    "no right": (
        with_node(HEALTHY, 2, witness_lacks=(Lack("witness", "may not REPLICAOF"),)),
        "may not REPLICAOF",
    ),
    "not let in": (
        replace(
            HEALTHY,
            hearing=Hearing(2, reports(STATUS, replace(STATUS, state=NOT_LET_IN, reason="why"))),
        ),
        "is not let in: why",
    ),
    "one node lost": (
        replace(HEALTHY, hearing=Hearing(1, reports(replace(STATUS, unreachable=("b: gone",))))),
        "is not connected to b: gone",
    ),
    "one is silent": (replace(HEALTHY, hearing=Hearing(3, reports(STATUS, STATUS))), "1 of 3"),
    "not to be asked": (replace(HEALTHY, hearing=Hearing(problem="no right")), "no right"),
}


@pytest.mark.parametrize(("survey", "words"), TROUBLES.values(), ids=TROUBLES.keys())
def test_a_trouble_is_a_warning_of_ready_and_degrades_health(survey: Survey, words: str) -> None:
    findings = judge_readiness(survey)
    found = [f for f in findings if f.check == "witnesses"]
    assert any(words in finding.reason for finding in found), found
    assert all(finding.state is State.WARNING and finding.remedy for finding in found)
    assert is_ready(findings)
    levels = judge_health(survey, {}, RoundTrip(0.001, by="redis-1"))
    assert overall(levels) == "degraded"
    assert any(words in finding.reason for finding in levels if finding.check == "sentinel")


def test_a_down_after_that_nobody_tells_is_not_made_up() -> None:
    deaf = with_node(HEALTHY, 1, witnesses=1)
    for number in range(3):
        deaf = silent(deaf, number)
    (reason,) = (finding.reason for finding in witness_troubles(deaf))
    assert reason.endswith("it takes down-after longer")


@pytest.mark.parametrize(
    "survey",
    [
        HEALTHY,
        replace(HEALTHY, hearing=Hearing(3, reports(STATUS, STATUS, STATUS))),
        with_node(HEALTHY, 1, denials=(replace(REFUSED, age=60.0),)),
        with_node(HEALTHY, 1, denials=(replace(REFUSED, user="app"),)),
    ],
)
def test_watching_witnesses_are_fine(survey: Survey) -> None:
    (found,) = [f for f in judge_readiness(survey) if f.check == "witnesses"]
    assert found.state is State.OK


def without(survey: Survey) -> Survey:
    for number in range(3):
        survey = with_node(survey, number, witnesses=0)
    return survey


def test_without_witnesses_nothing_is_missed_unless_the_stack_has_them() -> None:
    (found,) = [f for f in judge_readiness(without(HEALTHY)) if f.check == "witnesses"]
    assert found.state is State.OK
    assert "none" in found.reason
    wanted = replace(without(HEALTHY), witness_set=True)
    (missed,) = [f for f in judge_readiness(wanted) if f.check == "witnesses"]
    assert missed.state is State.WARNING
    refused = with_node(without(HEALTHY), 0, denials=(REFUSED,))
    assert refused.witness_wanted
    left_out = replace(dead(HEALTHY, 0), witness_set=False)
    assert not left_out.witness_wanted
