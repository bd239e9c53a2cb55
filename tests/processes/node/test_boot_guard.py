"""Data nodes under their supervisor: who is master after a crash, a lost disk, a cold start."""

import json
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from typing import Self

import pytest
import redis

from tests.processes.cluster import Cluster, Process, Settings
from tests.processes.ledger import Ledger


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    settings = Settings(guarded=True)
    with Cluster.start(tmp_path_factory.mktemp("guarded"), settings) as running:
        yield running


@pytest.fixture
def guarded(shared: Cluster) -> Cluster:
    """Give the module's cluster, healthy again whatever the test before did to it."""
    shared.start_all()
    return shared


def events(process: Process) -> list[dict[str, str]]:
    lines = process.log.splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


def last(process: Process, event: str) -> dict[str, str]:
    return [entry for entry in events(process) if entry["event"] == event][-1]


def fill(cluster: Cluster, count: int = 1000) -> str:
    with cluster.master.client("app") as client:
        for number in range(count):
            client.set(f"key:{number}", number)
    cluster.wait_until_healthy()
    return cluster.digest()


class Watch:
    """Tries to write to one node all the time; counts what it accepts."""

    def __init__(self, node: Process) -> None:
        self.accepted = 0
        self._node = node
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._try, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join(10)

    def _try(self) -> None:
        while not self._end.is_set():
            try:
                with self._node.client("app", timeout=0.5) as client:
                    client.set("beside", "the successor")
                self.accepted += 1
            except (redis.RedisError, OSError):
                time.sleep(0.01)


def ask_period(sentinel: Process) -> str:
    with sentinel.client() as client:
        flat: list[str] = client.execute_command("SENTINEL", "DEBUG")
    return dict(zip(flat[::2], flat[1::2], strict=True))["ASK-PERIOD"]


def test_a_sentinel_asks_the_others_often_after_each_of_its_starts(guarded: Cluster) -> None:
    sentinel = guarded.sentinels[0]
    guarded.wait_for(lambda: ask_period(sentinel) == "200", 10)
    sentinel.stop()
    guarded.start_all()
    guarded.wait_for(lambda: ask_period(sentinel) == "200", 10)


def test_a_stopped_master_hands_over_and_loses_nothing(guarded: Cluster) -> None:
    old = guarded.master
    with Ledger.running(guarded) as ledger:
        ledger.wait_for_writes(500)
        began = time.monotonic()
        old.stop()
        assert time.monotonic() - began < 10
        ledger.wait_for_writes(500)
    assert old.process is not None
    assert old.process.returncode == 0
    assert last(old, "handed-over")["to"]
    # Until another one followed the new master, which accepts no writes without a replica.
    assert last(old, "stopping-server")["role"] == "slave"
    assert ledger.lost(guarded) == []
    with Watch(old) as watch:
        old.start()
        guarded.wait_until_healthy()
    assert watch.accepted == 0
    assert last(old, "starting")["role"] == "start as replica"
    assert len(set(guarded.digests())) == 1


def test_a_crashed_master_is_never_writable_beside_its_successor(guarded: Cluster) -> None:
    fill(guarded)
    old = guarded.master
    old.kill()
    assert old.process is not None
    assert old.process.returncode == 1
    with Watch(old) as watch:
        # At once, as a restart policy does: within down-after the sentinels still name it.
        old.start()
        new = guarded.wait_for_master(other_than=old)
        guarded.wait_until_healthy()
    assert watch.accepted == 0
    assert guarded.master is new
    assert last(old, "starting")["role"] == "start as replica"
    assert len(set(guarded.digests())) == 1


def test_a_master_with_an_empty_disk_takes_no_data_with_it(guarded: Cluster) -> None:
    before = fill(guarded)
    old = guarded.master
    old.kill().erase_disk().start()
    guarded.wait_for_master(other_than=old)
    guarded.wait_until_healthy()
    assert guarded.digests() == [before] * 3


@pytest.mark.parametrize("end", [Process.stop, Process.kill], ids=["stopped", "crashed"])
def test_the_whole_cluster_comes_back_with_its_data(
    guarded: Cluster, end: Callable[[Process], Process]
) -> None:
    before = fill(guarded)
    for node in (*guarded.replicas, guarded.master, *guarded.sentinels):
        end(node)
    guarded.start_all()
    assert guarded.digests() == [before] * 3


def test_without_sentinels_a_node_waits_and_says_why(guarded: Cluster) -> None:
    for sentinel in guarded.sentinels:
        sentinel.stop()
    node = guarded.data_nodes[2]
    node.stop().start()
    health = node.directory / "run" / "health"
    guarded.wait_for(lambda: "no majority" in health.read_text(), 10, health.read_text)
    assert node.server_pid is None
    node.stop(timeout=20)
    assert node.process is not None
    assert node.process.returncode == 0


def test_a_master_without_a_replica_just_stops_and_comes_back(guarded: Cluster) -> None:
    before = fill(guarded)
    master = guarded.master
    for replica in guarded.replicas:
        replica.stop()
    began = time.monotonic()
    master.stop()
    assert time.monotonic() - began < 12
    assert last(master, "no-handover")["reason"]
    master.start()
    guarded.wait_for(lambda: any(view.role == "master" for view in guarded.views()), 20)
    assert last(master, "starting")["role"] == "start as master"
    guarded.start_all()
    assert guarded.digests() == [before] * 3


def test_a_second_signal_stops_at_once(guarded: Cluster) -> None:
    master = guarded.master
    for replica in guarded.replicas:
        replica.pause()
    try:
        master.signal(signal.SIGTERM)
        time.sleep(1)
        began = time.monotonic()
        master.signal(signal.SIGTERM).wait(10)
        assert time.monotonic() - began < 5
    except subprocess.TimeoutExpired:
        pytest.fail(master.log[-2000:])
    finally:
        for replica in guarded.replicas:
            replica.resume()
    assert last(master, "handover-broken-off")


def test_a_replica_with_an_empty_disk_is_filled_again(guarded: Cluster) -> None:
    before = fill(guarded)
    replica = guarded.replicas[0]
    replica.kill()
    shutil.rmtree(replica.data)
    replica.data.mkdir()
    replica.start()
    guarded.wait_until_healthy()
    assert guarded.digests() == [before] * 3
