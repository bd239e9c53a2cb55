"""What a worker that stands by keeps of the log, and what it may forget."""

import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from backup_worker.clock import steady_clock
from backup_worker.config import LogSettings
from backup_worker.log.catalog import LogCatalog
from backup_worker.log.follower import Follower, Hooks
from backup_worker.log.segment import SegmentName
from backup_worker.snapshot import Destination
from backup_worker.store.memory import MemoryStore
from redis_ha.connection import Address, Credentials
from redis_ha.discovery import Access
from tests.unit.log.test_writer import IDENTITY, SET, SIGNER, spool_at, writer_on

NOWHERE = Access((Address("127.0.0.1", 1),), "mymaster", Credentials("backup", "x"), Path("ca.crt"))


def stored(store: MemoryStore, names: Sequence[SegmentName]) -> None:
    for name in names:
        store.put(name.object_key, [b"x"])
        store.put(name.manifest_key, [b"x"])


def standing_by(directory: Path, store: MemoryStore) -> Follower:
    """A follower whose spool holds four segments that came at 0, 10, 20 and 30 s after 1970."""
    writer = writer_on(spool_at(directory), size=1)
    for number in range(4):
        writer.feed(SET, now=0.0, wall_ms=10_000 * number)
    return Follower(
        NOWHERE,
        Destination(store, [IDENTITY.to_public()], SIGNER),
        spool=directory,
        settings=LogSettings(),
        trusted=(SIGNER.public_key,),
        hooks=Hooks(lambda: 0, lambda: None, lambda gap: None),
    )


def kept(directory: Path) -> list[int]:
    return [sealed.name.last_ms // 10_000 for sealed in spool_at(directory).sealed]


@pytest.mark.parametrize(
    ("shipped", "before", "left"),
    [
        (0, 4, [0, 1, 2, 3]),  # nobody has shipped anything: the holder died in an outage
        (2, 4, [2, 3]),  # another worker has come that far
        (4, 2, [2, 3]),  # it has come further, but the last minutes stay
        (4, 4, []),
    ],
)
def test_only_what_is_old_and_shipped_is_forgotten(
    tmp_path: Path, shipped: int, before: int, left: list[int]
) -> None:
    store = MemoryStore()
    follower = standing_by(tmp_path, store)
    stored(store, [sealed.name for sealed in spool_at(tmp_path).sealed][:shipped])
    follower.drop_superseded(steady_clock() - time.time() + 10 * before - 5)
    assert kept(tmp_path) == left


def test_how_far_a_log_goes_is_seen_across_a_border_of_listings() -> None:
    store = MemoryStore()
    names = [
        SegmentName("a" * 40, 99_999_000, 99_999_999, 5, 1),
        SegmentName("a" * 40, 100_000_000, 100_000_500, 6, 1),
        SegmentName("b" * 40, 100_000_000, 900_000_000, 7, 1),
    ]
    stored(store, names)
    catalog = LogCatalog(store, ())
    across = SegmentName("a" * 40, 99_999_900, 100_000_100, 6, 0)
    assert catalog.reached(across) == 100_000_500
    assert catalog.reached(SegmentName("c" * 40, 1, 2, 3, 0)) == -1
