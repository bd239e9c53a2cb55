"""`backup-worker list`: what it says of a snapshot that a wrong clock dated."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backup_worker.cli.main import execute
from backup_worker.store.file import FileStore
from backup_worker.transform.signing import Signer
from tests.unit.backup_worker.snapshots import NOW, made, name_store, publish


@pytest.fixture
def signer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Signer:
    """Give the signer of a store that the settings name."""
    return name_store(tmp_path, monkeypatch)


def test_a_snapshot_of_the_future_is_named_as_such_and_is_not_the_latest(
    signer: Signer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = FileStore(tmp_path / "store")
    hours_to = (datetime.now(UTC) + timedelta(days=30, minutes=1) - NOW) / timedelta(hours=1)
    ahead = publish(store, signer, made(-hours_to, nonce=2))
    good = publish(store, signer, made(1))
    assert execute(["list"]) == 0
    first, second = (line.split("\t") for line in capsys.readouterr().out.splitlines())
    assert (first[0], first[4]) == (ahead.id, "in 30 d 0 h")
    assert first[-1].startswith("dated in the future, by a clock that was wrong")
    assert (second[0], second[-1]) == (good.id, "")
    assert execute(["show", "latest", "--json"]) == 0
    assert good.id in capsys.readouterr().out
