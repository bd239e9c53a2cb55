"""The shipped rules in the real stack: what is hurt is told within two minutes, and ends with it.

More troubles, on processes: tests/processes/monitoring.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import redis

from tests.docker.stack import LiveCluster, docker, eventually
from tests.watch import Watch

# An alert is to be there, and gone again, two minutes after its cause.
ALERT_SECONDS = 120.0
MAX_CLIENTS = 100
Figure = Callable[[str], None]


def test_what_is_hurt_is_told_and_what_is_well_again_too(
    cluster: LiveCluster, watch: Watch, figure: Figure
) -> None:
    wait_until_calm(cluster, watch)
    master = cluster.master()
    stopped, short = (name for name in cluster.nodes if name != master)
    with ExitStack() as troubles:
        troubles.enter_context(gone(cluster, "kill", "backup-worker"))
        troubles.enter_context(gone(cluster, "stop", stopped))
        troubles.enter_context(memory_nearly_full(cluster, short))
        troubles.enter_context(connections_nearly_all(cluster, short))
        awaited = {
            f"RedisNodeDown {stopped}",
            f"RedisMemoryHigh {short}",
            f"RedisConnectionsHigh {short}",
            "BackupNobodyWorks",
            "held back: BackupWorkerDown",
        }
        came = await_all(watch, awaited)
        troubles.enter_context(gone(cluster, "stop", "sentinel-1", "sentinel-2"))
        few = await_all(watch, {"RedisSentinelsTooFew", "held back: RedisSentinelDown sentinel-1"})
        troubles.enter_context(gone(cluster, "kill", master))
        lost = await_all(watch, {"RedisMasterDown", f"RedisNodeDown {master}"})
    ended = await_none(watch)
    figure(
        f"{len(awaited)} alerts within {came:.0f} s, lost sentinels told after {few:.0f} s,"
        f" a lost master {lost:.0f} s; all gone {ended:.0f} s after"
    )


def wait_until_calm(cluster: LiveCluster, watch: Watch) -> None:
    """Wait until those before have left nothing."""
    cluster.wait_until_healthy()
    eventually(lambda: "Watchdog" in watch.told(), within=60, what="the dead man's switch")
    await_none(watch)


def await_all(watch: Watch, awaited: set[str]) -> float:
    return eventually(
        lambda: awaited <= watch.told(), within=ALERT_SECONDS, what=f"{sorted(awaited)}", every=1
    )


def await_none(watch: Watch) -> float:
    return eventually(
        lambda: not watch.grave(), within=ALERT_SECONDS, what="no alert any more", every=1
    )


@contextmanager
def gone(cluster: LiveCluster, how: str, *names: str) -> Iterator[None]:
    """Stop or kill containers during the block; none of them starts by itself after that."""
    containers = [cluster.container(name) for name in names]
    docker(how, *containers)
    try:
        yield
    finally:
        docker("start", *containers)


@contextmanager
def memory_nearly_full(cluster: LiveCluster, node: str) -> Iterator[None]:
    with cluster.client(node) as client:
        usual = client.config_get("maxmemory")["maxmemory"]
        client.config_set("maxmemory", int(client.info("memory")["used_memory"] * 1.04))
        try:
            yield
        finally:
            client.config_set("maxmemory", usual)


@contextmanager
def connections_nearly_all(cluster: LiveCluster, node: str) -> Iterator[None]:
    with cluster.client(node) as client, ExitStack() as opened:
        usual = client.config_get("maxclients")["maxclients"]
        client.config_set("maxclients", MAX_CLIENTS)
        try:
            while connected(client) < 0.9 * MAX_CLIENTS:
                opened.enter_context(cluster.client(node)).ping()
            yield
        finally:
            client.config_set("maxclients", usual)


def connected(client: redis.Redis) -> int:
    return int(client.info("clients")["connected_clients"])
