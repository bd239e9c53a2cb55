"""What the application is told when its configuration is wrong, and what its commands say."""

import json
import os
import socket
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.patience import at_best
from tests.processes.laravel.application import ClusterApplication, operator_settings
from tests.processes.ports import free_ports

# A PHP process with Laravel takes part of a second to start.
START_SECONDS = 1.5
CONNECT_TIMEOUT = 1.0


def _away(application: ClusterApplication) -> dict[str, str]:
    ports = free_ports(3)
    return {f"REDIS_SENTINEL_PORT_{n}": str(port) for n, port in enumerate(ports, start=1)}


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({f"REDIS_SENTINEL_HOST_{n}": "" for n in (1, 2, 3)}, "REDIS_SENTINEL_HOST_1"),
        ({"REDIS_SENTINEL_MASTER": "theirmaster"}, "REDIS_SENTINEL_MASTER"),
        ({"REDIS_PASSWORD": "wrong"}, "REDIS_PASSWORD"),
        ({"REDIS_USERNAME": "nobody"}, "REDIS_USERNAME"),
        ({"REDIS_TLS_CA": "/nowhere/ca.crt"}, "REDIS_TLS_CA"),
        (None, "REDIS_SENTINEL_HOST_"),
    ],
    ids=["no sentinel", "master name", "password", "user", "no CA file", "all sentinels down"],
)
def test_one_error_names_the_setting_at_fault(
    application: ClusterApplication, wrong: dict[str, str] | None, named: str
) -> None:
    began = time.monotonic()
    code, text = application.artisan("redis:ha", "status", **(wrong or _away(application)))
    assert code != 0, text
    actor = application.act("metrics", 0.1, **(wrong or _away(application)))
    actor.wait(20)
    assert time.monotonic() - began < 2 * (START_SECONDS + CONNECT_TIMEOUT)
    assert {named in failure for failure in actor.failures} == {True}, actor.failures


def test_sentinels_that_never_answer_are_said_within_the_connect_timeout(
    application: ClusterApplication,
) -> None:
    with ExitStack() as held:
        silent = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(3)]
        ports = {
            f"REDIS_SENTINEL_PORT_{number}": str(listener.getsockname()[1])
            for number, listener in enumerate(silent, start=1)
        }

        def seconds() -> float:
            actor = application.act("metrics", 0.1, **ports)
            actor.wait(20)
            assert "REDIS_SENTINEL_HOST_" in actor.failures[0]
            return float(actor.lines[0]["seconds"])

        at_best(seconds, under=CONNECT_TIMEOUT + 0.3)


def test_another_ca_is_said(application: ClusterApplication, tmp_path: Path) -> None:
    other = tmp_path / "other.crt"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=other"
    key = str(tmp_path / "other.key")
    subprocess.run([*command.split(), "-keyout", key, "-out", str(other)], check=True)
    actor = application.act("metrics", 0.1, REDIS_TLS_CA=str(other))
    actor.wait(20)
    assert "REDIS_TLS_CA" in actor.failures[0]


def test_the_command_says_how_the_cluster_is(application: ClusterApplication) -> None:
    code, text = application.artisan("redis:ha", "status", "--json")
    found = json.loads(text)
    assert (code, found["level"]) == (0, "healthy"), text
    assert found["master"] == str(application.cluster.master.address)
    application.cluster.replicas[0].kill()
    code, text = application.artisan("redis:ha", "health")
    assert code == 1
    assert text.startswith("degraded")
    code, text = application.artisan(
        "redis:ha", "monitor", "--interval=0.2", "--duration=1", "--json"
    )
    assert code == 1
    assert {json.loads(line)["level"] for line in text.splitlines()} == {"degraded"}
    code, text = application.artisan("redis:ha", "stats", "--json")
    assert json.loads(text)["nodes"][found["master"]]["role"] == "master"
    assert application.artisan("redis:ha", "nonsense")[0] == 2


def test_with_json_standard_output_is_json_whatever_happens(
    application: ClusterApplication, tmp_path: Path
) -> None:
    def errors(*arguments: str, **more: str) -> tuple[int, str]:
        done = application.artisan_done("redis:ha", *arguments, "--json", **more)
        (line,) = done.stdout.splitlines()
        return done.returncode, str(json.loads(line)["error"])

    for action in ("status", "health", "stats", "monitor"):
        code, text = errors(action, REDIS_TLS_CA="/nowhere/<info>ca</info>.crt")
        assert (code, "/<info>ca</info>.crt" in text) == (1, True), (action, text)
    assert errors("nonsense")[0] == 2
    assert errors("monitor", "--interval=0")[0] == 2
    assert errors("health", REDIS_SENTINEL_ENABLED="false")[0] == 1
    assert errors("failover") == (2, "failover --json does not ask: say --yes, too")
    code, text = errors("failover", "--yes", REDIS_HA_COMMAND="nowhere-ha")
    assert (code, "REDIS_HA_COMMAND" in text) == (1, True)
    operator = operator_settings() | {"REDIS_OPERATOR_PASSWORD": "wrong"}
    code, text = errors("failover", "--yes", **operator)
    assert code != 0
    assert text.startswith("redis-ha: ")
    command = tmp_path / "chatty"
    command.write_text("#!/bin/sh\necho on the way >&2\necho '{\"lossless\": true}'\n")
    command.chmod(0o755)
    done = application.artisan_done(
        "redis:ha", "failover", "--yes", "--json", REDIS_HA_COMMAND=str(command)
    )
    assert (done.returncode, json.loads(done.stdout)) == (0, {"lossless": True})
    assert done.stderr == "on the way\n"


def test_the_figures_of_a_dead_node_are_its_problem(application: ClusterApplication) -> None:
    dead, alive = application.cluster.replicas
    dead.kill()
    done = application.artisan_done("redis:ha", "stats", "--json")
    nodes = json.loads(done.stdout)["nodes"]
    assert done.returncode == 0
    assert list(nodes[str(dead.address)]) == ["problem"]
    assert nodes[str(dead.address)]["problem"]
    assert nodes[str(alive.address)]["role"] == "slave"


def test_failover_without_its_command_says_how_to_get_it(application: ClusterApplication) -> None:
    code, text = application.artisan("redis:ha", "failover", "--yes", REDIS_HA_COMMAND="nowhere-ha")
    assert code == 1
    assert "REDIS_HA_COMMAND" in text


def test_a_failover_needs_no_environment_once_the_configuration_is_cached(
    application: ClusterApplication, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = application.cluster.master
    code, text = application.artisan("config:cache", **operator_settings())
    assert code == 0, text
    # As in production: Laravel doesn't read .env any more, nor does anybody else.
    application.connection = {}
    for name in [name for name in os.environ if name.startswith("REDIS_")]:
        monkeypatch.delenv(name)
    code, text = application.artisan("redis:ha", "failover", "--yes", "--json")
    assert code == 0, text
    assert application.cluster.settled_master() != old


def test_reads_go_to_replicas_and_writes_do_not(application: ClusterApplication) -> None:
    reader = application.act("read", 2.0)
    reader.wait(20)
    assert not reader.failures
    with application.cluster.master.client() as client:
        at_master = client.info("commandstats").get("cmdstat_get", {"calls": 0})["calls"]
    assert len(reader.acknowledged) > 50
    assert at_master < len(reader.acknowledged) / 10
    transaction = application.act("transact", 0.1)
    transaction.wait(20)
    assert transaction.lines[0]["value"] == [True, 1]
    assert transaction.lines[0]["piped"] == [True, "1"]


def test_a_subscription_moves_to_the_next_master(application: ClusterApplication) -> None:
    listener = application.act("hear", 30)
    old = application.cluster.master
    application.cluster.wait_for(lambda: _said(application, listener, "one"))
    old.kill()
    application.cluster.wait_for_master(other_than=old)
    application.cluster.wait_for(lambda: _said(application, listener, "two"))


def _subscriber(application: ClusterApplication) -> dict[str, str]:
    with application.cluster.master.client() as client:
        rows = client.client_list(_type="pubsub")
    found: dict[str, str] = next((row for row in rows if row["user"] == "app"), {})
    return found


def test_a_subscription_outlasts_silence_in_a_healthy_cluster(
    application: ClusterApplication,
) -> None:
    application.act("hear", 30)
    application.wait_for(lambda: bool(_subscriber(application)))
    before = _subscriber(application)
    # Any that was made anew after 7 s, or after its own setting, has another id by then.
    time.sleep(9)
    assert _subscriber(application)["id"] == before["id"]
    port = f":{int(before['addr'].rsplit(':', 1)[1]):04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
    (timer,) = (row[5] for row in rows if row[1].endswith(port))
    assert timer.startswith("02:"), "TCP keepalive"


def test_a_subscription_is_made_anew_after_the_silence_that_is_set(
    application: ClusterApplication,
) -> None:
    application.act("hear", 30, REDIS_SUBSCRIPTION_SILENCE="3")
    application.wait_for(lambda: bool(_subscriber(application)))
    before = _subscriber(application)["id"]
    application.wait_for(lambda: _subscriber(application).get("id", before) != before, 6.0)


def _said(application: ClusterApplication, listener: object, message: str) -> bool:
    with application.cluster.settled_master().client() as client:
        client.publish("test:news", message)
    return message in [line["value"] for line in listener.lines]  # type: ignore[attr-defined]
