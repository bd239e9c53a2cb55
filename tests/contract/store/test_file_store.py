"""What only a directory can get wrong: crashes, links, full disks, permissions."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from backup_worker.errors import RefusedForSafety, StoreFull, StoreUnreachable
from backup_worker.store.file import FileStore

WRITER = """
import sys, time
from pathlib import Path
from backup_worker.store.file import FileStore

def chunks():
    yield b"x" * 1_000_000
    print("writing", flush=True)
    time.sleep(60)

FileStore(Path(sys.argv[1])).put("deep/x", chunks())
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def writer(root: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Give a process in the middle of a put."""
    process = subprocess.Popen([sys.executable, "-c", WRITER, root], stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process, process.stdout:
        assert process.stdout.readline() == b"writing\n"
        yield process
        process.kill()


def files(root: Path) -> list[str]:
    return sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file())


def make_old(root: Path) -> None:
    for path in root.rglob(".*"):
        os.utime(path, (time.time() - 3600,) * 2)


def test_a_killed_writer_s_file_is_hidden_and_removed_by_the_next_write(
    root: Path, writer: subprocess.Popen[bytes]
) -> None:
    writer.send_signal(signal.SIGKILL)
    writer.wait(10)
    assert len(files(root)) == 1
    store = FileStore(root)
    assert list(store.list()) == []
    make_old(root)
    store.put("y", [b"new"])
    assert files(root) == ["y"]


def test_a_living_writer_s_file_stays(root: Path, writer: subprocess.Popen[bytes]) -> None:
    make_old(root)
    FileStore(root).put("y", [b"new"])
    assert len(files(root)) == 2


def test_an_object_is_readable_by_its_owner_only(root: Path) -> None:
    FileStore(root).put("x", [b"data"])
    assert (root / "x").stat().st_mode & 0o777 == 0o600


def test_a_link_out_of_the_store_is_not_followed(root: Path, tmp_path: Path) -> None:
    store = FileStore(root)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "secret").write_bytes(b"secret")
    (root / "out").symlink_to(tmp_path / "elsewhere")
    (root / "file").symlink_to(tmp_path / "elsewhere" / "secret")
    for attempt in (
        lambda: store.put("out/x", [b"x"]),
        lambda: list(store.get("out/secret")),
        lambda: store.head("file"),
        lambda: store.delete("out/secret"),
    ):
        with pytest.raises(RefusedForSafety, match="symbolic link"):
            attempt()
    assert files(tmp_path / "elsewhere") == ["secret"]


def test_a_store_reached_through_a_link_works(root: Path, tmp_path: Path) -> None:
    root.mkdir()
    (tmp_path / "link").symlink_to(root)
    FileStore(tmp_path / "link").put("a/x", [b"data"])
    assert [found.key for found in FileStore(root).list()] == ["a/x"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Give a file system of 2 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a file system to fill")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_a_full_disk_names_the_object_and_the_space(small_disk: Path) -> None:
    store = FileStore(small_disk / "store")
    store.put("old", [bytes(1_000_000)])
    with pytest.raises(StoreFull, match=r"put deep/new: .*MiB are free in") as raised:
        store.put("deep/new", (bytes(100_000) for _ in range(50)))
    assert raised.value.exit_code == 1
    assert files(small_disk) == ["store/old"]
    store.put("new", [b"still usable"])


def test_a_directory_without_a_parent_is_unreachable(tmp_path: Path) -> None:
    with pytest.raises(StoreUnreachable, match="is mounted") as raised:
        FileStore(tmp_path / "no" / "such")
    assert raised.value.exit_code == 5


def test_a_file_in_the_directory_s_place_is_unreachable(tmp_path: Path) -> None:
    (tmp_path / "store").write_bytes(b"")
    with pytest.raises(StoreUnreachable):
        FileStore(tmp_path / "store")


def test_deleting_removes_empty_folders_up_to_the_root(root: Path) -> None:
    store = FileStore(root)
    store.put("a/b/c", [b"x"])
    store.put("a/d", [b"x"])
    store.delete("a/b/c")
    assert not (root / "a" / "b").exists()
    store.delete("a/d")
    assert list(root.iterdir()) == []
