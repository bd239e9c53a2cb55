"""Stock Redis runs what infra renders, and lets every user do its work and no more."""

import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.processes.infra.rendered_cluster import RenderedCluster, running


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RenderedCluster]:
    with running(tmp_path_factory.mktemp("rendered")) as cluster:
        yield cluster


def test_a_crash_fails_over_with_these_users_and_nobody_was_denied(tmp_path: Path) -> None:
    with running(tmp_path) as cluster:
        first, second, third = cluster.data_nodes
        app = cluster.connect(first, "app")
        app.set("kept", "yes")
        assert app.wait(2, 5000) == 2
        cluster.kill(first)

        def promoted() -> bool:
            return "master" in [cluster.connect(n, "node").role()[0] for n in (second, third)]

        cluster.wait_until(promoted)
        cluster.start(first, replica_of=second)

        def reunited() -> bool:
            roles = [cluster.connect(n, "node").role() for n in cluster.data_nodes]
            return sorted(r[0] for r in roles) == ["master", "slave", "slave"] and all(
                r[0] == "master" or r[3] == "connected" for r in roles
            )

        cluster.wait_until(reunited)
        assert [cluster.connect(n, "app").get("kept") for n in cluster.data_nodes] == ["yes"] * 3
        denied = {
            node.name: cluster.connect(node, "operator").acl_log()
            for node in (*cluster.data_nodes, *cluster.sentinels)
        }
        assert not any(denied.values()), denied


def test_the_settings_are_in_force(cluster: RenderedCluster) -> None:
    operator = cluster.connect(cluster.data_nodes[1], "operator")
    expected = {
        "maxmemory": str(256 << 20),
        "maxmemory-policy": "allkeys-lru",
        "hash-max-listpack-entries": "512",
        "hash-max-listpack-value": "64",
        "tcp-keepalive": "60",
        "timeout": "300",
        "io-threads": "4",
        "io-threads-do-reads": "yes",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "3600 1 300 100 60 10000",
        "repl-backlog-size": str(64 << 20),
        "min-replicas-to-write": "1",
        "min-replicas-max-lag": "3",
        "port": "0",
        "tls-replication": "yes",
        "enable-debug-command": "no",
    }
    assert {name: operator.config_get(name)[name] for name in expected} == expected


def test_nothing_answers_without_tls(cluster: RenderedCluster) -> None:
    for node in (cluster.data_nodes[0], cluster.sentinels[0]):
        with socket.create_connection((node.host, node.port), timeout=2) as plain:
            plain.sendall(b"PING\r\n")
            with suppress(ConnectionResetError):
                assert b"PONG" not in plain.recv(64)


@pytest.mark.parametrize("password", ["", "wrong"])
def test_the_default_user_is_off(cluster: RenderedCluster, password: str) -> None:
    for node in (cluster.data_nodes[0], cluster.sentinels[0]):
        with pytest.raises(redis.RedisError, match=r"NOAUTH|WRONGPASS|invalid username"):
            cluster.connect(node, "default", password or "x").ping()


def test_the_application_may_work_but_not_administrate(cluster: RenderedCluster) -> None:
    app = cluster.connect(cluster.data_nodes[0], "app")
    app.set("a", "1")
    assert app.keys("a") == ["a"]
    assert app.role()[0] == "master"
    assert app.info("server")["redis_mode"] == "standalone"
    assert app.eval("return redis.call('get', KEYS[1])", 1, "a") == "1"
    app.rpush("numbers", 2, 1)
    assert app.sort("numbers") == ["1", "2"]
    assert app.publish("channel", "hello") == 0
    app.flushdb()
    for command in (
        ("FLUSHALL",),
        ("CONFIG", "GET", "*"),
        ("DEBUG", "SLEEP", "0"),
        ("ACL", "LIST"),
        ("REPLICAOF", "NO", "ONE"),
        ("SHUTDOWN",),
        ("CLIENT", "KILL", "TYPE", "replica"),
        ("CLIENT", "PAUSE", "1"),
    ):
        with pytest.raises(redis.ResponseError, match=r"permission|DEBUG command not allowed"):
            app.execute_command(*command)


def test_the_reader_may_read_and_nothing_else(cluster: RenderedCluster) -> None:
    cluster.connect(cluster.data_nodes[0], "app").set("b", "2")
    reader = cluster.connect(cluster.data_nodes[0], "app-readonly")
    assert reader.get("b") == "2"
    assert reader.role()[0] == "master"
    assert reader.execute_command("EVAL_RO", "return redis.call('get', KEYS[1])", 1, "b") == "2"
    for command in (("SET", "b", "3"), ("DEL", "b"), ("PUBLISH", "c", "m"), ("FLUSHDB",)):
        with pytest.raises(redis.ResponseError, match="permission"):
            reader.execute_command(*command)


_DATA: dict[str, tuple[tuple[Any, ...], ...]] = {
    "node": (("CLIENT", "PAUSE", "1", "WRITE"), ("CLIENT", "UNPAUSE"), ("ROLE",), ("INFO",)),
    "backup": (("ROLE",), ("INFO",), ("CONFIG", "GET", "save")),
    "exporter": (("INFO",), ("SLOWLOG", "LEN"), ("CONFIG", "GET", "save"), ("CLIENT", "LIST")),
    "witness": (("INFO",), ("PUBLISH", "__redis-ha__:witness", "m"), ("CLIENT", "UNPAUSE")),
}
_SENTINEL: dict[str, tuple[tuple[Any, ...], ...]] = {
    "app": (("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster"), ("ROLE",)),
    "node": (("SENTINEL", "CKQUORUM", "mymaster"), ("SENTINEL", "REPLICAS", "mymaster")),
    "backup": (("SENTINEL", "MASTER", "mymaster"), ("SENTINEL", "MYID")),
    "exporter": (("SENTINEL", "SENTINELS", "mymaster"), ("INFO",)),
    "witness": (("SENTINEL", "MASTER", "mymaster"),),
}


@pytest.mark.parametrize("user", sorted(_DATA))
def test_a_service_may_do_its_work_on_a_data_node(cluster: RenderedCluster, user: str) -> None:
    connection = cluster.connect(cluster.data_nodes[0], user)
    for command in _DATA[user]:
        connection.execute_command(*command)
    with pytest.raises(redis.ResponseError, match="permission"):
        connection.execute_command("GET", "a")


@pytest.mark.parametrize("user", sorted(_SENTINEL))
def test_a_service_may_do_its_work_on_a_sentinel(cluster: RenderedCluster, user: str) -> None:
    connection = cluster.connect(cluster.sentinels[0], user)
    for command in _SENTINEL[user]:
        connection.execute_command(*command)
    with pytest.raises(redis.ResponseError, match="permission"):
        connection.execute_command("SENTINEL", "SET", "mymaster", "quorum", "1")
