"""What a run owes the cluster outlives the run."""

from pathlib import Path

import pytest

from redis_ha.errors import HarmRefused
from redis_ha.failover_test.hands import Injury
from redis_ha.failover_test.journal import opened

CRASH = Injury("crash", "redis-1", {"container": "redis-1"})
HANG = Injury("hang", "redis-2", {"container": "redis-2"})


def test_debts_are_read_by_the_next_run(tmp_path: Path) -> None:
    with opened(tmp_path / "j.json") as journal:
        journal.owe(CRASH, keys=("a", "b"))
    with opened(tmp_path / "j.json") as journal:
        assert journal.debts.injuries == (CRASH,)
        assert journal.debts.keys == ("a", "b")


def test_paid_debts_are_gone(tmp_path: Path) -> None:
    healed: list[Injury] = []
    deleted: list[str] = []
    with opened(tmp_path / "j.json") as journal:
        journal.owe(CRASH, HANG, keys=("a",))
        journal.pay(healed.append, deleted.extend)
    assert healed == [HANG, CRASH]
    assert deleted == ["a"]
    with opened(tmp_path / "j.json") as journal:
        assert not journal.debts


def test_what_could_not_be_healed_stays(tmp_path: Path) -> None:
    def heal(injury: Injury) -> None:
        if injury == CRASH:
            raise HarmRefused(operation="run", subject="docker start", cause="no", hint="none")

    with opened(tmp_path / "j.json") as journal:
        journal.owe(CRASH, HANG, keys=("a",))
        with pytest.raises(HarmRefused):
            journal.pay(heal, lambda keys: None)
    with opened(tmp_path / "j.json") as journal:
        assert journal.debts.injuries == (CRASH,)
        assert journal.debts.keys == ("a",)


def test_two_runs_at_once_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "j.json"
    with opened(path), pytest.raises(HarmRefused, match="another one"), opened(path):
        pass
