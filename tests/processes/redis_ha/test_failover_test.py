"""The failover test itself on real servers: what it finds, and that it leaves them as they were."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from redis_ha.discovery import ask_sentinels
from redis_ha.errors import HarmRefused
from redis_ha.failover_test import steadiness
from redis_ha.failover_test.clients import OURS, STOCK
from redis_ha.failover_test.journal import opened
from redis_ha.failover_test.measures import promotions
from redis_ha.failover_test.records import Fault
from redis_ha.failover_test.run import Options, Run
from redis_ha.failover_test.summary import Judged, judged, overlap_seconds
from tests.processes.cluster import Cluster, Settings
from tests.processes.redis_ha.process_hands import ProcessHands, site_of
from tests.processes.redis_ha.witnessed import FENCED, settle

OPTIONS = Options(kinds=(OURS, STOCK), writers=2, pace=0.005, seconds=1.0)


def nobody(_text: str) -> None:
    """Say nothing."""


def run(
    cluster: Cluster,
    fault: Fault,
    *,
    say: Callable[[str], None] = nobody,
    options: Options = OPTIONS,
) -> Judged:
    site = site_of(cluster)
    settings = steadiness.live_settings(site)
    with opened(cluster.directory / "journal.json") as journal:
        record = Run(site, fault, ProcessHands(cluster), journal, OPTIONS, settings, say).record()
        assert not journal.debts
    return judged(record, settings)


def troubles(result: Judged) -> list[str]:
    """Everything that failed but the times: those belong to a machine with nothing else to do."""
    failures = result.verdict.failures
    return [f"{c.name}: {c.reason}" for c in failures if not c.name.startswith("outage")]


def keys_left(cluster: Cluster) -> list[str]:
    with cluster.settled_master().client() as client:
        return list(client.keys("failover-test:*"))


@pytest.fixture
def fenced(tmp_path: Path) -> Iterator[Cluster]:
    """A guarded cluster as the stack makes it: no writes without a replica."""
    lines = ("min-replicas-to-write 1", "min-replicas-max-lag 1")
    with Cluster.start(tmp_path, Settings(guarded=True, redis_lines=lines)) as running:
        yield running


def test_a_crash_is_survived_and_healed(fenced: Cluster, figure: Callable[[str], None]) -> None:
    victim = fenced.master
    result = run(fenced, "crash")
    assert troubles(result) == []
    assert result.run.victim == victim.name
    assert [name for _, name in promotions(result.run)] == [fenced.master.name]
    assert victim.running
    assert keys_left(fenced) == []
    gaps = [c for c in result.verdict.checks if c.name.startswith("outage")]
    # Down-after (2 s) counts from the last reply to a PING, of which there is one a second.
    assert all(1.0 < c.measured < 8.0 for c in gaps)
    figure(", ".join(f"{c.name} {c.measured:.2f} s" for c in gaps))


@pytest.fixture
def witnessed(tmp_path: Path) -> Iterator[Cluster]:
    """A cluster as the stack makes it, with its witnesses at work."""
    with Cluster.start(tmp_path, FENCED) as running:
        yield settle(running)


def down_afters(cluster: Cluster) -> set[float]:
    return {view.down_after for view in ask_sentinels(cluster.access())}


def test_a_crash_beside_one_that_the_witnesses_are_kept_from(
    witnessed: Cluster, figure: Callable[[str], None]
) -> None:
    seen = run(witnessed, "crash")
    unseen = run(settle(witnessed), "crash-unseen")
    for result in (seen, unseen):
        assert troubles(result) == []
        figure(f"{result.run.fault}: {result.run.witnesses_text}")
        figure(", ".join(f"{c.name} {c.measured:.2f} s" for c in result.verdict.checks[:2]))
    told = [result.run.deeds for result in (seen, unseen)]
    assert [sum(deed.asked for deed in deeds.each) for deeds in told if deeds] == [1, 0]
    assert [deeds.listening for deeds in told if deeds] == [3, 3]
    gaps = [result.verdict.checks[0].measured for result in (seen, unseen)]
    assert gaps[0] < FENCED.down_after / 1000 - 1 < gaps[1]
    assert down_afters(witnessed) == {FENCED.down_after / 1000}


def test_interrupted_it_gives_the_sentinels_their_witnesses_back(witnessed: Cluster) -> None:
    def interrupt(text: str) -> None:
        if "now" in text:
            assert down_afters(witnessed) == {FENCED.down_after / 1000 + 0.001}
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(witnessed, "crash-unseen", say=interrupt)
    assert down_afters(witnessed) == {FENCED.down_after / 1000}
    witnessed.wait_until_healthy()


def test_a_switchover_loses_nothing(cluster: Cluster) -> None:
    result = run(cluster, "switchover")
    assert troubles(result) == []
    assert result.run.lost == ()


def test_a_plain_failover_is_seen_to_lose_writes(
    cluster: Cluster, figure: Callable[[str], None]
) -> None:
    """The peer proves the instrument: without a fence it has losses and two masters to find."""
    result = run(cluster, "plain")
    assert len(result.run.lost) > 100
    assert overlap_seconds(result.run) > 2.0
    assert not result.run.unequal
    figure(f"{len(result.run.lost)} lost, two masters for {overlap_seconds(result.run):.1f} s")


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_interrupted_in_the_middle_it_heals(fenced: Cluster, error: type[BaseException]) -> None:
    victim = fenced.master

    def interrupt(text: str) -> None:
        if "promoted" in text:
            raise error

    with pytest.raises(error):
        run(fenced, "hang", say=interrupt)
    fenced.wait_until_healthy()
    assert fenced.master is not victim
    assert keys_left(fenced) == []


def test_its_clients_end_with_it(cluster: Cluster) -> None:
    def kill_me(text: str) -> None:
        if "now" in text:
            raise RuntimeError

    with pytest.raises(RuntimeError):
        run(cluster, "switchover", say=kill_me)
    children = Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text().split()
    assert not [pid for pid in children if "spawn_main" in command_of(int(pid))]


def command_of(pid: int) -> str:
    path = Path(f"/proc/{pid}/cmdline")
    return path.read_text() if path.exists() else ""


def test_a_cluster_that_is_hurt_already_is_refused(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("redis_ha.failover_test.run._WHOLE_SECONDS", 1.0)
    replica = cluster.replicas[0]
    os.kill(replica.server_pid or 0, signal.SIGSTOP)
    try:
        with pytest.raises(HarmRefused, match="not healthy"):
            run(cluster, "switchover")
    finally:
        replica.resume()
    cluster.wait_until_healthy()


def test_a_fault_that_can_not_be_done_here_is_refused(cluster: Cluster) -> None:
    with pytest.raises(HarmRefused, match="crash, hang"):
        run(cluster, "partition")
