"""Each file of the secrets goes to its role's folder and to nobody else."""

from pathlib import Path

import pytest

from infra.targets.aws import user_data
from node.vm import layout
from node.vm.errors import BootFailed
from node.vm.layout import (
    CONFIG,
    DATA_FOLDERS,
    ROLES,
    drop_ins,
    limits_of,
    mount_unit,
    origin_of,
    owned_files,
    started_units,
    unit_of,
    user_of,
)
from node.vm.places import load_places
from node.vm.volume import format_if_empty

NODE = {
    name: f"content of {name}"
    for name in (
        *("data/node.json", "data/redis.conf", "data/users.acl"),
        *("sentinel/node.json", "sentinel/sentinel.conf", "sentinel/users.acl"),
        *("worker/worker.env", "redis-exporter/options.env", "redis-exporter/passwords.json"),
        "exporter/exporter.env",
        *("tls/ca.crt", "tls/node.crt", "tls/node.key"),
    )
}
WORKER = {"signing.key": "content of signing.key"}


def test_every_file_has_its_place_and_the_key_is_there_for_each_role() -> None:
    files = {str(f.path): f for f in owned_files(NODE, WORKER)}
    assert files["/etc/redis-ha/data/redis.conf"].content == "content of data/redis.conf"
    assert files["/etc/redis-ha/worker/signing.key"].role == "worker"
    assert {f.role for f in files.values() if f.path.name == "node.key"} == set(ROLES)
    assert all(f.path.is_relative_to(CONFIG / f.role) for f in files.values())


def test_a_secret_that_lacks_a_file_is_named() -> None:
    lacking = {name: content for name, content in NODE.items() if name != "data/users.acl"}
    with pytest.raises(BootFailed, match=r"data/users\.acl"):
        owned_files(lacking, WORKER)


def test_folders_are_those_that_the_files_were_rendered_for() -> None:
    paths = {
        "data": user_data.DATA_PATHS,
        "sentinel": user_data.SENTINEL_PATHS,
        "worker": user_data.WORKER_PATHS,
    }
    assert user_data.REDIS_EXPORTER_PATHS.config == str(CONFIG / "redis-exporter")
    assert user_data.EXPORTER_PATHS.config == str(CONFIG / "exporter")
    assert user_data.EXPORTER_PATHS.run == "/run/redis-ha/exporter"
    for role in DATA_FOLDERS:
        assert paths[role].config == str(CONFIG / role)
        assert paths[role].data == str(DATA_FOLDERS[role])
        assert paths[role].run == f"/run/redis-ha/{role}"
    assert user_data.WORKER_PATHS.backup_state == str(DATA_FOLDERS["worker"])


UNIT_FILES = Path(user_data.__file__).parents[3] / "node/vm/files"


def test_units_run_as_their_role_and_write_nowhere_else() -> None:
    for role in ROLES:
        unit = (UNIT_FILES / unit_of(role)).read_text()
        assert f"User={user_of(role)}\n" in unit
        assert "ProtectSystem=strict\n" in unit
        folder = DATA_FOLDERS.get(role)
        assert f"ReadWritePaths={folder}\n" in unit if folder else "ReadWritePaths" not in unit
        assert (f"RuntimeDirectory=redis-ha/{role}\n" in unit) is (role != "redis-exporter")


def test_every_unit_that_is_started_is_there_and_starts_again_after_a_reboot() -> None:
    for name in started_units():
        assert "[Install]\nWantedBy=" in (UNIT_FILES / name).read_text()


def test_limits_are_the_stacks(tmp_path: Path) -> None:
    file = tmp_path / "boot.json"
    file.write_text(
        '{"region": "r", "node_secret": "n", "worker_secret": "w", "device": "/dev/x",'
        ' "endpoint": "", "open_files": 10240, "processes": 99,'
        ' "cluster": "c", "node": "redis-1", "log_group": "/c",'
        ' "limits": {"data": {"memory": 1048576, "stop_seconds": 30}}}'
    )
    places = load_places(file)
    assert "MemoryMax=1048576\nTimeoutStopSec=30\n" in limits_of("data", places)
    assert drop_ins(places).keys() == {"data", "telemetry", "growth"}
    assert "DeviceAllow=/dev/x rw\n" in drop_ins(places)["growth"]
    assert "CLUSTER=c NODE=redis-1\nEnvironment=LOG_GROUP=/c ENDPOINT=\n" in origin_of(places)
    assert "What=/dev/x\nWhere=/data\n" in mount_unit(places.device)


def test_places_that_cannot_be_read_say_so(tmp_path: Path) -> None:
    with pytest.raises(BootFailed, match=r"boot\.json"):
        load_places(tmp_path / "boot.json")


def test_only_a_volume_of_nothing_is_formatted(tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    volume.write_bytes(b"\0" * (16 << 20))
    assert format_if_empty(volume)
    before = volume.read_bytes()
    assert not format_if_empty(volume)
    assert volume.read_bytes() == before


def test_a_volume_with_unknown_content_is_left_alone(tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    content = b"\0" * 5000 + b"somebody's data" + b"\0" * (4 << 20)
    volume.write_bytes(content)
    with pytest.raises(BootFailed, match="never formatted"):
        format_if_empty(volume)
    assert volume.read_bytes() == content


def test_a_drill_that_is_out_of_memory_doesnt_end_the_worker() -> None:
    """By default systemd stops a unit in which the kernel killed anything."""
    unit = Path(layout.__file__).with_name("files") / unit_of("worker")
    assert "OOMPolicy=continue" in unit.read_text().splitlines()
