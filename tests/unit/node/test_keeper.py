"""A running server takes changed files whole in the end, whatever it refuses in between."""

import json
import time
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

import pytest
import redis

from infra.live import digest, manifest
from node.keeper import Keeper
from node.settings import NodeSettings, load_settings
from redis_ha.discovery import Access
from redis_ha.eventlog import EventLog

BUSY = "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."


class Server:
    """What CONFIG SET and ACL leave in a server; it refuses what `refuses` names."""

    def __init__(self) -> None:
        self.settings: dict[str, str] = {}
        self.users: dict[str, tuple[str, ...]] = {}
        self.refuses: dict[str, str] = {}
        self.silent = False
        self.told = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def execute_command(self, *command: str) -> None:
        self.told += 1
        if self.silent and self.told > 1:
            raise redis.ConnectionError("gone")
        for name, text in self.refuses.items():
            if name in command:
                raise redis.ResponseError(text)
        match command:
            case ("CONFIG", "SET", name, value):
                self.settings[name] = value
            case ("ACL", "SETUSER", name, "reset", *rules):
                self.users[name] = tuple(rules)
            case ("ACL", "DELUSER", name):
                self.users.pop(name, None)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    running = Server()
    monkeypatch.setattr(Access, "connect", lambda *_, **__: running)
    return running


class Node:
    """A node's folder, and the keeper that watches it."""

    def __init__(self, folder: Path, server: Server) -> None:
        self.folder = folder
        (folder / "run").mkdir()
        self.put(server.settings, password="first")
        self.keeper = Keeper(self.settings, EventLog("redis-1", component="guard"), wait=time.sleep)

    @property
    def settings(self) -> NodeSettings:
        return load_settings(self.folder / "node.json")

    def put(self, settings: dict[str, str], *, password: str, **identity: str | int) -> str:
        """Bring files; return the name of the connection of who has applied them."""
        here = {"name": "redis-1", "host": "10.0.0.1", "port": 6379}
        document: dict[str, Any] = {
            **here,
            "master_name": "mymaster",
            "initial_master": "redis-1",
            "data_nodes": [here],
            "sentinels": [],
            "username": "node",
            "password": password,
            "tls": {"ca": "ca"},
            "data_dir": "/data",
            "config_dir": str(self.folder),
            "run_dir": str(self.folder / "run"),
            "engine": "redis-8",
            **identity,
        }
        texts = {
            "redis.conf": "".join(f"{name} {value}\n" for name, value in settings.items()),
            "users.acl": f"user node on #{sha256(password.encode()).hexdigest()} ~* +@all\n",
            "node.json": json.dumps(document),
        }
        for name, text in texts.items():
            (self.folder / name).write_text(text)
        (self.folder / "manifest.json").write_text(manifest(texts))
        return f"files-{digest(manifest(texts))}"


OLD = {"masterauth": "old", "maxmemory": "1gb"}
NEW = OLD | {"masterauth": "new"}


@pytest.fixture
def node(tmp_path: Path, server: Server) -> Node:
    server.settings = dict(OLD)
    return Node(tmp_path, server)


def events(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_what_a_busy_server_refused_is_told_again_until_it_is_taken(
    node: Node, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    server.refuses = {"CONFIG": BUSY, "ACL": BUSY}
    name = node.put(NEW, password="second")
    settings = node.keeper.look()
    assert settings is not None
    assert settings.credentials.password == "first"
    assert (node.keeper.look(), node.keeper.look()) == (None, None)
    assert node.keeper.connection_name == ""
    assert "not applied: ACL SETUSER node: BUSY" in node.keeper.complaint
    server.refuses = {}
    settings = node.keeper.look()
    assert settings is not None
    assert settings.credentials.password == "second"
    assert server.settings == NEW
    assert (node.keeper.connection_name, node.keeper.complaint) == (name, "")
    told = server.told
    assert node.keeper.look() is None
    assert server.told == told
    # Once that it was refused, once that it was taken.
    assert [len(event["refused"]) for event in events(capsys)] == [2, 0]


def test_only_what_was_refused_is_told_again(node: Node, server: Server) -> None:
    server.refuses = {"masterauth": BUSY}
    node.put(NEW, password="second")
    node.keeper.look()
    told = server.told
    node.keeper.look()
    assert server.told == told + 1


def test_a_later_change_takes_along_what_was_refused_before_it(node: Node, server: Server) -> None:
    server.refuses = {"masterauth": BUSY}
    node.put(NEW, password="first")
    node.keeper.look()
    both = NEW | {"maxmemory": "2gb"}
    name = node.put(both, password="first")
    node.keeper.look()
    assert node.keeper.connection_name == ""
    server.refuses = {}
    node.keeper.look()
    assert server.settings == both
    assert node.keeper.connection_name == name


@pytest.mark.parametrize("silent", [False, True])
def test_a_change_that_was_half_taken_can_be_taken_back(
    node: Node, server: Server, silent: bool
) -> None:
    first = node.keeper.connection_name
    server.refuses, server.silent = ({} if silent else {"masterauth": BUSY}), silent
    node.put(NEW | {"maxmemory": "2gb"}, password="second")
    node.keeper.look()
    server.refuses, server.silent = {}, False
    assert node.put(OLD, password="first") == first
    node.keeper.look()
    assert server.settings == OLD
    assert server.users["node"][1] == "#" + sha256(b"first").hexdigest()
    assert node.keeper.connection_name == first


def test_a_server_that_is_started_again_takes_from_its_files_what_it_refused(
    node: Node, server: Server
) -> None:
    server.refuses = {"masterauth": "ERR can't set"}
    name = node.put(NEW, password="second")
    node.keeper.look()
    conf = node.keeper.prepare((node.folder / "redis.conf").read_text())
    assert "masterauth new" in conf
    assert sha256(b"second").hexdigest() in (node.folder / "run" / "users.acl").read_text()
    told = server.told
    assert node.keeper.look() is not None
    assert server.told == told
    assert node.keeper.connection_name == name


@pytest.mark.parametrize(
    ("identity", "reason"),
    [
        ({"port": 6479}, "another address (10.0.0.1:6479 for 10.0.0.1:6379)"),
        ({"host": "10.0.9.1"}, "another address (10.0.9.1:6379 for 10.0.0.1:6379)"),
        ({"name": "redis-2"}, "another name (redis-2 for redis-1)"),
        ({"master_name": "other"}, "another master name (other for mymaster)"),
    ],
)
def test_files_of_another_node_are_told_and_not_taken(
    node: Node,
    server: Server,
    capsys: pytest.CaptureFixture[str],
    identity: dict[str, str | int],
    reason: str,
) -> None:
    first = node.keeper.connection_name
    node.put(NEW, password="second", **identity)
    assert (node.keeper.look(), node.keeper.look()) == (None, None)
    assert (server.told, server.settings) == (0, OLD)
    assert node.keeper.connection_name == first
    assert node.keeper.complaint == f"; not applied: {reason}"
    (event,) = events(capsys)
    assert (event["event"], event["reason"]) == ("files-not-applied", reason)
    # A server that is started anew meanwhile stays who it is.
    again = node.keeper.prepare_again((node.folder / "redis.conf").read_text())
    assert "masterauth old" in again
    assert node.put(OLD, password="first") == first
    assert node.keeper.look() is None
    assert node.keeper.complaint == ""
    node.put(NEW, password="second")
    assert node.keeper.look() is not None
    assert server.settings == NEW
