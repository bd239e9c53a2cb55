"""`backup-worker prune`: one row for segments that share a fate; a store that keeps everything."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from backup_worker.cli.main import execute
from backup_worker.log import segment as segments
from backup_worker.log.segment import Mark, Segment, Timeline
from backup_worker.manifest import Content
from backup_worker.store.file import FileStore
from backup_worker.transform.signing import Signer
from tests.unit.backup_worker.snapshots import NOW, made, name_store, publish

Prune = Callable[..., Any]


def put_segment(store: FileStore, signer: Signer, start: int, replid: str = "a" * 40) -> str:
    """Put ten bytes of log, older than any snapshot, into a store."""
    old = Segment(
        timeline=Timeline(replid),
        start=start,
        end=start + 9,
        db=0,
        marks=(Mark(start + 9, int(made(600).taken_at.timestamp() * 1000)),),
        stored=Content(3, "0" * 64),
        plain=Content(10, "1" * 64),
        recipients=("age1example",),
        source="10.0.0.2:6380",
        term=1,
    )
    store.put(old.name.object_key, [b"log"])
    envelope = signer.sign(segments.encode(old), payload_type=segments.PAYLOAD_TYPE)
    store.put(old.name.manifest_key, [envelope])
    return old.name.stem


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FileStore:
    """Give a store with two snapshots and a log, and the settings that name it."""
    signer = name_store(tmp_path, monkeypatch)
    store = FileStore(tmp_path / "store")
    publish(store, signer, made(0))
    publish(store, signer, made(500, nonce=2))
    for start in (1, 11, 21):
        put_segment(store, signer, start)
    put_segment(store, signer, 1, "b" * 40)
    put_segment(store, signer, 1001)
    return store


def keys(store: FileStore) -> list[str]:
    return [found.key for found in store.list()]


def test_a_dry_run_tells_each_kind_with_its_reason(
    store: FileStore, capsys: pytest.CaptureFixture[str]
) -> None:
    before = keys(store)
    assert execute(["prune", "--dry-run"]) == 0
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    gone = f"before the oldest snapshot that stays, of {NOW:%Y-%m-%d %H:%M}"
    assert rows[0] == ["snapshot", made(0).id, "keep", "last good snapshot"]
    assert rows[1][:3] == ["snapshot", made(500, nonce=2).id, "delete"]
    assert rows[2] == ["segment", "3 of aaaaaaaaaaaa, 1..30", "delete", gone]
    assert rows[3][2:] == ["keep", "follows on a snapshot that stays"]
    assert rows[4][:1] + rows[4][2:] == ["segment", "delete", gone]
    assert keys(store) == before


def test_json_names_every_segment(store: FileStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["prune", "--yes", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert not told["dry_run"]
    assert [verdict["kind"] for verdict in told["verdicts"]].count("segment") == 5
    assert len(told["deleted"]) == 5
    assert told["refused"] == {}
    assert len(keys(store)) == 4


def test_a_store_that_refuses_is_told_and_no_failure(
    store: FileStore, tmp_path: Path, capsys: pytest.CaptureFixture[str], read_only: None
) -> None:
    before = keys(store)
    assert execute(["prune", "--yes"]) == 0
    told = capsys.readouterr().err
    assert told.startswith("5 of 5 stay: the store does not let this worker delete")
    assert keys(store) == before


def test_by_a_clock_that_may_be_ahead_nothing_goes_unasked(
    store: FileStore, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest snapshot is days old: this clock leapt, or nobody took any since."""
    before = keys(store)
    monkeypatch.setenv("REDIS_BACKUP_INTERVAL", "3600")
    assert execute(["prune"]) == 7
    assert "the newest snapshot is" in capsys.readouterr().err
    assert keys(store) == before


def test_where_the_newest_snapshot_is_young_nobody_is_asked(
    store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    hours = (datetime.now(UTC) - NOW).total_seconds() / 3600
    monkeypatch.setenv("REDIS_BACKUP_INTERVAL", str(int(hours * 3600 / 2)))
    assert execute(["prune"]) == 0
    assert len(keys(store)) == 4


@pytest.fixture
def read_only(store: FileStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the file system refuse to remove a file; permissions mean nothing to root."""

    def refuse(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(1, "Operation not permitted", str(path))

    monkeypatch.setattr(Path, "unlink", refuse)
