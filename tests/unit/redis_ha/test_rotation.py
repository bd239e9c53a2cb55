"""The steps of a rotation, from any point at which it may have been interrupted."""

import itertools

import pytest

from redis_ha.rotation import SETTINGS, Kind, path_of, to_do, waiting_for


def values(kind: Kind, now: str, *, deployed: str | None = None, finish: bool = False) -> list[str]:
    deployed = now if deployed is None else deployed
    return [step.value for step in to_do(kind, now, deployed=deployed, finish=finish)]


def test_a_new_rotation_goes_up_to_what_must_be_done_outside() -> None:
    assert values("users", "1") == ["1+2", "2+1"]
    assert values("ca", "1") == ["1+2"]
    assert values("certs", "1") == ["2"]
    assert values("backup-key", "1") == ["2+1"]
    assert values("users", "9") == ["9+10", "10+9"]


def test_finish_ends_what_is_under_way_and_begins_nothing() -> None:
    assert values("users", "2+1", finish=True) == ["2+1", "2"]
    assert values("ca", "1+2", finish=True) == ["1+2", "2+1", "2"]
    assert values("users", "1", finish=True) == []
    assert values("certs", "3", finish=True) == []


def test_an_interrupted_step_is_taken_again() -> None:
    assert values("users", "1+2", deployed="1") == ["1+2", "2+1"]
    assert values("users", "2", deployed="2+1") == ["2"]
    assert values("users", "2", deployed="2+1", finish=True) == ["2"]
    assert values("certs", "2", deployed="1") == ["2"]


def test_it_says_what_it_waits_for() -> None:
    assert "new password" in waiting_for("users", "2+1")
    assert waiting_for("users", "1+2") == ""
    assert "CA file" in waiting_for("ca", "1+2")
    assert waiting_for("users", "2") == ""


@pytest.mark.parametrize("kind", list(SETTINGS))
def test_what_is_used_was_accepted_before_and_is_accepted_a_step_longer(kind: Kind) -> None:
    steps = ["1", *(step.value for step in path_of(kind, "1"))]
    assert steps[-1] == "2"
    if kind in ("users", "ca"):
        for before, after in itertools.pairwise(steps):
            assert after.split("+")[0] in before.split("+")
            assert before.split("+")[0] in after.split("+")
