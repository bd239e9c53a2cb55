"""What is told to a running server when its files have changed."""

from pathlib import Path

import pytest

from infra.acl import USER_NAMES, also
from infra.config import ClusterConfig
from infra.live import LIVE_DIRECTIVES, digest, fixed_text, manifest
from infra.planner import make_plan
from infra.rendering import node_files
from infra.settings import parse
from node.changes import data_commands, sentinel_commands, with_acl_file
from node.watched import digest_now, is_watched, read_whole

FIRST = {user: f"first-{user}" for user in USER_NAMES}
SECOND = {user: f"second-{user}" for user in USER_NAMES}
BOTH = FIRST | {also(user): password for user, password in SECOND.items()}


def files(role: str, passwords: dict[str, str], **settings: str) -> dict[str, str]:
    plan = make_plan(parse(ClusterConfig, settings))
    nodes = plan.topology.data_nodes if role == "data" else plan.topology.sentinels
    return node_files(plan, nodes[0], passwords=passwords)


def fixed(role: str, **settings: str) -> str:
    plan = make_plan(parse(ClusterConfig, settings))
    nodes = plan.topology.data_nodes if role == "data" else plan.topology.sentinels
    return fixed_text(plan, nodes[0])


def test_a_second_password_is_one_step_per_user_and_no_other_change() -> None:
    commands = data_commands(files("data", FIRST), files("data", BOTH))
    assert {command[:2] for command in commands} == {("ACL", "SETUSER")}
    app = next(command for command in commands if command[2] == "app")
    assert app[3:5] == ("reset", "on")
    assert sum(word.startswith("#") for word in app) == 2
    assert app[-1] == "+flushdb"


def test_new_passwords_reach_replication_and_sentinels() -> None:
    second = SECOND | {also(user): password for user, password in FIRST.items()}
    commands = data_commands(files("data", BOTH), files("data", second))
    assert ("CONFIG", "SET", "masterauth", "second-replica") in commands
    commands = sentinel_commands(files("sentinel", BOTH), files("sentinel", second))
    assert ("SENTINEL", "SET", "mymaster", "auth-pass", "second-sentinel") in commands
    assert ("SENTINEL", "CONFIG", "SET", "sentinel-pass", "second-sentinel-peer") in commands


def test_a_user_that_is_gone_is_deleted() -> None:
    old, new = files("data", FIRST), files("data", FIRST)
    new["users.acl"] = "".join(
        line for line in old["users.acl"].splitlines(keepends=True) if "user witness " not in line
    )
    assert data_commands(old, new) == [("ACL", "DELUSER", "witness")]


def test_settings_are_told_as_config_set_takes_them() -> None:
    new = files("data", FIRST, maxmemory="128mb", save="", replicaOutputBufferLimit="64mb 32mb 30")
    assert data_commands(files("data", FIRST), new) == [
        ("CONFIG", "SET", "maxmemory", "128mb"),
        ("CONFIG", "SET", "save", ""),
        ("CONFIG", "SET", "client-output-buffer-limit", "replica 64mb 32mb 30"),
    ]
    new = files("sentinel", FIRST, downAfterMs="9000", sentinels="5", quorum="3")
    assert sentinel_commands(files("sentinel", FIRST), new) == [
        ("SENTINEL", "SET", "mymaster", "quorum", "3"),
        ("SENTINEL", "SET", "mymaster", "down-after-milliseconds", "9000"),
    ]


@pytest.mark.parametrize(
    "settings", [{"portOffset": "100"}, {"subnet": "172.29.0.0/24"}, {"namePrefix": "two-"}]
)
def test_a_running_node_is_never_told_another_place(settings: dict[str, str]) -> None:
    """A server takes bind, port and replica-announce-* while it runs, and is lost to the others."""
    new = files("data", FIRST, **settings)
    assert data_commands(files("data", FIRST), new) == []
    commands = sentinel_commands(files("sentinel", FIRST), files("sentinel", FIRST, **settings))
    assert all(command[:3] == ("SENTINEL", "SET", "mymaster") for command in commands)


def test_a_new_certificate_is_loaded_with_its_key_and_the_ca_at_once() -> None:
    old, new = files("data", FIRST), files("data", FIRST)
    tls = {"tls/ca.crt": "ca", "tls/node.crt": "old", "tls/node.key": "old"}
    (command,) = data_commands(old | tls, new | tls | {"tls/node.crt": "new"})
    folder = "/etc/redis-ha/tls"
    assert command == (
        *("CONFIG", "SET", "tls-cert-file", f"{folder}/node.crt"),
        *("tls-key-file", f"{folder}/node.key", "tls-ca-cert-file", f"{folder}/ca.crt"),
    )


def test_only_what_a_running_node_cannot_take_replaces_its_container() -> None:
    assert fixed("data", maxmemory="128mb", timeout="60", downAfterMs="9000") == fixed("data")
    assert fixed("data", replicas="5", sentinels="5", quorum="3") == fixed("data")
    assert fixed("data", ioThreads="1") != fixed("data")
    assert fixed("data", debugCommand="local") != fixed("data")
    assert fixed("sentinel", downAfterMs="9000", failoverTimeoutMs="30000") == fixed("sentinel")
    assert fixed("sentinel", masterName="other") != fixed("sentinel")


def test_every_live_directive_is_one_that_the_template_writes() -> None:
    written = {line.split()[0] for line in files("data", FIRST)["redis.conf"].splitlines() if line}
    assert written >= LIVE_DIRECTIVES


def test_files_are_used_only_when_all_are_there_and_whole(tmp_path: Path) -> None:
    listed = {"a": "one", "tls/b": "two"}
    assert not is_watched(tmp_path)
    assert digest_now(tmp_path) == ""
    (tmp_path / "manifest.json").write_text(manifest(listed))
    assert is_watched(tmp_path)
    (tmp_path / "a").write_text("one")
    assert read_whole(tmp_path) is None
    (tmp_path / "tls").mkdir()
    (tmp_path / "tls" / "b").write_text("tw")
    assert read_whole(tmp_path) is None
    (tmp_path / "tls" / "b").write_text("two")
    whole = read_whole(tmp_path)
    assert whole is not None
    assert dict(whole.texts) == listed
    assert whole.digest == digest_now(tmp_path) == digest(manifest(listed))


def test_the_keepers_acl_file_takes_the_place_of_the_stacks(tmp_path: Path) -> None:
    conf = with_acl_file("port 0\naclfile /etc/redis-ha/users.acl\ndir /data\n", tmp_path / "x")
    assert conf == f"port 0\ndir /data\naclfile {tmp_path / 'x'}\n"
