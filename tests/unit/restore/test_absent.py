"""A replica lost for good, and its host's sentinel, stop a restore only until they are left out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_worker.restore.absent import absent, ways_on, without_absent
from backup_worker.restore.decision import (
    Done,
    Hold,
    RestoreSafety,
    Step,
    Wait,
    next_step,
    next_undo,
)
from backup_worker.restore.journal import Journal
from backup_worker.restore.live import begun_anew
from backup_worker.restore.runner import RESUME_OR_UNDO
from redis_ha.connection import Address
from tests.unit.restore.model import MASTER, NODES, SENTINELS, Model
from tests.unit.restore.test_decision import INTERRUPTION, Decide, drive, interrupted

LOST = NODES[2]
HOST = {LOST, SENTINELS[2]}


def stands_still(model: Model, journal: Journal, decide: Decide) -> Step:
    """Decide and act for long; return the last step."""
    step: Step = Done()
    for _ in range(40):
        step = decide(journal, model.seen())
        if isinstance(step, Done | RestoreSafety):
            break
        journal = model.apply(step, journal)
    return step


def held_and_back(model: Model) -> bool:
    """Whether all that answer have their settings back."""
    calm = {model.down_after[one] for one in SENTINELS if one not in model.silent} == {5000}
    return calm and {node.min_replicas for node in model.answering()} == {1}


@given(INTERRUPTION, st.sampled_from([{LOST}, HOST]))
def test_resume_finishes_without_them(
    interruption: tuple[int, list[int]], lost: set[Address]
) -> None:
    model = Model()
    journal = interrupted(model, *interruption)
    model.silent = lost
    drive(model, without_absent(journal, model.seen()), next_step)
    assert model.shape[:2] == ("master:new", "replica:new")
    assert held_and_back(model)


@given(INTERRUPTION, st.sampled_from([{LOST}, HOST]))
def test_undo_ends_without_them(interruption: tuple[int, list[int]], lost: set[Address]) -> None:
    model = Model()
    journal = interrupted(model, *interruption)
    model.silent = lost
    steps, journal = drive(model, without_absent(journal, model.seen()), next_undo)
    if isinstance(steps[-1], RestoreSafety):
        drive(model, begun_anew(journal, steps[-1].snapshot), next_step)
    else:
        assert model.shape[:2] == ("master:old", "replica:old")
    assert held_and_back(model)


@pytest.mark.parametrize("decide", [next_step, next_undo])
def test_else_it_is_waited_for_and_the_way_on_is_named(decide: Decide) -> None:
    model = Model()
    journal = interrupted(model, 1, [3] * 14)
    model.silent = {LOST}
    step = stands_still(model, journal, decide)
    assert isinstance(step, Wait)
    assert f"{LOST} (no answer)" in step.reason
    assert f"--force without {LOST} (no answer)" in ways_on(RESUME_OR_UNDO, journal, model.seen())


def test_where_all_answer_force_is_not_named() -> None:
    model = Model()
    assert ways_on(RESUME_OR_UNDO, model.journal(), model.seen()) == RESUME_OR_UNDO
    assert without_absent(model.journal(), model.seen()) == model.journal()


def test_the_master_is_never_left_out() -> None:
    model = Model(silent={MASTER})
    assert absent(model.journal(), model.seen()) == ()


def test_sentinels_are_left_out_only_while_a_majority_is_there() -> None:
    """Those that are not held could fail over."""
    model = Model(silent={SENTINELS[1]})
    journal = without_absent(model.journal(), model.seen())
    assert [one.address for one in journal.sentinels] == [SENTINELS[0], SENTINELS[2]]
    model.silent = {SENTINELS[1], SENTINELS[2]}
    assert without_absent(journal, model.seen()) == journal
    assert isinstance(next_step(journal, model.seen()), Hold)


def test_sentinels_that_were_left_out_before_count_when_they_are_back() -> None:
    model = Model(silent={SENTINELS[0]})
    journal = without_absent(model.journal(), model.seen())
    model.silent = {SENTINELS[1]}
    assert without_absent(journal, model.seen()) == journal
    assert "--force" not in ways_on(RESUME_OR_UNDO, journal, model.seen())
    assert isinstance(next_step(journal, model.seen()), Hold)


def test_a_replica_that_comes_back_during_the_hold_takes_nothing_with_it() -> None:
    """It still follows the scratch server: only Sentinel, later, gives it the master."""
    model = Model()
    journal = interrupted(model, 3, [3] * 14)
    model.silent = {LOST}
    journal = without_absent(journal, model.seen())
    model.silent = set()
    drive(model, journal, next_step)
    assert model.shape[:2] == ("master:new", "replica:new")
    model.point((LOST,), MASTER)
    model.synchronise(1)
    assert model.shape == ("master:new", "replica:new", "replica:new")
