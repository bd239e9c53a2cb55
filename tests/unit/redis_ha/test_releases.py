"""Which engine is fixed by nobody any more; the table is one, in code and in the documents."""

from datetime import date
from pathlib import Path

import pytest

from backup_worker.restore.compatibility import newest_readable
from redis_ha.releases import RELEASES, unmaintained

OPERATIONS = Path(__file__).parents[3] / "docs" / "OPERATIONS.md"


@pytest.mark.parametrize(
    ("engine", "version", "today", "told"),
    [
        ("redis", "7.0.15", date(2026, 11, 30), False),
        ("redis", "7.0.15", date(2028, 7, 1), True),
        ("redis", "8.0.2", date(2030, 6, 30), False),
        ("redis", "8.0.2", date(2030, 7, 1), True),
        ("redis", "5.0.14", date(2020, 1, 1), True),
        ("redis", "7.4.1", date(2040, 1, 1), False),
        ("redis", "99.1.0", date(2026, 1, 1), False),
        ("redis", "", date(2026, 1, 1), False),
        ("valkey", "8.0.1", date(2027, 9, 16), True),
        ("valkey", "8.1.1", date(2030, 4, 1), False),
    ],
)
def test_an_engine_is_named_from_the_day_on_that_nobody_fixes_it(
    engine: str, version: str, today: date, told: bool
) -> None:
    assert bool(unmaintained(engine, version, today=today)) == told


def test_the_data_formats_are_those_that_a_restore_goes_by() -> None:
    for one in RELEASES:
        assert one.rdb_version == newest_readable(one.engine, one.line), one


def test_the_document_has_the_same_table() -> None:
    text = OPERATIONS.read_text()
    for one in RELEASES:
        ends = f"{one.ends:%Y-%m-%d}" if one.ends else "not said"
        debian = f"{one.debian}, {one.debian_ends:%Y-%m-%d}" if one.debian_ends else "none"
        row = f"| {one.engine.capitalize()} {one.line} | {one.rdb_version} | {ends} | {debian} |"
        assert row in text, row
