"""Whatever happens, resume ends with the snapshot's data and undo with the old, or says why not."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_worker.restore.decision import (
    Attach,
    Done,
    Follow,
    Freeze,
    GiveUp,
    Hold,
    Load,
    Promote,
    Release,
    RestoreSafety,
    Step,
    Wait,
    is_intact,
    next_step,
    next_undo,
)
from backup_worker.restore.journal import Journal, Stage
from backup_worker.restore.live import begun_anew
from backup_worker.restore.survey import Seen
from tests.unit.restore.model import MASTER, NODES, SCRATCH, SENTINELS, Model

RESTORED = ("master:new", "replica:new", "replica:new")
UNTOUCHED = ("master:old", "replica:old", "replica:old")
Decide = Callable[[Journal, Seen], Step]
# How many steps an interrupted run makes, and of how many nodes each step reaches.
INTERRUPTION = st.tuples(st.integers(0, 14), st.lists(st.integers(0, 3), min_size=14, max_size=14))


def drive(model: Model, journal: Journal, decide: Decide) -> tuple[list[Step], Journal]:
    """Decide and act until it is over; at most 40 steps."""
    steps: list[Step] = []
    for _ in range(40):
        step = decide(journal, model.seen())
        steps.append(step)
        if isinstance(step, Done | GiveUp | RestoreSafety):
            return steps, journal
        journal = model.apply(step, journal)
    raise AssertionError(f"no end: {steps}")


def interrupted(model: Model, steps: int, reach: list[int]) -> Journal:
    """Run a restore that is killed after some steps, each of which reached only some nodes."""
    journal = model.journal()
    model.scratch = model.new_history()
    for count in reach[:steps]:
        step = next_step(journal, model.seen())
        if isinstance(step, Done):
            break
        journal = model.apply(step, journal, only=count)
    model.lose_scratch()
    return journal


def kinds(steps: list[Step]) -> list[type]:
    return [type(step) for step in steps]


def test_an_undisturbed_restore_takes_the_five_steps_in_order() -> None:
    model = Model()
    model.scratch = model.new_history()
    steps, _ = drive(model, model.journal(), next_step)
    expected = [Hold, Attach, Wait, Freeze, Promote, Follow, Wait, Release, Done]
    assert kinds(steps) == expected
    assert model.shape == RESTORED
    assert model.settings_are_back


def test_nothing_is_attached_before_every_sentinel_holds_still() -> None:
    model = Model()
    model.scratch = model.new_history()
    journal = model.apply(next_step(model.journal(), model.seen()), model.journal(), only=2)
    assert next_step(journal, model.seen()) == Hold((SENTINELS[2],), (NODES[2],))


@given(INTERRUPTION)
def test_resume_finishes_from_every_point(interruption: tuple[int, list[int]]) -> None:
    model = Model()
    journal = interrupted(model, *interruption)
    steps, _ = drive(model, journal, next_step)
    promoted = kinds(steps).index(Promote) if Promote in kinds(steps) else 0
    assert Attach not in kinds(steps)[promoted + 1 :], "it would overwrite acknowledged writes"
    assert model.shape == RESTORED
    assert model.settings_are_back


@given(INTERRUPTION)
def test_undo_restores_the_old_data_or_says_that_it_is_gone(
    interruption: tuple[int, list[int]],
) -> None:
    model = Model()
    journal = interrupted(model, *interruption)
    old_data_is_there = model.nodes[MASTER].data == "old"
    steps, journal = drive(model, journal, next_undo)
    if old_data_is_there:
        assert model.shape == UNTOUCHED
        assert model.settings_are_back
    else:
        assert steps == [RestoreSafety(journal.safety_snapshot or "")]


@given(INTERRUPTION)
def test_after_an_undo_that_found_the_old_data_gone_the_safety_snapshot_is_loaded(
    interruption: tuple[int, list[int]],
) -> None:
    model = Model()
    journal = interrupted(model, *interruption)
    steps, journal = drive(model, journal, next_undo)
    if isinstance(steps[-1], RestoreSafety):
        journal = begun_anew(journal, steps[-1].snapshot)
        steps, _ = drive(model, journal, next_step)
        assert Load in kinds(steps)
        assert model.settings_are_back


@given(INTERRUPTION, INTERRUPTION)
def test_an_interrupted_undo_can_be_finished(
    first: tuple[int, list[int]], second: tuple[int, list[int]]
) -> None:
    model = Model()
    journal = interrupted(model, *first)
    old_data_is_there = model.nodes[MASTER].data == "old"
    for count in second[1][: second[0]]:
        step = next_undo(journal, model.seen())
        if isinstance(step, Done | RestoreSafety):
            break
        journal = model.apply(step, journal, only=count)
    drive(model, journal, next_undo)
    assert (model.shape == UNTOUCHED) == old_data_is_there


def test_a_master_emptied_by_a_broken_synchronisation_is_not_taken_for_intact() -> None:
    model = Model()
    model.scratch = model.new_history()
    journal = model.journal()
    for _ in range(2):
        journal = model.apply(next_step(journal, model.seen()), journal)
    model.fail_load(MASTER)
    assert not is_intact(journal, model.seen().node(MASTER))
    assert isinstance(next_undo(journal, model.seen()), RestoreSafety)


def test_a_master_that_was_restarted_is_not_taken_for_intact() -> None:
    model = Model()
    journal = model.journal()
    before = tuple(replace(node, run_id="another") for node in journal.nodes)
    assert not is_intact(replace(journal, nodes=before), model.seen().node(MASTER))


def test_without_a_safety_snapshot_undo_gives_up_once_the_old_data_is_gone() -> None:
    model = Model()
    journal = interrupted(model, 3, [3] * 14)
    assert model.nodes[MASTER].data == "new"
    step = next_undo(replace(journal, safety_snapshot=None), model.seen())
    assert isinstance(step, GiveUp)
    assert "safety snapshot" in step.reason


@pytest.mark.parametrize("change", [{"master": NODES[1]}, {"config_epoch": 4}])
def test_a_failover_meanwhile_ends_the_restore_and_undo_only_puts_settings_back(
    change: dict[str, object],
) -> None:
    model = Model()
    journal = interrupted(model, 2, [3] * 14)
    seen = model.seen()
    sentinels = (replace(seen.sentinels[0], **change), *seen.sentinels[1:])  # type: ignore[arg-type]
    seen = replace(seen, sentinels=sentinels)
    assert isinstance(next_step(journal, seen), GiveUp)
    assert isinstance(next_undo(journal, seen), Release)


def test_the_settings_stay_while_a_sentinel_still_takes_the_master_for_a_replica() -> None:
    model = Model()
    model.scratch = model.new_history()
    journal = model.journal()
    while not isinstance(step := next_step(journal, model.seen()), Release):
        journal = model.apply(step, journal)
    seen = model.seen()
    stale = replace(seen.sentinels[1], master_reports="slave")
    seen = replace(seen, sentinels=(seen.sentinels[0], stale, seen.sentinels[2]))
    step = next_step(journal, seen)
    assert isinstance(step, Wait)
    assert str(SENTINELS[1]) in step.reason


def test_it_is_not_done_before_the_data_is_on_disk() -> None:
    model = Model()
    model.scratch = model.new_history()
    journal = model.journal()
    while not isinstance(step := next_step(journal, model.seen()), Done):
        journal = model.apply(step, journal)
    seen = model.seen()
    seen = replace(seen, nodes=(replace(seen.nodes[0], saving=True), *seen.nodes[1:]))
    assert next_step(journal, seen) == Wait(str(MASTER), phase="write to disk")


def test_a_replica_that_wandered_off_is_attached_again() -> None:
    model = Model()
    model.scratch = model.new_history()
    journal = model.journal()
    for _ in range(2):
        journal = model.apply(next_step(journal, model.seen()), journal)
    model.point((NODES[2],), MASTER)
    assert next_step(journal, model.seen()) == Attach((NODES[2],))
    assert model.nodes[NODES[1]].master == SCRATCH


def test_a_replica_without_its_master_follows_it_again() -> None:
    model = Model()
    journal = interrupted(model, 5, [3] * 14)
    assert next_step(journal, model.seen()) == Follow((NODES[1], NODES[2]))
    assert Promote not in kinds(drive(model, journal, next_step)[0])


def test_a_master_restarted_after_the_switch_is_not_overwritten() -> None:
    model = Model()
    journal = interrupted(model, 5, [3] * 14)
    model.nodes[MASTER].replid = model.nodes[MASTER].replid2 = "after the restart"
    before = tuple(replace(node, run_id="before") for node in journal.nodes)
    journal = replace(journal, nodes=before, stage=Stage.PROMOTE)
    step = next_step(journal, model.seen())
    assert isinstance(step, GiveUp)
    assert "restarted" in step.reason


def test_its_undo_loads_the_safety_snapshot() -> None:
    model = Model()
    journal = interrupted(model, 5, [3] * 14)
    model.nodes[MASTER].replid = model.nodes[MASTER].replid2 = "after the restart"
    before = tuple(replace(node, run_id="before") for node in journal.nodes)
    journal = replace(journal, nodes=before, stage=Stage.RELEASE)
    steps, journal = drive(model, journal, next_undo)
    assert steps == [RestoreSafety(journal.safety_snapshot or "")]
    journal = begun_anew(journal, journal.safety_snapshot or "")
    steps, _ = drive(model, journal, next_step)
    assert kinds(steps)[0] is Load
    assert kinds(steps)[-1] is Done
    assert model.settings_are_back


@pytest.mark.parametrize("stage", [Stage.PROMOTE, Stage.RELEASE])
def test_a_master_that_is_silent_after_the_switch_is_waited_for(stage: Stage) -> None:
    """Back, it may have been restarted: the journal must still say that it was switched."""
    model = Model()
    journal = replace(interrupted(model, 8, [3] * 14), stage=stage)
    assert model.settings_are_back
    model.silent = {MASTER}
    assert isinstance(next_step(journal, model.seen()), Wait)
