"""The four levels and what they add up to."""

from dataclasses import replace

import pytest

from redis_ha.containers import ContainerView, parse
from redis_ha.findings import Finding, State, grouped, worst
from redis_ha.health import RoundTrip, judge_health, overall
from redis_ha.survey import Survey
from tests.unit.redis_ha.surveys import HEALTHY, B, dead, silent, with_node, with_sentinel

GOOD = RoundTrip(0.002, by="redis-1")
BOXES = {"redis-1": ContainerView("redis-1", running=True, status="running", health="healthy")}
STOPPED = {"redis-2": ContainerView("redis-2", running=False, status="exited")}


@pytest.mark.parametrize(
    ("survey", "containers", "trip", "level"),
    [
        (HEALTHY, BOXES, GOOD, "healthy"),
        (HEALTHY, "no docker command", GOOD, "healthy"),
        (HEALTHY, BOXES, RoundTrip(skipped=True, problem="no user"), "healthy"),
        (HEALTHY, STOPPED, GOOD, "degraded"),
        (silent(HEALTHY, 0), BOXES, GOOD, "degraded"),
        (silent(silent(HEALTHY, 0), 1), BOXES, GOOD, "degraded"),
        (with_sentinel(HEALTHY, 0, view_master=B), BOXES, GOOD, "degraded"),
        (dead(HEALTHY, 2), BOXES, GOOD, "degraded"),
        (with_node(HEALTHY, 1, view_link_down_seconds=2), BOXES, GOOD, "degraded"),
        (with_node(HEALTHY, 1, view_role="master"), BOXES, GOOD, "degraded"),
        (dead(dead(dead(HEALTHY, 0), 1), 2), BOXES, GOOD, "down"),
        (HEALTHY, BOXES, RoundTrip(problem="NOREPLICAS"), "down"),
    ],
)
def test_the_whole_is_as_good_as_its_levels(
    survey: Survey, containers: dict[str, ContainerView] | str, trip: RoundTrip, level: str
) -> None:
    findings = judge_health(survey, containers, trip)
    assert overall(findings) == level
    checks = {finding.check for finding in findings}
    assert checks == {"container", "sentinel", "replication", "application"}
    assert all(finding.reason for finding in findings)


def test_docker_s_word_is_read() -> None:
    document = {
        "Name": "/redis-1",
        "RestartCount": 2,
        "State": {
            "Running": True,
            "Status": "running",
            "Health": {"Status": "unhealthy", "Log": [{"Output": "link down\n"}]},
        },
    }
    views = parse(["redis-1", "redis-2"], [document])
    assert views["redis-1"].trouble == "is unhealthy: link down"
    assert views["redis-1"].restarts == 2
    assert views["redis-2"].trouble == "is gone"


def test_a_healthy_container_may_still_complain_of_its_witness() -> None:
    said = "ok sentinel; its witness is not let in: its password is wrong on 10.0.0.1:6379"
    box = replace(BOXES["redis-1"], detail=said)
    assert box.trouble == "its witness is not let in: its password is wrong on 10.0.0.1:6379"
    findings = judge_health(HEALTHY, {"sentinel-1": box}, GOOD)
    assert overall(findings) == "degraded"
    assert replace(box, detail="ok master, 2 replicas").trouble == ""


def test_the_same_of_several_subjects_is_said_once() -> None:
    found = [Finding("memory", State.WARNING, "full", subject=name) for name in ("a", "b")]
    other = Finding("ports", State.BAD, "closed", subject="c")
    assert [(f.check, f.subject) for f in grouped([*found, other])] == [
        ("memory", "a, b"),
        ("ports", "c"),
    ]
    assert worst([*found, other]) is State.BAD
    assert worst([]) is State.OK
