"""What witnesses say of themselves, to whom it is of use, and what can't disturb them."""

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import redis

from redis_ha.witness import channels
from redis_ha.witness.hearing import PATIENCE, Hearing, ask_witnesses, hear_witnesses
from redis_ha.witness.report import ANSWER_SECONDS, Report
from tests.patience import at_best
from tests.processes.cluster import Cluster, Process
from tests.processes.redis_ha.operator_command import OperatorCommand
from tests.processes.redis_ha.witnessed import (
    SETTINGS,
    asked,
    kill_server,
    promotion_seconds,
    settle,
    status,
    witness_pid,
)

Figure = Callable[[str], None]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster.start(tmp_path_factory.mktemp("told"), SETTINGS) as running:
        yield running


@pytest.fixture
def cluster(shared: Cluster) -> Cluster:
    """Give the module's cluster, healthy and watched, whatever the test before did to it."""
    return settle(shared)


@pytest.fixture
def operator(cluster: Cluster, tmp_path: Path) -> OperatorCommand:
    return OperatorCommand(tmp_path, cluster)


def hear(cluster: Cluster, user: str = "operator") -> Hearing:
    return hear_witnesses(cluster.access(user), [node.address for node in cluster.data_nodes])


def all_heard(
    cluster: Cluster,
    ask: Callable[[], Hearing] | None = None,
    *,
    until: Callable[[Report], bool] = lambda _: True,
) -> Hearing:
    """Ask until all three have answered what is waited for; return that hearing."""
    found: list[Hearing] = []

    def complete() -> bool:
        found[:] = [ask() if ask else hear(cluster)]
        return [until(report) for report in found[0].reports] == [True] * 3

    cluster.wait_for(complete, 15, lambda: found)
    return found[0]


@pytest.mark.parametrize("user", ["operator", "exporter"])
def test_all_of_them_answer_at_once(cluster: Cluster, figure: Figure, user: str) -> None:
    def seconds() -> float:
        began = time.monotonic()
        all_heard(cluster, lambda: hear(cluster, user))
        return time.monotonic() - began

    took = at_best(seconds, under=PATIENCE)
    figure(f"{user} heard all witnesses after {took:.3f} s")
    heard = all_heard(cluster, lambda: hear(cluster, user))
    assert (heard.listening, heard.problem) == (3, "")
    assert [report.number for report in heard.reports] == [1, 2, 3]
    assert [report.trouble for report in heard.reports] == [""] * 3
    for node in cluster.data_nodes:
        with node.client() as client:
            assert [e for e in client.acl_log() if e["username"] in (user, "witness")] == []


def test_with_nobody_but_the_master_left_they_answer_over_it(cluster: Cluster) -> None:
    access, master = cluster.access("exporter"), cluster.master.address
    heard = all_heard(cluster, lambda: ask_witnesses(access, [master]))
    assert [report.number for report in heard.reports] == [1, 2, 3]


def test_who_may_not_ask_is_told_so(cluster: Cluster) -> None:
    heard = hear(cluster, "node")
    assert heard.reports == ()
    assert "may not ask" in heard.problem


def test_the_commands_show_what_they_say(operator: OperatorCommand) -> None:
    for words in (("health",), ("ready",), ("status",)):
        document = operator.json(*words)["witnesses"]
        assert (document["wanted"], document["listening"], document["of"]) == (True, 3, 3)
        assert [report["state"] for report in document["reports"]] == ["watching"] * 3
    assert "3 of 3 listen, 3 of them say that they watch" in operator.run("ready").stdout


def test_a_frozen_witness_is_missed(cluster: Cluster, operator: OperatorCommand) -> None:
    pid = witness_pid(cluster.sentinels[1])
    with frozen(pid):
        heard = hear(cluster)
        assert [report.number for report in heard.reports] == [1, 3]
        assert heard.listening == 3
        checks = operator.json("ready")["checks"]
    (found,) = [check for check in checks if check["check"] == "witnesses"]
    assert found["state"] == "warning"
    assert "1 of 3 that listen don't say" in found["reason"]


@contextmanager
def frozen(pid: int | None) -> Iterator[None]:
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_crash_shows_in_all_of_them(cluster: Cluster) -> None:
    old = cluster.master
    before = {report.number: report.status.verdicts for report in all_heard(cluster).reports}
    kill_server(old)
    promotion_seconds(cluster, old, within=4.0)

    def has_ended(report: Report) -> bool:
        last, counted = report.status.last, report.status.verdicts
        return counted > before[report.number] and last is not None and last.outcome == "done"

    reports = all_heard(cluster, until=has_ended).reports
    after = {report.number: report.status.verdicts for report in reports}
    assert after == {number: count + 1 for number, count in before.items()}
    assert {r.status.last.master for r in reports if r.status.last} == {str(old.address)}
    times = [r.status.last.asked_after for r in reports if r.status.last and r.status.last.asked]
    assert len(times) == 1
    assert times[0] is not None
    assert 0 < times[0] < 2.0
    old.wait(10)
    old.start()


def test_garbage_is_counted_and_answered_by_nobody(cluster: Cluster) -> None:
    before = rejected(cluster)
    node = cluster.replicas[0]
    with node.client("app") as client, listening(node) as answers:
        for message in ("", "x", "g" * 32, "a" * 5000, "{}", "\x00"):
            assert client.publish(channels.QUESTIONS, message) == 3
        assert answers(0.3) == 0
    cluster.wait_for(lambda: rejected(cluster) >= before + 18, 15)


def rejected(cluster: Cluster) -> int:
    return sum(report.status.rejected for report in all_heard(cluster).reports)


def test_a_flood_gets_few_answers_and_keeps_nobody_from_a_failover(
    cluster: Cluster, figure: Figure
) -> None:
    old, node = cluster.master, cluster.replicas[0]
    with flood(node) as sent, listening(node) as answers:
        count, seconds = answers(2.0), 2.0
        assert 0 < count <= 3 * (seconds / ANSWER_SECONDS + 2)
        kill_server(old)
        promoted = promotion_seconds(cluster, old, within=15.0)
        figure(f"promoted {promoted:.2f} s after a crash under {sent():.0f} questions a second")
    assert promoted < SETTINGS.down_after / 1000 - 1.1
    old.wait(10)
    old.start()


@contextmanager
def listening(node: Process) -> Iterator[Callable[[float], int]]:
    """Count the answers that come over a node in so many seconds."""
    with node.client() as client, client.pubsub() as pubsub:
        pubsub.subscribe(channels.ANSWERS)
        assert pubsub.get_message(timeout=2.0)["type"] == "subscribe"

        def count(seconds: float) -> int:
            found, deadline = 0, time.monotonic() + seconds
            while (left := deadline - time.monotonic()) > 0:
                found += pubsub.get_message(timeout=left) is not None
            return found

        yield count


@contextmanager
def flood(node: Process) -> Iterator[Callable[[], float]]:
    """Ask some thousand times a second, as the application; give the rate."""
    stop, sent, began = threading.Event(), [0], time.monotonic()

    def ask() -> None:
        with suppress(redis.RedisError), node.client("app") as client:
            while not stop.wait(0.05):
                pipeline = client.pipeline(transaction=False)
                for number in range(250):
                    pipeline.publish(channels.QUESTIONS, f"{number:032x}")
                pipeline.execute()
                sent[0] += 250

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    try:
        yield lambda: sent[0] / (time.monotonic() - began)
    finally:
        stop.set()
        thread.join(10)


def test_a_witness_with_a_wrong_password_says_so_and_sentinel_decides(
    cluster: Cluster, operator: OperatorCommand, figure: Figure
) -> None:
    old, before = cluster.master, asked(cluster)
    logged = [sentinel.log.count('"not-let-in"') for sentinel in cluster.sentinels]
    with another_password(cluster):
        for sentinel in cluster.sentinels:
            assert "its password is wrong on" in status(sentinel)["reason"]
            health = sentinel.directory / "run" / "health"
            cluster.wait_for(lambda h=health: "witness is not let in" in h.read_text(), 5)  # type: ignore[misc]
            assert health.read_text().startswith("ok ")
        ready = operator.json("ready")
        reasons = {c["reason"] for c in ready["checks"] if c["check"] == "witnesses"}
        assert ready["ready"]
        assert any("wrong password" in reason for reason in reasons)
        assert any("0 of 3 listen" in reason for reason in reasons)
        assert operator.json("health", code=1)["health"] == "degraded"
        doctor = operator.json("doctor", code=1)["findings"]
        assert any("wrong password" in finding["reason"] for finding in doctor)
        kill_server(old)
        seconds = promotion_seconds(cluster, old, within=15.0)
        figure(f"promoted {seconds:.2f} s after a crash, all witnesses with a wrong password")
        assert seconds > SETTINGS.down_after / 1000 - 1.1
        time.sleep(2.0)
        members = len(cluster.data_nodes) + len(cluster.sentinels)
        for sentinel, count in zip(cluster.sentinels, logged, strict=True):
            # Once for each member that refuses it, not each second; again where the promoted one
            # cut it off amid the login.
            assert sentinel.log.count('"not-let-in"') - count <= 2 * members
    old.wait(10)
    old.start()
    settle(cluster)
    assert asked(cluster) == before


@contextmanager
def another_password(cluster: Cluster) -> Iterator[None]:
    """Give every witness a password that no node knows, until the end of the block."""
    files = [sentinel.directory / "config" / "node.json" for sentinel in cluster.sentinels]
    right = [path.read_text() for path in files]
    for path, text in zip(files, right, strict=True):
        document = json.loads(text)
        document["witness"]["password"] = "another"
        path.write_text(json.dumps(document))
    restart_witnesses(cluster)
    try:
        cluster.wait_for(
            lambda: all(status(s)["state"] == "not let in" for s in cluster.sentinels), 15
        )
        yield
    finally:
        for path, text in zip(files, right, strict=True):
            path.write_text(text)
        restart_witnesses(cluster)


def restart_witnesses(cluster: Cluster) -> None:
    for sentinel in cluster.sentinels:
        pid = witness_pid(sentinel)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)


def test_one_node_with_another_password_is_named(
    cluster: Cluster, operator: OperatorCommand
) -> None:
    node = cluster.replicas[0]
    with node.client() as client:
        client.execute_command("ACL", "SETUSER", "witness", "resetpass", ">another")
        client.execute_command("CLIENT", "KILL", "USER", "witness")
        try:
            cluster.wait_for(lambda: lost_by_all(cluster, node), 15)
            reasons = [c["reason"] for c in operator.json("ready")["checks"]]
            assert any("comes with a wrong password" in reason for reason in reasons)
            assert any(f"{node.address}: WRONGPASS" in reason for reason in reasons)
        finally:
            client.execute_command("ACL", "LOAD")


def lost_by_all(cluster: Cluster, node: Process) -> bool:
    reports = hear(cluster).reports
    said = [any(str(node.address) in text for text in r.status.unreachable) for r in reports]
    return said == [True] * 3
