"""A replica whose master died follows the promoted sibling, with no sentinel to tell it to."""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from tests.processes.cluster import Cluster, Process


@contextmanager
def speechless_sentinels(cluster: Cluster) -> Iterator[None]:
    """Have no sentinel say or do anything for the block."""
    with ExitStack() as stack:
        for sentinel in cluster.sentinels:
            sentinel.pause()
            stack.callback(sentinel.resume)
        yield


def follows(node: Process, master: Process) -> bool:
    with node.client() as client:
        info = client.info("replication")
    up = info.get("master_link_status") == "up"
    return up and info["master_port"] == master.address.port


def said(node: Process) -> list[str]:
    lines = [json.loads(line) for line in node.log.splitlines() if line.startswith("{")]
    return [line["master"] for line in lines if line["event"] == "following-heir"]


def promote(node: Process) -> None:
    with node.client() as client:
        client.replicaof("NO", "ONE")


def test_the_promoted_sibling_is_followed_and_takes_writes(guarded: Cluster) -> None:
    old, (heir, other) = guarded.master, guarded.replicas
    with speechless_sentinels(guarded):
        # With its guard: that would wait for the sentinels and then start as a replica.
        old.kill()
        guarded.wait_for(lambda: not follows(other, old))
        promote(heir)
        guarded.wait_for(lambda: follows(other, heir))
        assert said(other) == [str(heir.address)]
        with heir.client("app") as client:
            assert client.set("probe", "after")
            assert client.wait(1, 5000) >= 1


def test_a_master_of_another_history_is_not_followed(guarded: Cluster) -> None:
    """As an old one that is back would be; the own master only hangs."""
    old, (stranger, orphan) = guarded.master, guarded.replicas
    with speechless_sentinels(guarded):
        promote(stranger)
        with stranger.client() as client:
            client.execute_command("DEBUG", "CHANGE-REPL-ID")
        old.pause()
        try:
            with orphan.client() as client:
                client.client_kill_filter(_type="master")
            # Some ten looks for an heir.
            time.sleep(2.0)
            assert not follows(orphan, old)
        finally:
            old.resume()
        guarded.wait_for(lambda: follows(orphan, old))
        assert said(orphan) == []
        with stranger.client() as client:
            client.replicaof(old.address.host, str(old.address.port))
    guarded.wait_until_healthy()
    assert guarded.master is old
