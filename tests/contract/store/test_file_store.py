"""What only a directory can get wrong: crashes, links, full disks, permissions."""

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NoReturn

import pytest

from backup_worker.errors import RefusedForSafety, StoreFull, StoreUnreachable
from backup_worker.store.file import FileStore
from backup_worker.store.memory import MemoryStore

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


def test_deleting_at_once_what_lies_in_one_folder_works(root: Path) -> None:
    """Who empties a folder removes it, under the eyes of whoever deleted there just before."""
    store = FileStore(root)
    for _ in range(100):
        keys = [f"log/a/{number}" for number in range(8)]
        for key in keys:
            store.put(key, [b""])
        with ThreadPoolExecutor(len(keys)) as pool:
            list(pool.map(store.delete, keys))
    assert list(root.iterdir()) == []


def test_a_folder_that_went_while_the_store_was_listed_is_no_fault(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, scan = FileStore(root), os.scandir
    for key in ("a/x", "b/x"):
        store.put(key, [b""])

    def late(path: str) -> object:
        if Path(path).name == "b":
            store.delete("b/x")
        return scan(path)

    monkeypatch.setattr(os, "scandir", late)
    assert [found.key for found in store.list()] == ["a/x"]


def test_a_store_that_went_is_unreachable_not_empty(root: Path) -> None:
    store = FileStore(root)
    root.rmdir()
    with pytest.raises(StoreUnreachable):
        list(store.list())


def failing(*_: object, **__: object) -> NoReturn:
    raise OSError(errno.EROFS, "Read-only file system")


@pytest.mark.parametrize("if_absent", [False, True])
@pytest.mark.parametrize(
    "broken",
    [
        {(os, "fsync"), (Path, "unlink")},
        {(Path, "is_file"), (Path, "is_dir"), (os, "fsync")},
        {(os, "fsync"), (os, "statvfs")},
    ],
)
def test_a_broken_disk_is_an_unreachable_store_whatever_breaks_first(
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    broken: set[tuple[type[object], str]],
    *,
    if_absent: bool,
) -> None:
    store = FileStore(root)
    store.put("a/w", [b"w"])
    with monkeypatch.context() as patched:
        for owner, name in broken:
            patched.setattr(owner, name, failing)
        with pytest.raises(StoreUnreachable, match="Read-only file system"):
            store.put("a/x", [b"x"], if_absent=if_absent)
    store.put("a/x", [b"x"], if_absent=if_absent)


def test_a_link_that_leads_to_itself_is_unreachable(root: Path) -> None:
    store = FileStore(root)
    (root / "loop").symlink_to(root / "loop")
    with pytest.raises(StoreUnreachable):
        list(store.get("loop"))


@pytest.mark.parametrize("prefix", ["", "a", "a/", "a0", "a0/c", "a0/c/d", "b", "z/"])
def test_it_lists_as_any_store_does(root: Path, prefix: str) -> None:
    """A directory stands where its slash sorts, not where its name does."""
    store, model = FileStore(root), MemoryStore()
    for key in ("a.x", "a/x", "a-b", "ab", "a0/c/d", "a0/c-d", "a0.z", "a0/b", "b", "z/y/x"):
        store.put(key, [b"x"])
        model.put(key, [b"x"])
    (root / "linked").symlink_to(root / "a0")
    assert list(store.list(prefix)) == list(model.list(prefix))
