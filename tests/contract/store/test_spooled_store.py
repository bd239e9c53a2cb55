"""The spool before a slow store: the source's speed, the disk's bound, and what a death leaves."""

import os
import signal
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from backup_worker.errors import AlreadyExists, SpoolFull, StoreUnreachable
from backup_worker.store.file import FileStore
from backup_worker.store.memory import MemoryStore
from backup_worker.store.s3 import MIB
from backup_worker.store.spooled import Spool, SpooledStore
from tests.contract.store.test_store_contract import SourceFailed, content, keys, pieces, read
from tests.faulty_store import FaultyStore

KILLED = """
import sys, time
from pathlib import Path
from backup_worker.store.memory import MemoryStore
from backup_worker.store.spooled import Spool, SpooledStore

class Stuck(MemoryStore):
    def put(self, key, chunks, *, if_absent=False):
        time.sleep(60)

def chunks():
    yield bytes(3_000_000)
    print("spooled", flush=True)
    time.sleep(60)

SpooledStore(Stuck(), Spool(Path(sys.argv[1]), 2**30)).put("x", chunks())
"""


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool", 64 * MIB)


def waiting(spool: Spool) -> int:
    """Sum up the bytes on the disk; files come and go meanwhile."""
    size = 0
    for path in spool.directory.glob("*/*"):
        with suppress(FileNotFoundError):
            size += path.stat().st_size
    return size


class Timed:
    """A source that notes when it was drained, and how much lay on the disk at most."""

    def __init__(self, size: int, spool: Spool) -> None:
        self._size = size
        self._spool = spool
        self.drained = 0.0
        self.most = 0

    def __iter__(self) -> Iterator[bytes]:
        began = time.monotonic()
        for number in range(self._size // MIB):
            yield content(1000) + bytes(MIB - 1000)
            if number % 8 == 0:
                self.most = max(self.most, waiting(self._spool))
        self.drained = time.monotonic() - began


def test_a_slow_store_does_not_slow_the_source_down(spool: Spool, tmp_path: Path) -> None:
    slow = FaultyStore(FileStore(tmp_path / "store"), rate=8 * MIB)
    source = Timed(48 * MIB, spool)
    began = time.monotonic()
    SpooledStore(slow, spool).put("x", iter(source))
    took = time.monotonic() - began
    assert took > 5.5
    # A source that was held up would end when the store does.
    assert source.drained < took - 2
    assert source.most > 16 * MIB
    assert waiting(spool) == 0
    assert read(slow, "x") == (content(1000) + bytes(MIB - 1000)) * 48


def test_a_store_that_is_slow_to_take_what_waits_shows_that_it_does(
    spool: Spool, tmp_path: Path
) -> None:
    """A full spool may take the store longer than anything silent is taken for alive."""
    signs: list[float] = []
    heard = replace(spool, moved=lambda: signs.append(time.monotonic()))
    slow = FaultyStore(FileStore(tmp_path / "store"), rate=16 * MIB)
    source = Timed(32 * MIB, spool)
    began = time.monotonic()
    SpooledStore(slow, heard).put("x", iter(source))
    after = [sign - began for sign in signs if sign - began > source.drained]
    assert len(after) > 10
    assert after[-1] - source.drained > 0.5


def test_what_the_store_keeps_up_with_hardly_waits(spool: Spool, tmp_path: Path) -> None:
    """More than the limit passes through as long as it does not wait."""
    small = Spool(spool.directory, 24 * MIB)

    def source() -> Iterator[bytes]:
        for _ in range(200):
            while waiting(small) > 8 * MIB:
                time.sleep(0.001)
            yield bytes(MIB)

    stored = SpooledStore(FileStore(tmp_path / "store"), small).put("x", source())
    assert stored.size == 200 * MIB


def test_memory_stays_small(spool: Spool, tmp_path: Path) -> None:
    store = SpooledStore(FaultyStore(FileStore(tmp_path / "store"), rate=64 * MIB), spool)
    tracemalloc.start()
    try:
        store.put("x", iter(Timed(48 * MIB, spool)))
        assert tracemalloc.get_traced_memory()[1] < 12 * MIB
    finally:
        tracemalloc.stop()


def test_a_full_spool_ends_it_at_once_and_leaves_nothing(spool: Spool, tmp_path: Path) -> None:
    slow = FaultyStore(FileStore(tmp_path / "store"), rate=8 * MIB)
    store = SpooledStore(slow, Spool(spool.directory, 4 * MIB))
    began = time.monotonic()
    with pytest.raises(SpoolFull, match=r"x in .*spool: .* bytes wait for the store"):
        store.put("x", iter(Timed(64 * MIB, spool)))
    assert time.monotonic() - began < 3
    assert keys(slow) == []
    assert waiting(spool) == 0
    slow.rate = 0
    assert store.put("x", pieces(content(3 * MIB))).size == 3 * MIB


def test_the_limit_is_for_all_puts_together(spool: Spool) -> None:
    store = SpooledStore(MemoryStore(), Spool(spool.directory, 4 * MIB))

    def outer() -> Iterator[bytes]:
        yield bytes(900_000)  # waits: too little for a file to be handed on
        with pytest.raises(SpoolFull):
            store.put("inner", iter([bytes(4 * MIB)]))
        yield b"more"

    assert store.put("outer", outer()).size == 900_004


def test_a_full_disk_is_a_full_spool(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a file system to fill")
    try:
        slow = FaultyStore(MemoryStore(), rate=MIB)
        with pytest.raises(SpoolFull, match="No space left"):
            SpooledStore(slow, Spool(disk / "spool", 64 * MIB)).put("x", pieces(bytes(6 * MIB)))
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


def test_a_failing_source_leaves_nothing(spool: Spool, tmp_path: Path) -> None:
    inner = FileStore(tmp_path / "store")

    def source() -> Iterator[bytes]:
        yield bytes(5 * MIB)
        raise SourceFailed

    with pytest.raises(SourceFailed):
        SpooledStore(inner, spool).put("x", source())
    assert keys(inner) == []
    assert [path for path in (tmp_path / "store").rglob("*") if path.is_file()] == []
    assert waiting(spool) == 0


def test_the_store_s_error_is_the_put_s(spool: Spool) -> None:
    faulty = FaultyStore(MemoryStore(), away=True)
    store = SpooledStore(faulty, spool)
    with pytest.raises(StoreUnreachable, match="away"):
        store.put("x", iter(Timed(32 * MIB, spool)))
    assert waiting(spool) == 0
    faulty.away = False
    store.put("x", pieces(b"first"), if_absent=True)
    with pytest.raises(AlreadyExists):
        store.put("x", pieces(b"second"), if_absent=True)
    assert read(store, "x") == b"first"


def test_small_objects_never_touch_the_disk(spool: Spool) -> None:
    store = SpooledStore(MemoryStore(), spool)
    store.put("x", [b"a", b"b"])
    assert read(store, "x", offset=1) == b"b"
    assert store.head("x").size == 2
    store.delete("x")
    assert keys(store) == []
    assert not spool.directory.exists()


def test_what_waits_is_for_its_owner_only(spool: Spool) -> None:
    modes: set[int] = set()

    def source() -> Iterator[bytes]:
        yield bytes(900_000)
        modes.update(path.stat().st_mode & 0o777 for path in spool.directory.rglob("*"))
        yield b"x"

    SpooledStore(MemoryStore(), spool).put("x", source())
    assert modes == {0o700, 0o600}


def test_a_killed_process_s_files_go_and_a_living_one_s_stay(spool: Spool) -> None:
    command = [sys.executable, "-c", KILLED, spool.directory]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"spooled\n"
        SpooledStore(MemoryStore(), spool)
        assert waiting(spool) == 3_000_000
        os.kill(process.pid, signal.SIGKILL)
    assert waiting(spool) == 3_000_000
    SpooledStore(MemoryStore(), spool)
    assert list(spool.directory.iterdir()) == []
