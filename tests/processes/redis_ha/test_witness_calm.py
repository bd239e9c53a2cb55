"""Events that look like a death to somebody, and must not lead to a failover."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis

from redis_ha.discovery import ask_node
from redis_ha.witness.channels import QUESTIONS, VOTES
from redis_ha.witness.vote import Death, Vote, sign
from tests.processes import cluster_files as files
from tests.processes.cluster import Cluster
from tests.processes.cluster_process import Process
from tests.processes.redis_ha.witnessed import (
    SETTINGS,
    epoch,
    kill_server,
    no_failover,
    promotion_seconds,
    settle,
    status,
    witness_pid,
)

REPEATS = int(os.environ.get("REDIS_HA_WITNESS_CALM", "2"))
pytestmark = pytest.mark.timeout(120 + 60 * REPEATS)
Figure = Callable[[str], None]
Event = Callable[[Process], None]
Endure = Callable[..., None]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster.start(tmp_path_factory.mktemp("calm"), SETTINGS) as running:
        yield running


@pytest.fixture
def cluster(shared: Cluster) -> Cluster:
    """Give the module's cluster, healthy and watched, whatever the test before did to it."""
    return settle(shared)


@pytest.fixture
def endure(cluster: Cluster, figure: Figure) -> Endure:
    """Let an event come REPEATS times, each time over a calm cluster, and nothing come of it."""

    def times(event: Event, count: int = REPEATS) -> None:
        for _ in range(count):
            with no_failover(settle(cluster)) as master:
                event(master)
        figure(f"{count} events, no failover")

    return times


def kill_connections(client: Any, kinds: tuple[str, ...]) -> int:
    return sum(int(client.execute_command("CLIENT", "KILL", "TYPE", kind)) for kind in kinds)


def test_every_connection_killed(cluster: Cluster, endure: Endure) -> None:
    def event(master: Process) -> None:
        with master.client() as client:
            cluster.wait_for(lambda: len(client.client_list()) >= 6, 10)
            killed = kill_connections(client, ("pubsub", "replica"))
            killed += int(
                client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            )
            assert killed >= 5

    endure(event)


def test_no_connection_left(cluster: Cluster, endure: Endure) -> None:
    def event(master: Process) -> None:
        with master.client() as client:
            limit = client.config_get("maxclients")["maxclients"]
            client.config_set("maxclients", 1)
            try:
                assert kill_connections(client, ("pubsub",)) >= 3
                cluster.wait_for(lambda: all(lost(s, master) for s in cluster.sentinels), 8)
            finally:
                client.config_set("maxclients", limit)

    endure(event)


def lost(sentinel: Process, master: Process) -> bool:
    return str(master.address) in str(status(sentinel)["unreachable"])


def test_a_timeout_for_idle_connections_closes_none_of_ours(endure: Endure) -> None:
    """The server exempts subscribers, which the witnesses are."""

    def ours(client: redis.Redis) -> set[str]:
        return {row["id"] for row in client.client_list() if row["user"] == "witness"}

    def event(master: Process) -> None:
        with master.client() as client, master.client() as idle:
            stranger = str(idle.client_id())
            before = ours(client)
            client.config_set("timeout", 1)
            for _ in range(4):
                time.sleep(0.6)
                client.ping()
            client.config_set("timeout", 0)
            assert stranger not in {row["id"] for row in client.client_list()}
            assert len(before) >= 3
            assert ours(client) == before

    endure(event)


def test_a_hang_shorter_than_down_after(endure: Endure) -> None:
    def event(master: Process) -> None:
        master.pause()
        try:
            time.sleep(2.5)
        finally:
            master.resume()

    endure(event)


def test_a_restart_quicker_than_the_reconnect(cluster: Cluster, figure: Figure) -> None:
    for _ in range(REPEATS):
        until_no_more_is_watched = ExitStack()
        try:
            with no_failover(settle(cluster)) as master:
                until_no_more_is_watched.enter_context(reborn(cluster, master))
        finally:
            until_no_more_is_watched.close()
        cluster.wait_for_master(master)
    figure(f"{REPEATS} events, no failover")


@contextmanager
def reborn(cluster: Cluster, master: Process) -> Iterator[None]:
    """Have another process in the server's place, with its data; it dies at the end of the block.

    The witnesses stand still meanwhile, so that they find it at their first try.
    """
    config = master.data / "bare.conf"
    config.write_text((master.directory / "config" / "redis.conf").read_text())
    master.signal(signal.SIGSTOP)
    with ExitStack() as stack:
        with all_frozen(cluster):
            pid = master.server_pid
            assert pid is not None
            kill_server(master)
            # Its supervisor doesn't collect it: it stays, and its port is free once it is this.
            cluster.wait_for(lambda: not has_files(pid), 4)
            command = ["redis-server", str(config)]
            bare = stack.enter_context(subprocess.Popen(command, stdout=subprocess.DEVNULL))
            stack.callback(lambda: master.signal(signal.SIGCONT).wait(10))
            stack.callback(bare.kill)
            cluster.wait_for(lambda: serves(master), 4)
        yield


def has_files(pid: int) -> bool:
    """Whether its files are open: the kernel closes them when the last of its threads has ended.

    The first one may be a zombie before the others have gone.
    """
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        threads = len(list(Path(f"/proc/{pid}/task").iterdir()))
    except (OSError, IndexError):
        return False
    return state not in "ZX" or threads > 1


def serves(master: Process) -> bool:
    with suppress(redis.RedisError), master.client() as client:
        return bool(client.ping())
    return False


@contextmanager
def all_frozen(cluster: Cluster) -> Iterator[None]:
    pids = [pid for sentinel in cluster.sentinels if (pid := witness_pid(sentinel))]
    assert len(pids) == len(cluster.sentinels)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def test_a_replica_stopped_and_back(cluster: Cluster, endure: Endure) -> None:
    def event(_master: Process) -> None:
        replica = cluster.replicas[0].stop()
        time.sleep(0.5)
        replica.start()

    endure(event)
    cluster.wait_until_healthy()


def test_a_replica_that_crashes(cluster: Cluster, endure: Endure) -> None:
    def event(_master: Process) -> None:
        replica = cluster.replicas[-1].kill()
        time.sleep(0.5)
        replica.start()

    endure(event)
    cluster.wait_until_healthy()


def test_witnesses_that_crash_again_and_again(cluster: Cluster, endure: Endure) -> None:
    def event(_master: Process) -> None:
        pids = [witness_pid(sentinel) for sentinel in cluster.sentinels]
        for pid in pids:
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
        cluster.wait_for(lambda: new_pids(cluster, pids), 70)

    # The pause before the next start doubles each time.
    endure(event, min(REPEATS, 5))
    assert all(sentinel.running for sentinel in cluster.sentinels)


def new_pids(cluster: Cluster, old: list[int | None]) -> bool:
    new = [witness_pid(sentinel) for sentinel in cluster.sentinels]
    return None not in new and not set(new) & set(old)


def test_garbage_on_the_channels(cluster: Cluster, endure: Endure) -> None:
    rejected = sum(status(sentinel)["rejected"] for sentinel in cluster.sentinels)
    garbage = ["", "x", "{}", "a" * 5000, "0" * 64 + " {}", "\x00\xff"]
    endure(lambda _: publish(cluster, "app", garbage, channels=(VOTES, QUESTIONS)))
    cluster.wait_for(
        lambda: sum(status(s)["rejected"] for s in cluster.sentinels) >= rejected + 36 * REPEATS,
        10,
    )


def test_votes_without_or_with_the_secret_for_a_living_master(
    cluster: Cluster, endure: Endure
) -> None:
    """Even its holder can't make the others ask: each needs to see the death itself."""

    def event(master: Process, secret: str) -> None:
        view = ask_node(cluster.access(), master.address)
        death = Death(view.address, view.run_id, epoch(cluster))
        now = time.time_ns()
        forged = [
            sign(Vote(n, death, dead=True, stamp=now + s, nonce="n", granted=1), secret)
            for s in range(3)
            for n in (1, 2, 3)
        ]
        publish(cluster, "app", forged)

    for secret in ("guess", files.PASSWORDS["witness"]):
        endure(partial(event, secret=secret))


def test_votes_replayed(cluster: Cluster, endure: Endure) -> None:
    recorded = record_votes_of_a_death(cluster)
    endure(lambda _: publish(cluster, "app", recorded))


def record_votes_of_a_death(cluster: Cluster) -> list[str]:
    old = cluster.master
    listener = cluster.replicas[0].client().pubsub()
    listener.subscribe(VOTES)
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
    return recorded


def publish(
    cluster: Cluster, user: str, messages: list[str], *, channels: tuple[str, ...] = (VOTES,)
) -> None:
    for node in cluster.data_nodes:
        with node.client(user) as client:
            for channel in channels:
                for message in messages:
                    client.publish(channel, message)
