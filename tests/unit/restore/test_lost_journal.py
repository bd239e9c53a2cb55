"""A restore whose journal is lost with its machine is taken back by what can still be known."""

from dataclasses import replace
from datetime import UTC, datetime

from backup_worker.restore.decision import Done, next_undo
from backup_worker.restore.lost_journal import journal_of, reasons_against
from backup_worker.restore.survey import Seen
from redis_ha.discovery import NodeView
from tests.unit.restore.model import DOWN_AFTER, HOLD, MASTER, NODES, SCRATCH, SENTINELS, Model

NOW = datetime(2026, 1, 3, tzinfo=UTC)


def held() -> Model:
    model = Model()
    model.set(SENTINELS, HOLD, NODES, 0)
    return model


def attached() -> Model:
    """The scratch server is gone with the machine."""
    model = held()
    model.scratch = "history-0"
    model.point(NODES, SCRATCH)
    model.lose_scratch()
    return model


def taken_back(model: Model) -> Model:
    journal = journal_of(model.seen(), MASTER, down_after=DOWN_AFTER, min_replicas=1, now=NOW)
    for _ in range(50):
        step = next_undo(journal, model.seen())
        if isinstance(step, Done):
            return model
        journal = model.apply(step, journal)
    raise AssertionError(step)


def test_a_hold_is_ended_by_the_settings_told() -> None:
    model = held()
    assert reasons_against(model.seen(), MASTER) == []
    assert taken_back(model).settings_are_back


def test_nodes_that_were_led_astray_follow_the_master_again() -> None:
    model = attached()
    assert reasons_against(model.seen(), MASTER) == []
    assert taken_back(model).shape == ("master:old", "replica:old", "replica:old")
    assert model.settings_are_back


def test_one_sentinel_that_is_still_held_is_enough() -> None:
    model = Model()
    model.down_after[SENTINELS[2]] = HOLD
    assert reasons_against(model.seen(), MASTER) == []
    assert taken_back(model).settings_are_back


def test_where_nothing_is_held_there_is_nothing_to_take_back() -> None:
    (reason,) = reasons_against(Model().seen(), MASTER)
    assert "none is open" in reason


def test_a_restore_that_still_runs_elsewhere_is_left_alone() -> None:
    model = attached()
    model.nodes[NODES[1]].linked = True
    (reason,) = reasons_against(model.seen(), MASTER)
    assert "still running" in reason


def test_a_master_that_was_emptied_is_not_made_one_again_while_another_has_data() -> None:
    model = attached()
    model.nodes[MASTER].data = "empty"
    (reason,) = reasons_against(model.seen(), MASTER)
    assert str(NODES[1]) in reason


def test_a_master_that_is_silent_or_loading_is_waited_for() -> None:
    for view in (NodeView(MASTER, problem="timed out"), NodeView(MASTER, "slave", loading=True)):
        (reason,) = reasons_against(_with_master(held().seen(), view), MASTER)
        assert str(MASTER) in reason


def _with_master(seen: Seen, view: NodeView) -> Seen:
    master, *others = seen.nodes
    return replace(seen, nodes=(replace(master, view=view), *others))
