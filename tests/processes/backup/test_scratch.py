"""The scratch servers on real files: what they load, what they keep, what they leave on disk."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from backup_worker.config import ScratchSettings
from backup_worker.errors import SnapshotCorrupt
from backup_worker.proving import scratch, scratch_private
from redis_ha.connection import Address, Credentials
from tests.processes import cluster_files as files
from tests.processes.backup.conftest import wait_for
from tests.processes.ports import HOST, free_ports


@contextmanager
def stock(directory: Path) -> Iterator[redis.Redis]:
    """Run a stock server with an append-only file in a directory."""
    (port,) = free_ports(1)
    words = ["--port", str(port), "--bind", HOST, "--dir", str(directory), "--appendonly", "yes"]
    words += ["--enable-debug-command", "local", "--save", "", "--appendfsync", "always"]
    with (
        subprocess.Popen(["redis-server", *words], stdout=subprocess.DEVNULL) as process,
        redis.Redis(HOST, port, decode_responses=True) as client,
    ):
        try:
            wait_for(lambda: _answers(client), "a stock server")
            yield client
        finally:
            process.kill()


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """Give a directory with dump.rdb and appendonlydir, base and log, and its digest."""
    directory = tmp_path_factory.mktemp("source")
    with stock(directory) as client:
        # Else it would drop keys that are past their time on its own.
        client.execute_command("DEBUG", "SET-ACTIVE-EXPIRE", "0")
        for number in range(2000):
            client.set(f"base:{number}", "x" * 300)
        client.bgrewriteaof()
        wait_for(lambda: client.info()["aof_rewrite_in_progress"] == 0, "a rewrite")
        client.mset({f"log:{number}": number for number in range(100)})
        client.set("past", "its time", px=1)
        time.sleep(0.01)
        client.save()
        yield directory, str(client.execute_command("DEBUG", "DIGEST"))


def copied(source: Path, names: tuple[str, ...], target: Path) -> Path:
    target.mkdir(mode=0o700)
    for name in names:
        path = source / name
        (shutil.copytree if path.is_dir() else shutil.copy)(path, target / name)
    return target


@pytest.mark.parametrize("name", ["dump.rdb", "appendonlydir"])
def test_a_private_server_holds_what_the_source_held(
    source: tuple[Path, str], tmp_path: Path, name: str
) -> None:
    directory, digest = source
    place, percents = copied(directory, (name,), tmp_path / "p"), []
    with scratch_private.running(
        place, databases=16, patience=10, on_progress=percents.append
    ) as server:
        assert not (place / name).exists()
        with server.client() as client:
            assert client.execute_command("DEBUG", "DIGEST") == digest
            assert client.dbsize() == 2101
            assert client.config_get("appendonly") == {"appendonly": "no"}
    assert percents[-1] == 100.0
    assert not server.alive


@pytest.mark.parametrize("names", [("dump.rdb",), ("dump.rdb", "appendonlydir")])
def test_a_served_server_prefers_the_log(
    source: tuple[Path, str], tmp_path: Path, names: tuple[str, ...]
) -> None:
    directory, _ = source
    tls = files.write_tls(tmp_path / "tls")
    place = copied(directory, names, tmp_path / "p")
    if len(names) == 2:
        (place / "dump.rdb").write_bytes(b"the log is what counts")
    settings = ScratchSettings(
        Address(HOST, free_ports(1)[0]), tls.certificate, tls.key, Credentials("replica", "secret")
    )
    with (
        scratch.running(
            settings,
            ca=tls.ca,
            directory=place,
            databases=16,
            patience=10,
            on_progress=lambda _: None,
        ) as server,
        server.client() as client,
    ):
        assert client.get("log:99") == "99"
        assert client.get("past") is None
        assert sorted(path.name for path in place.iterdir()) == ["log", "scratch.conf"]


def test_a_log_that_was_cut_short_is_refused(source: tuple[Path, str], tmp_path: Path) -> None:
    place = copied(source[0], ("appendonlydir",), tmp_path / "p")
    log = next((place / "appendonlydir").glob("*.incr.aof"))
    log.write_bytes(log.read_bytes()[:-3])
    server = scratch_private.running(place, databases=16, patience=10, on_progress=lambda _: None)
    with pytest.raises(SnapshotCorrupt, match="Unexpected end of file"), server:
        pass


def test_a_damaged_rdb_is_refused(source: tuple[Path, str], tmp_path: Path) -> None:
    place = copied(source[0], ("dump.rdb",), tmp_path / "p")
    content = bytearray((place / "dump.rdb").read_bytes())
    content[len(content) // 2] ^= 1
    (place / "dump.rdb").write_bytes(content)
    server = scratch_private.running(place, databases=16, patience=10, on_progress=lambda _: None)
    with pytest.raises(SnapshotCorrupt), server:
        pass
