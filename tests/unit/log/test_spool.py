"""What a killed process leaves in the spool: sealed segments stay, everything else goes."""

import json
import logging
import stat
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from backup_worker.log.spool import Sealed, Spool
from backup_worker.transform.signing import Signer
from redis_ha import eventlog
from tests.unit.log.test_writer import SET, SIGNER, spool_at, writer_on


def fill(spool: Spool, count: int) -> list[Sealed]:
    """Seal so many segments of one command."""
    writer = writer_on(spool, size=1)
    for number in range(count):
        writer.feed(SET, now=float(number), wall_ms=number)
    return list(spool.sealed)


def test_sealed_segments_are_found_again_in_order(tmp_path: Path) -> None:
    before = fill(spool_at(tmp_path), 12)
    again = spool_at(tmp_path)
    assert [(s.number, s.name, s.size) for s in again.sealed] == [
        (s.number, s.name, s.size) for s in before
    ]
    assert again.size == sum(path.stat().st_size for path in tmp_path.iterdir())
    assert fill(again, 1)[-1].number == 13


def test_files_are_private(tmp_path: Path) -> None:
    spool = spool_at(tmp_path / "spool")
    writer = writer_on(spool)
    fill(spool, 1)
    writer.feed(SET, now=0.0, wall_ms=0)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "spool").iterdir()}
    assert modes == {0o600}
    assert stat.S_IMODE((tmp_path / "spool").stat().st_mode) == 0o700
    writer.abandon()


def damage_object(manifest: Path, stored: Path) -> None:
    stored.write_bytes(stored.read_bytes()[:-1])


def remove_object(manifest: Path, stored: Path) -> None:
    stored.unlink()


def remove_manifest(manifest: Path, stored: Path) -> None:
    manifest.unlink()


def rename(manifest: Path, stored: Path) -> None:
    for path in (manifest, stored):
        path.rename(path.with_name(path.name.replace("-", "-9", 1).replace("-90", "-9")))


def forge(manifest: Path, stored: Path) -> None:
    manifest.write_bytes(manifest.read_bytes().replace(b'"sig": "', b'"sig": "AAAA'))


@pytest.mark.parametrize(
    "harm", [damage_object, remove_object, remove_manifest, rename, forge], ids=lambda h: h.__name__
)
def test_what_is_not_whole_or_not_ours_goes(
    tmp_path: Path, harm: Callable[[Path, Path], None]
) -> None:
    fill(spool_at(tmp_path), 3)
    manifests = sorted(tmp_path.glob("*.json"))
    harm(manifests[1], manifests[1].with_name(manifests[1].name[:-5] + ".zst.age"))
    (tmp_path / "open.partial").write_bytes(b"half")
    (tmp_path / "notes.txt").write_text("somebody else's")
    again = spool_at(tmp_path)
    assert [sealed.number for sealed in again.sealed] == [1, 3]
    kept = sorted(path.suffix for path in tmp_path.iterdir())
    assert kept == [".age", ".age", ".json", ".json", ".txt"]


def test_a_damaged_segment_is_told_of(tmp_path: Path, events: "Events") -> None:
    fill(spool_at(tmp_path), 3)
    manifest = sorted(tmp_path.glob("*.json"))[1]
    damage_object(manifest, manifest.with_name(manifest.name[:-5] + ".zst.age"))
    spool_at(tmp_path)
    (event,) = events()
    assert (event["event"], event["file"]) == ("segment-unreadable", manifest.name)
    assert "not whole" in event["error"]


def test_what_a_killed_process_left_is_nothing_to_tell(tmp_path: Path, events: "Events") -> None:
    fill(spool_at(tmp_path), 2)
    sorted(tmp_path.glob("*.json"))[1].unlink()
    (tmp_path / "open.partial").write_bytes(b"half")
    spool_at(tmp_path)
    assert events() == []


def test_segments_of_an_unknown_signer_are_set_aside_until_it_is_trusted(
    tmp_path: Path, events: "Events"
) -> None:
    before = fill(spool_at(tmp_path), 2)
    other = Signer.generate()
    for _ in range(2):
        stranger = Spool(tmp_path, limit=1 << 30, trusted=(other.public_key,))
        assert stranger.sealed == ()
    assert {event["event"] for event in events()} == {"segment-set-aside"}
    assert all("REDIS_BACKUP_TRUSTED_SIGNERS" in event["error"] for event in events())
    assert len(list((tmp_path / "unknown-signer").iterdir())) == 4
    assert fill(stranger, 1)[-1].number == 3

    again = Spool(tmp_path, limit=1 << 30, trusted=(other.public_key, SIGNER.public_key))
    assert [sealed.name for sealed in again.sealed][:2] == [sealed.name for sealed in before]
    assert not (tmp_path / "unknown-signer").exists()


Events = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def events() -> Iterator[Events]:
    """Give what was logged so far."""
    stream = StringIO()
    eventlog.configure("test", component="test", stream=stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logging.getLogger(eventlog.__name__).handlers = []


def test_removing_frees_its_room(tmp_path: Path) -> None:
    spool = spool_at(tmp_path)
    first, second = fill(spool, 2)
    spool.remove(first)
    spool.remove(first)
    assert spool.sealed == (second,)
    assert spool.size == second.size
    assert len(list(tmp_path.iterdir())) == 2
