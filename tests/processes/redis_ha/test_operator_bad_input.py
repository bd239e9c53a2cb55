"""What `redis-ha` says when it is used wrongly or meets a stranger: one clear sentence each."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.processes import cluster_files as files
from tests.processes.cluster import Cluster
from tests.processes.ports import free_ports
from tests.processes.redis_ha.operator_command import Finished, OperatorCommand
from tests.processes.redis_ha.strangers import paper, stranger


def sentence(done: Finished) -> str:
    """Return what was said, which must be one line and no traceback."""
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert "unexpected" not in lines[0]
    return lines[0]


def all_sentinels(port: int) -> dict[str, str]:
    return {f"REDIS_SENTINEL_PORT_{number}": str(port) for number in (1, 2, 3)}


@pytest.mark.parametrize("words", [("status",), ("ready",), ("failover", "--yes")])
def test_a_wrong_password(operator: OperatorCommand, words: tuple[str, ...]) -> None:
    done = operator.run(*words, settings={"REDIS_OPERATOR_PASSWORD": "wrong"})
    assert done.returncode == 6
    assert "the user or the password is wrong" in sentence(done)


def test_nobody_there(operator: OperatorCommand) -> None:
    done = operator.run("status", settings=all_sentinels(free_ports(1)[0]))
    assert done.returncode == 6
    assert "no sentinel answers: nobody listens there" in sentence(done)


def test_an_expired_certificate(operator: OperatorCommand, tmp_path: Path) -> None:
    ca, server = paper(tmp_path / "old", valid_for=timedelta(days=-1))
    with stranger(b"+OK\r\n", tls=server) as port:
        done = operator.run("status", settings={**all_sentinels(port), "REDIS_TLS_CA": str(ca)})
    assert done.returncode == 6
    assert "its certificate has expired" in sentence(done)


def test_a_foreign_certificate(operator: OperatorCommand, tmp_path: Path) -> None:
    ca, _ = paper(tmp_path / "other", valid_for=timedelta(days=9))
    done = operator.run("status", settings={"REDIS_TLS_CA": str(ca)})
    assert done.returncode == 6
    assert "not signed by the CA" in sentence(done)


NONSENSE = {
    "HTTP": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "a text where a list belongs": b"+OK\r\n",
    "a list of something": b"*2\r\n$3\r\nfoo\r\n$3\r\nbar\r\n",
    "a number": b":7\r\n",
    "lists in lists": b"*1\r\n" * 20_000,
    "no text": b"\xff\xfe\x00\x01" * 8 + b"\r\n",
    "nothing that ends": b"$100\r\nx",
}


@pytest.mark.parametrize("says", NONSENSE.values(), ids=NONSENSE.keys())
def test_a_sentinel_that_answers_rubbish(
    operator: OperatorCommand, tmp_path: Path, says: bytes
) -> None:
    ca, server = paper(tmp_path / "own", valid_for=timedelta(days=9))
    with stranger(says, tls=server) as port:
        settings = {**all_sentinels(port), "REDIS_TLS_CA": str(ca)}
        done = operator.run("status", settings=settings)
    assert done.returncode == 6
    assert "no sentinel answers" in sentence(done)


def test_one_stranger_among_the_sentinels_is_named(operator: OperatorCommand) -> None:
    with stranger(NONSENSE["HTTP"]) as port:
        settings = {"REDIS_SENTINEL_PORT_2": str(port)}
        status = operator.run("status", settings=settings)
        ready = operator.run("ready", settings=settings)
    assert status.returncode == 1
    line = next(line for line in status.stdout.splitlines() if "sentinel-2" in line)
    assert "it does not speak TLS" in line
    assert "sentinel-2" in ready.stdout


def test_a_data_node_in_a_sentinel_s_place(cluster: Cluster, operator: OperatorCommand) -> None:
    settings = {"REDIS_SENTINEL_PORT_1": str(cluster.data_nodes[0].address.port)}
    status = operator.run("status", settings=settings)
    assert status.returncode == 1
    assert "unknown command" in status.stdout


def test_a_lost_quorum(cluster: Cluster, operator: OperatorCommand) -> None:
    for sentinel in cluster.sentinels[1:]:
        sentinel.kill()
    ready = operator.run("ready")
    assert ready.returncode == 1
    assert "1 of 3 sentinels answer, 2 are needed to elect a leader" in ready.stdout
    health = operator.run("health")
    assert health.returncode in (1, 2)
    assert "no majority names a master" in health.stdout


def test_silent_sentinels_hide_no_node_that_the_settings_name(
    cluster: Cluster, operator: OperatorCommand
) -> None:
    nodes = {
        f"REDIS_NODE_{what}_{number}": str(value)
        for number, node in enumerate(cluster.data_nodes, 1)
        for what, value in (
            ("NAME", f"redis-{number}"), ("HOST", node.address.host), ("PORT", node.address.port)
        )
    }  # fmt: skip
    knowing = replace(operator, settings=nodes)
    for sentinel in cluster.sentinels:
        sentinel.kill()
    health = knowing.json("health", code=2)
    assert health["health"] == "down"
    silent = [level for level in health["levels"] if level["subject"].startswith("sentinel-")]
    assert [level["reason"] for level in silent] == ["no answer: nobody listens there"] * 3
    status = knowing.json("status", code=6)
    assert sorted(node["role"] for node in status["nodes"]) == ["master", "replica", "replica"]
    gone = {
        f["subject"] for f in knowing.json("doctor", code=1)["findings"] if f["check"] == "ports"
    }
    assert gone == {"sentinel-1", "sentinel-2", "sentinel-3"}
    for words in (("ready",), ("failover", "--yes"), ("plan",)):
        done = knowing.run(*words)
        assert done.returncode == 6
        assert "no sentinel answers" in sentence(done)
    assert knowing.run("stats").returncode == 1
    assert operator.run("env").returncode == 0
    assert "no sentinel answers" in sentence(operator.run("health"))


def test_an_operator_without_rights_is_told_so(operator: OperatorCommand) -> None:
    app = {"REDIS_OPERATOR_USERNAME": "app", "REDIS_OPERATOR_PASSWORD": files.PASSWORDS["app"]}
    ready = operator.run("ready", settings=app)
    assert ready.returncode == 6
    assert "the user may not ask it" in sentence(ready)


def test_a_ca_without_a_certificate(operator: OperatorCommand) -> None:
    ca = operator.directory / "ca.crt"
    ca.write_text("a text\n")
    done = operator.run("status", settings={"REDIS_TLS_CA": str(ca)})
    assert done.returncode == 2
    assert f"REDIS_TLS_CA: {ca} holds no certificate" in sentence(done)


def test_nothing_that_says_where_the_cluster_is(operator: OperatorCommand) -> None:
    without = {name: "" for name in operator.environment if name.startswith("REDIS_")}
    done = operator.run("status", settings=without)
    assert done.returncode == 2
    assert "--stack NAME" in sentence(done)
    no_password = operator.run("status", settings={"REDIS_OPERATOR_PASSWORD": ""})
    assert no_password.returncode == 2
    assert "sets REDIS_OPERATOR_PASSWORD; " in sentence(no_password)
    no_ca = operator.run("status", settings={"REDIS_TLS_CA": "/nowhere/ca.crt"})
    assert no_ca.returncode == 2
    assert "/nowhere/ca.crt" in sentence(no_ca)
    bad_port = operator.run("status", settings={"REDIS_SENTINEL_PORT_1": "many"})
    assert bad_port.returncode == 2
    assert "REDIS_SENTINEL_PORT_1" in sentence(bad_port)


def test_pulumi_is_missing(operator: OperatorCommand) -> None:
    nowhere = {"PATH": "/nowhere"}
    done = operator.run("status", "--stack", "dev", settings=nowhere)
    assert done.returncode == 3
    assert "there is no pulumi command" in sentence(done)
    scale = operator.run("scale", "--replicas", "3", "--yes", settings=nowhere)
    assert scale.returncode == 3
    assert "there is no pulumi command" in sentence(scale)
    shown = operator.run("scale", "--sentinels", "5", settings=nowhere)
    assert shown.returncode == 0
    assert "quorum 3" in shown.stdout
