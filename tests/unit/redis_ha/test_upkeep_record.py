"""The record of what was done: its file, its name, and whose deeds are in it."""

import json
import stat
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from redis_ha.cli.main import execute
from redis_ha.connection import Address, Credentials
from redis_ha.discovery import Access
from redis_ha.errors import BadSetting
from redis_ha.failover_test.journal import journal_path
from redis_ha.upkeep.identity import identity_of
from redis_ha.upkeep.record import KEPT, Deed, kept, note, read_record, record_path
from tests.unit.redis_ha.surveys import HEALTHY, IDS, silent
from tests.unit.redis_ha.test_upkeep import TESTED, deed

S1, S2, S3, S4 = (Address("10.0.0.9", 26379 + n) for n in range(4))


def access(*sentinels: Address, name: str = "mymaster") -> Access:
    return Access(sentinels, name, Credentials("u", "p"), Path("ca"))


def test_a_record_is_added_to_by_several_at_once_and_closed_to_others(tmp_path: Path) -> None:
    path = tmp_path / "state" / "record.json"
    threads = [
        threading.Thread(target=note, args=(path, deed(f"task {n}", days_ago=n))) for n in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {one.task for one in read_record(path)} == {f"task {n}" for n in range(20)}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_fails_each_five_minutes_pushes_no_proof_out(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    proofs = (*TESTED, deed("review", days_ago=200), deed("health", days_ago=7))
    failing = [deed("health", days_ago=6 - n / 288, passed=False) for n in range(KEPT + 200)]
    note(path, deed("review", days_ago=300), *proofs, *failing)
    assert read_record(path) == (*proofs, *failing[-KEPT:])


def test_the_newest_is_kept_by_its_time_and_not_by_its_place() -> None:
    old, new = deed("review", days_ago=200), deed("review", days_ago=100)
    rest = [deed("health", days_ago=0.5)] * KEPT
    assert kept((new, old, *rest)) == (new, *rest)
    assert kept((old, new)) == (old, new)


@pytest.mark.parametrize(
    "text", ["{", '{"version": 2, "deeds": []}', '{"version": 1, "deeds": [1]}']
)
def test_a_damaged_record_is_told_and_kept(tmp_path: Path, text: str) -> None:
    path = tmp_path / "record.json"
    path.write_text(text)
    with pytest.raises(BadSetting, match="move it away"):
        note(path, deed("health", days_ago=0))
    assert path.read_text() == text


def test_a_place_that_can_hold_no_record_is_named(tmp_path: Path) -> None:
    (tmp_path / "state").touch()
    with pytest.raises(BadSetting, match="set XDG_STATE_HOME") as refused:
        note(tmp_path / "state" / "redis-ha" / "record.json", deed("health", days_ago=0))
    assert "record.json" in str(refused.value)


def test_a_deed_keeps_its_cluster_and_one_of_an_older_record_has_none(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    old = {"task": "review", "at": "2026-01-01T00:00:00+00:00", "passed": True, "evidence": "x"}
    path.write_text(json.dumps({"version": 1, "deeds": [old]}))
    own = replace(deed("health", days_ago=1), cluster=IDS)
    note(path, own)
    assert [one.cluster for one in read_record(path)] == [(), IDS]
    assert read_record(path)[1] == own


def test_what_is_dated_in_the_future_pushes_no_proof_out() -> None:
    ahead, proof = deed("review", days_ago=-300), deed("review", days_ago=200)
    rest = [deed("health", days_ago=0.5)] * KEPT
    assert proof in kept((proof, ahead, *rest))


@pytest.mark.parametrize("path_of", [record_path, journal_path])
def test_more_sentinels_or_another_order_are_the_same_cluster(
    path_of: Callable[..., Path], tmp_path: Path
) -> None:
    def path(*sentinels: Address, name: str = "mymaster") -> Path:
        return path_of(access(*sentinels, name=name), {}, home=tmp_path)

    assert path(S1, S2, S3) == path(S3, S1, S2) == path(S1, S2, S3, S4) == path(S1)
    assert path(S1) != path(S2)
    assert path(S1) != path(S1, name="other")


def test_a_record_that_was_named_by_all_sentinels_is_found(tmp_path: Path) -> None:
    environ = {"XDG_STATE_HOME": str(tmp_path)}
    # Of 10.0.0.9:26379,10.0.0.9:26380,10.0.0.9:26381mymaster.
    old = tmp_path / "redis-ha" / "record-1cb036831003.json"
    note(old, *TESTED)
    path = record_path(access(S1, S2, S3), environ, home=tmp_path)
    assert read_record(path) == TESTED
    assert not old.exists()


def test_a_cluster_is_known_by_its_sentinels_ids() -> None:
    assert identity_of(HEALTHY) == IDS
    # A silent one is known to the others.
    assert identity_of(silent(HEALTHY, 0)) == IDS
    assert identity_of(silent(silent(silent(HEALTHY, 0), 1), 2)) == ()


def test_maintenance_tells_of_a_deed_that_is_dated_in_the_future(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = {
        "REDIS_SENTINEL_HOST_1": "127.0.0.1",
        "REDIS_SENTINEL_PORT_1": "1",
        "REDIS_OPERATOR_USERNAME": "operator",
        "REDIS_OPERATOR_PASSWORD": "x",
        "REDIS_TLS_CA": "ca",
        "XDG_STATE_HOME": str(tmp_path),
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    path = record_path(access(Address("127.0.0.1", 1)), settings, home=tmp_path)
    note(path, Deed("versions", datetime.now(UTC) + timedelta(days=400), True, "all current"))
    assert execute(["maintenance"]) == 1
    said = capsys.readouterr()
    assert "versions\tdue\tnever" in said.out
    assert "doesn't count: a clock was wrong" in said.err
