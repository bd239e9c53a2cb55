"""A snapshot's bytes come out checked or not at all."""

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

import age
from backup_worker.errors import SnapshotCorrupt, StoreFull, WrongKey
from backup_worker.manifest import Content, Engine, Manifest, ReplicationPoint, object_key
from backup_worker.restore import directory
from backup_worker.restore.opening import opened, write_checked
from backup_worker.transform.compression import Compress
from backup_worker.transform.encryption import Encrypt
from backup_worker.transform.pipeline import transformed

SNAPSHOT = "20260101T000000Z-00000000"
IDENTITY = age.Identity.generate()
RDB = os.urandom(300_000)


def _content(data: bytes) -> Content:
    return Content(len(data), hashlib.sha256(data).hexdigest())


STORED = b"".join(transformed([RDB], Compress(), Encrypt([IDENTITY.to_public()])))
MANIFEST = Manifest(
    id=SNAPSHOT,
    taken_at=datetime(2026, 1, 1, tzinfo=UTC),
    engine=Engine("redis", "7.0.15", 10),
    replication=ReplicationPoint("0" * 40, 1, 0),
    source="127.0.0.1:6380",
    object_key=object_key(SNAPSHOT),
    stored=_content(STORED),
    rdb=_content(RDB),
    recipients=(IDENTITY.to_public().encode(),),
    seconds=1.0,
)


def chunks(data: bytes, size: int = 10_000) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


def flip(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def open_stored(stored: bytes, manifest: Manifest = MANIFEST) -> Iterator[bytes]:
    return opened(chunks(stored), manifest, [IDENTITY], on_progress=[].append)


def test_the_rdb_comes_out_as_it_went_in(tmp_path: Path) -> None:
    seen: list[int] = []
    write_checked(
        opened(chunks(STORED), MANIFEST, [IDENTITY], on_progress=seen.append), tmp_path / "x.rdb"
    )
    assert (tmp_path / "x.rdb").read_bytes() == RDB
    assert (tmp_path / "x.rdb").stat().st_mode & 0o777 == 0o600
    assert seen[-1] == len(STORED)


@pytest.mark.parametrize(
    ("damage", "cause"),
    [
        (lambda stored: flip(stored, len(stored) // 2), "chunk 2"),
        (lambda stored: stored[:-1], "chunk 4"),
        (lambda stored: stored[: len(stored) // 2], "chunk"),
        (lambda stored: stored[:30], "header"),
        (lambda stored: b"", "header"),
        (lambda stored: stored + b"x", "more than"),
    ],
)
@pytest.mark.parametrize("target", ["x.rdb", "directory"])
def test_damage_is_named_and_leaves_nothing_behind(
    damage: Callable[[bytes], bytes], cause: str, target: str, tmp_path: Path
) -> None:
    with pytest.raises(SnapshotCorrupt, match=cause) as caught:
        directory.write(open_stored(damage(STORED)), tmp_path / target)
    assert caught.value.subject == MANIFEST.object_key
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("target", ["x.rdb", "directory"])
def test_another_snapshots_object_in_its_place_is_refused(target: str, tmp_path: Path) -> None:
    other = b"".join(transformed([RDB[::-1]], Compress(), Encrypt([IDENTITY.to_public()])))
    with pytest.raises(SnapshotCorrupt, match="than its manifest says"):
        directory.write(open_stored(other), tmp_path / target)
    assert list(tmp_path.iterdir()) == []


def test_an_rdb_other_than_the_manifests_is_refused() -> None:
    manifest = replace(MANIFEST, rdb=replace(MANIFEST.rdb, sha256="0" * 64))
    with pytest.raises(SnapshotCorrupt, match="the RDB in it has another SHA-256"):
        list(open_stored(STORED, manifest))


@pytest.mark.parametrize("part", ["stored", "rdb"])
def test_what_is_longer_than_its_manifest_says_is_not_read_to_its_end(part: str) -> None:
    rdb = bytes(100_000_000)
    stored = b"".join(transformed([rdb], Compress(), Encrypt([IDENTITY.to_public()])))
    right = replace(MANIFEST, stored=_content(stored), rdb=_content(rdb))
    short = replace(right, **{part: replace(getattr(right, part), size=1000)})
    read: list[bytes] = []
    with pytest.raises(SnapshotCorrupt, match="more than the 1000 bytes"):
        read.extend(open_stored(stored, short))
    assert read == []


def test_the_wrong_key_is_said_to_be_one() -> None:
    with pytest.raises(WrongKey, match="none of 1 identities"):
        list(opened(chunks(STORED), MANIFEST, [age.Identity.generate()], on_progress=[].append))


def test_a_full_disk_is_said_to_be_full_and_keeps_what_was_there(tmp_path: Path) -> None:
    def content() -> Iterator[bytes]:
        yield b"REDIS"
        with Path("/dev/full").open("wb", buffering=0) as full:
            full.write(b"x")

    (tmp_path / "x.rdb").write_text("mine")
    with pytest.raises(StoreFull, match="No space left"):
        write_checked(content(), tmp_path / "x.rdb")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]
