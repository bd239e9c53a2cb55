"""The files of a node: settings, marker, health, sentinel seed, and the health script."""

import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from node.disk import Marker, Note, read_disk, write_marker
from node.errors import BadSettings
from node.health import Health, judge, write_health
from node.sentinel import seed_config
from node.settings import NodeSettings, load_settings
from redis_ha.connection import Address, Credentials
from redis_ha.discovery import NodeView
from redis_ha.eventlog import EventLog

SCRIPT = Path(__file__).parents[3] / "node" / "health.sh"
ME = Address("127.0.0.1", 6379)


def _settings(directory: Path) -> NodeSettings:
    for name in ("data", "config", "run"):
        (directory / name).mkdir()
    return NodeSettings(
        name="sentinel-1",
        address=ME,
        master_name="mymaster",
        initial_master="redis-1",
        data_nodes=(ME,),
        sentinels=(ME,),
        credentials=Credentials("node", "secret"),
        ca=directory / "ca.crt",
        data_dir=directory / "data",
        config_dir=directory / "config",
        run_dir=directory / "run",
    )


def test_an_empty_directory_holds_no_data(tmp_path: Path) -> None:
    disk = read_disk(tmp_path)
    assert not disk.holds_data
    assert not disk.has_something_to_lose


@pytest.mark.parametrize("path", ["dump.rdb", "appendonlydir/appendonly.aof.manifest"])
def test_a_snapshot_or_a_manifest_is_data(tmp_path: Path, path: str) -> None:
    (tmp_path / path).parent.mkdir(exist_ok=True)
    (tmp_path / path).write_bytes(b"x")
    assert read_disk(tmp_path).holds_data


def test_a_marker_is_read_as_it_was_written(tmp_path: Path) -> None:
    marker = Marker("2026-01-01", True, 42, "master", "abc", has_keys=False)
    write_marker(tmp_path, marker)
    disk = read_disk(tmp_path)
    assert disk.marker == marker
    assert not disk.crashed


def test_a_disk_that_takes_nothing_is_told_of_once_and_tried_again(tmp_path: Path) -> None:
    directory, told = tmp_path / "data", []
    directory.mkdir()
    note = Note(directory, Marker("now"), told.append)
    directory.rename(tmp_path / "away")
    master = Marker("now", role="master", replid="r")
    note.put(master)
    note.put(master)
    assert note.marker == master
    assert len(told) == 1
    (tmp_path / "away").rename(directory)
    assert read_disk(directory).marker == Marker("now")
    note.put(master)
    assert read_disk(directory).marker == master


def test_the_last_stops_marker_must_not_stay(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="away"):
        Note(tmp_path / "away", Marker("now"), print)


def test_a_torn_marker_counts_as_a_crash(tmp_path: Path) -> None:
    write_marker(tmp_path, Marker("2026-01-01", True, 42))
    file = tmp_path / "node-state.json"
    whole = file.read_text()
    for length in range(len(whole) - 2):
        file.write_text(whole[:length])
        assert read_disk(tmp_path).crashed


def test_settings_say_what_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "node.json"
    path.write_text(json.dumps({"name": "redis-1", "host": "127.0.0.1", "port": 6379}))
    with pytest.raises(BadSettings, match=r"read the settings .*node.json: no 'master_name'; "):
        load_settings(path)


@pytest.mark.parametrize(
    ("view", "healthy"),
    [
        (NodeView(ME, problem="refused"), False),
        (NodeView(ME, "master"), True),
        (NodeView(ME, "master", loading=True), False),
        (NodeView(ME, "slave"), True),
        (NodeView(ME, "slave", syncing=True, link_down_seconds=1), False),
        (NodeView(ME, "slave", link_down_seconds=-1), False),
    ],
)
def test_a_node_is_healthy_when_it_serves_what_its_role_promises(
    view: NodeView, healthy: bool
) -> None:
    assert judge(view).healthy is healthy


def _check(path: Path) -> tuple[int, str]:
    environment = os.environ | {"REDIS_HA_HEALTH": str(path)}
    done = subprocess.run(
        [SCRIPT], capture_output=True, text=True, env=environment, timeout=10, check=False
    )
    return done.returncode, done.stdout.strip()


def test_the_check_repeats_the_last_word(tmp_path: Path) -> None:
    path = tmp_path / "health"
    assert _check(path)[0] == 1
    write_health(path, Health(True, "master, 2 replicas"))
    assert _check(path) == (0, "ok master, 2 replicas")
    write_health(path, Health(False, "waiting: no majority"))
    assert _check(path) == (1, "waiting: no majority")


def test_the_check_fails_on_an_old_word(tmp_path: Path) -> None:
    path = tmp_path / "health"
    write_health(path, Health(True, "master"))
    os.utime(path, (time.time() - 30, time.time() - 30))
    code, text = _check(path)
    assert code == 1
    assert text.startswith("no news for 3")


def test_a_sentinel_is_seeded_once(tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    (settings.config_dir / "sentinel.conf").write_text("sentinel monitor mymaster 10.0.0.1 1 2\n")
    live = Path(seed_config(settings, EventLog("sentinel-1", component="guard")))
    assert live.stat().st_mode & 0o777 == 0o600
    live.write_text("sentinel monitor mymaster 10.0.0.2 1 2\nsentinel current-epoch 7\n")
    seed_config(settings, EventLog("sentinel-1", component="guard"))
    assert "current-epoch 7" in live.read_text()


def test_a_torn_sentinel_file_is_refused_and_kept(tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    (settings.config_dir / "sentinel.conf").write_text("sentinel monitor mymaster 10.0.0.1 1 2\n")
    live = settings.data_dir / "sentinel.conf"
    live.write_text("port 0\n")
    with pytest.raises(BadSettings, match="torn or foreign"):
        seed_config(settings, EventLog("sentinel-1", component="guard"))
    assert live.read_text() == "port 0\n"
