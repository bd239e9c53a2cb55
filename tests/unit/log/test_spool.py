"""What a killed process leaves in the spool: sealed segments stay, everything else goes."""

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from backup_worker.log.spool import Sealed, Spool
from backup_worker.transform.signing import Signer
from tests.unit.log.test_writer import SET, spool_at, writer_on


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


def test_segments_of_another_signer_go(tmp_path: Path) -> None:
    fill(spool_at(tmp_path), 1)
    stranger = Spool(tmp_path, limit=1, trusted=(Signer.generate().public_key,))
    assert stranger.sealed == ()
    assert list(tmp_path.iterdir()) == []


def test_removing_frees_its_room(tmp_path: Path) -> None:
    spool = spool_at(tmp_path)
    first, second = fill(spool, 2)
    spool.remove(first)
    spool.remove(first)
    assert spool.sealed == (second,)
    assert spool.size == second.size
    assert len(list(tmp_path.iterdir())) == 2
