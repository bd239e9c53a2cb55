"""The journal is there whole or not at all, and one restore at a time works with it."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_worker.errors import BackupError, RefusedForSafety
from backup_worker.restore import journal as journals
from backup_worker.restore.journal import Journal, Point, Stage
from tests.unit.restore.model import Model


@pytest.fixture
def journal() -> Journal:
    return Model().journal()


@given(
    st.sampled_from(Stage),
    st.none() | st.integers(min_value=0),
    st.lists(st.text(alphabet="0123456789abcdef", min_size=40, max_size=40)),
    st.none() | st.builds(Point, st.just("a" * 40), st.integers(min_value=0)),
)
def test_what_was_encoded_is_decoded(
    stage: Stage, keys: int | None, replids: list[str], point: Point | None
) -> None:
    journal = replace(
        Model().journal(), stage=stage, keys=keys, scratch_replids=tuple(replids), point=point
    )
    assert journals.decode(journals.encode(journal)) == journal


def test_a_journal_from_before_there_were_points_is_read(journal: Journal) -> None:
    fields = json.loads(journals.encode(journal))
    del fields["point"]
    assert journals.decode(json.dumps(fields).encode()) == journal


def test_there_is_a_journal_exactly_between_save_and_close(
    journal: Journal, tmp_path: Path
) -> None:
    assert journals.load(tmp_path) is None
    journals.save(journal, tmp_path)
    assert journals.load(tmp_path) == journal
    journals.close(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_it_is_readable_by_its_owner_only(journal: Journal, tmp_path: Path) -> None:
    journals.save(journal, tmp_path)
    assert (tmp_path / journals.FILE_NAME).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:-20],
        lambda text: text.replace('"format": 1', '"format": 2'),
        lambda text: text.replace('"stage": "hold"', '"stage": "dance"'),
        lambda text: json.dumps([1, 2]),
        lambda text: "[" * 100_000,
    ],
)
def test_a_damaged_journal_is_an_error_and_never_taken_for_none(
    damage: Callable[[str], str], journal: Journal, tmp_path: Path
) -> None:
    path = tmp_path / journals.FILE_NAME
    path.write_text(damage(journals.encode(journal).decode()))
    with pytest.raises(BackupError, match=journals.FILE_NAME):
        journals.load(tmp_path)


def test_a_second_restore_is_refused_while_one_runs(tmp_path: Path) -> None:
    with (
        journals.exclusive(tmp_path),
        pytest.raises(RefusedForSafety, match="another restore is running"),
        journals.exclusive(tmp_path),
    ):
        pass
    with journals.exclusive(tmp_path):
        pass


def test_plain_data_that_a_killed_restore_left_goes_with_the_next_one(tmp_path: Path) -> None:
    plain = tmp_path / "scratch" / "dump.rdb"
    plain.parent.mkdir()
    plain.write_bytes(b"REDIS0010")
    with journals.exclusive(tmp_path):
        assert not plain.exists()


def test_a_worker_that_starts_removes_it_unless_a_restore_runs(tmp_path: Path) -> None:
    plain = tmp_path / "scratch" / "dump.rdb"
    with journals.exclusive(tmp_path):
        plain.parent.mkdir()
        plain.write_bytes(b"REDIS0010")
        journals.clear(tmp_path)
        assert plain.exists()
    journals.clear(tmp_path)
    assert not plain.exists()
