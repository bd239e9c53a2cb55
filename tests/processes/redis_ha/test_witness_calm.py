"""Events that look like a death to somebody, and must not lead to a failover."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import redis

from redis_ha.discovery import ask_node
from redis_ha.witness.vote import Death, Vote, sign
from tests.processes import cluster_files as files
from tests.processes.cluster import Cluster
from tests.processes.redis_ha.witnessed import (
    CHANNEL,
    SETTINGS,
    epoch,
    kill_server,
    no_failover,
    promotion_seconds,
    settle,
    status,
    witness_pid,
)

REPEATS = int(os.environ.get("REDIS_HA_WITNESS_CALM", "3"))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster.start(tmp_path_factory.mktemp("calm"), SETTINGS) as running:
        yield running


@pytest.fixture
def cluster(shared: Cluster) -> Cluster:
    """Give the module's cluster, healthy and watched, whatever the test before did to it."""
    return settle(shared)


def kill_connections(client: Any, kinds: tuple[str, ...]) -> int:
    return sum(int(client.execute_command("CLIENT", "KILL", "TYPE", kind)) for kind in kinds)


def test_every_connection_killed(cluster: Cluster) -> None:
    with no_failover(cluster) as master, master.client() as client:
        for _ in range(REPEATS):
            cluster.wait_for(lambda: len(client.client_list()) >= 6, 10)
            killed = kill_connections(client, ("pubsub", "replica"))
            killed += int(
                client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            )
            assert killed >= 5
            time.sleep(0.3)


def test_no_connection_left(cluster: Cluster) -> None:
    with no_failover(cluster) as master, master.client() as client:
        limit = client.config_get("maxclients")["maxclients"]
        client.config_set("maxclients", 1)
        try:
            assert kill_connections(client, ("pubsub",)) >= 3
            time.sleep(1.5)
            lost = [str(master.address) in str(status(s)["unreachable"]) for s in cluster.sentinels]
            assert len(lost) == 3
        finally:
            client.config_set("maxclients", limit)


def test_idle_connections_timed_out(cluster: Cluster) -> None:
    with no_failover(cluster) as master, master.client() as client:
        client.config_set("timeout", 1)
        for _ in range(4):
            time.sleep(0.6)
            client.ping()
        client.config_set("timeout", 0)


def test_a_hang_shorter_than_down_after(cluster: Cluster) -> None:
    with no_failover(cluster) as master:
        master.pause()
        try:
            time.sleep(2.5)
        finally:
            master.resume()


def test_a_replica_stopped_and_back(cluster: Cluster) -> None:
    with no_failover(cluster):
        replica = cluster.replicas[0].stop()
        time.sleep(0.5)
        replica.start()
    cluster.wait_until_healthy()


def test_a_replica_that_crashes(cluster: Cluster) -> None:
    with no_failover(cluster):
        replica = cluster.replicas[-1].kill()
        time.sleep(0.5)
        replica.start()
    cluster.wait_until_healthy()


def test_witnesses_that_crash_again_and_again(cluster: Cluster) -> None:
    with no_failover(cluster):
        for _ in range(2):
            pids = [witness_pid(sentinel) for sentinel in cluster.sentinels]
            for pid in pids:
                assert pid is not None
                os.kill(pid, signal.SIGKILL)
            cluster.wait_for(lambda old=pids: new_pids(cluster, old), 10)  # type: ignore[misc]
    assert all(sentinel.running for sentinel in cluster.sentinels)


def new_pids(cluster: Cluster, old: list[int | None]) -> bool:
    new = [witness_pid(sentinel) for sentinel in cluster.sentinels]
    return None not in new and not set(new) & set(old)


def test_garbage_on_the_channel(cluster: Cluster) -> None:
    rejected = sum(status(sentinel)["rejected"] for sentinel in cluster.sentinels)
    with no_failover(cluster):
        publish(cluster, "app", ["", "x", "{}", "a" * 5000, "0" * 64 + " {}", "\x00\xff"])
    cluster.wait_for(
        lambda: sum(status(s)["rejected"] for s in cluster.sentinels) >= rejected + 18, 10
    )


def test_votes_without_or_with_the_secret_for_a_living_master(cluster: Cluster) -> None:
    """Even its holder can't make the others ask: each needs to see the death itself."""
    view = ask_node(cluster.access(), cluster.master.address)
    death = Death(view.address, view.run_id, epoch(cluster))
    now = time.time_ns()
    for secret in ("guess", files.PASSWORDS["witness"]):
        forged = [
            sign(Vote(n, death, dead=True, stamp=now + s, nonce="n", granted=1), secret)
            for s in range(3)
            for n in (1, 2, 3)
        ]
        with no_failover(cluster):
            publish(cluster, "app", forged)


def test_votes_replayed(cluster: Cluster) -> None:
    old = cluster.master
    listener = cluster.replicas[0].client().pubsub()
    listener.subscribe(CHANNEL)
    listener.get_message(timeout=1.0)
    kill_server(old)
    promotion_seconds(cluster, old, within=4.0)
    recorded = []
    with suppress(redis.ConnectionError):
        while message := listener.get_message(ignore_subscribe_messages=True, timeout=0.5):
            recorded.append(message["data"])
    old.wait(10)
    old.start()
    settle(cluster)
    assert len(recorded) >= 3
    with no_failover(cluster):
        for _ in range(REPEATS):
            publish(cluster, "app", recorded)


def publish(cluster: Cluster, user: str, messages: list[str]) -> None:
    for node in cluster.data_nodes:
        with node.client(user) as client:
            for message in messages:
                client.publish(CHANNEL, message)
