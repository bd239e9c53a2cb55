"""The log is the master's stream, byte for byte: a stock server that replays it is the master.

Each fault happens under load. Afterwards the base, taken before the fault, and the log make the
data of whoever is master then, and no byte between them lacks.
"""

import itertools
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from backup_worker.log.follower import Follower
from redis_ha.switchover import OldMaster, switch_over
from tests.processes.cluster import Cluster
from tests.processes.cluster_process import Process
from tests.processes.ledger import Ledger
from tests.processes.log.log_worker import Base, LogWorker, wait_for
from tests.processes.log.traffic import Traffic

Figure = Callable[[str], None]


@dataclass
class Run:
    """A follower under load, and the base to replay on."""

    worker: LogWorker
    follower: Follower
    ledger: Ledger
    base: Base
    faults: list[str] = field(default_factory=list)

    def source(self, *, other_than: Process | None = None) -> Process:
        """Wait until the log is read from a node, and not from the given one; return it."""
        found: list[Process] = []

        def attached() -> bool:
            nodes, address = self.worker.cluster.data_nodes, self.follower.state().source
            found[:] = [n for n in nodes if str(n.address) == address and n is not other_than]
            return bool(found)

        wait_for(attached, 30, self.follower.state)
        return found[0]

    def seconds_without_data(self, fault: Callable[[], object]) -> float:
        """Do something; return the longest silence of the log until it flows steadily again.

        `fault` returns once it has had its effect: only what flows from then on is steady.
        """
        arrivals, steady = [time.monotonic()], 0
        received, deadline = self.follower.state().received, time.monotonic() + 40
        with ThreadPoolExecutor(1) as pool:
            done = pool.submit(fault)
            while steady < 10:
                assert time.monotonic() < deadline, self.follower.state()
                state = self.follower.state()
                if state.received != received and state.source:
                    received, now = state.received, time.monotonic()
                    steady = steady + 1 if now - arrivals[-1] < 0.4 else 0
                    arrivals.append(now)
                if not done.done():
                    steady = 0
                time.sleep(0.005)
            done.result()
        return max(later - sooner for sooner, later in itertools.pairwise(arrivals))


@contextmanager
def under_load(worker: LogWorker) -> Iterator[Run]:
    """Follow and write; at the end of the block compare what was logged with the master."""
    cluster = worker.cluster
    with worker.following() as follower:
        with Traffic.running(cluster), Ledger.running(cluster) as ledger:
            ledger.wait_for_writes(100)
            run = Run(worker, follower, ledger, worker.base())
            ledger.wait_for_writes(500)
            yield run
            ledger.wait_for_writes(500)
        compare_with_master(worker, run.base)
        assert follower.state().gaps == 0
    assert len(worker.gaps) == 1, worker.gaps


def compare_with_master(worker: LogWorker, base: Base) -> None:
    master = settled(worker.cluster)
    with master.client(timeout=30.0) as client:
        end = int(client.info("replication")["master_repl_offset"])
        digest = str(client.execute_command("DEBUG", "DIGEST"))
        replid = str(client.info("replication")["master_replid"])

    def shipped() -> bool:
        names = worker.catalog.list().names
        return any(name.end >= end and name.replid == replid for name in names)

    wait_for(shipped, 20, lambda: (end, worker.catalog.list().names[-3:]))
    assert worker.replayed_digest(base, end) == digest


def replaced(cluster: Cluster, master: Process) -> None:
    """Kill the master; return when another node is."""
    master.kill()
    cluster.wait_for_master(other_than=master)


def level(cluster: Cluster, master: Process) -> None:
    """Hold back the writers until every replica has all of the master's stream."""
    with master.client() as client:
        client.client_pause(10_000, all=False)
    wait_for(lambda: len({view.offset for view in cluster.views()}) == 1, 5, cluster.views)


def hand_over(cluster: Cluster) -> None:
    """Make a zero-loss switchover."""
    switch_over(cluster.access("operator"), old_master=OldMaster.DEMOTE)


def settled(cluster: Cluster) -> Process:
    """Return the master once its writers have come to rest and every replica that runs follows."""
    return cluster.settled_master()


def test_base_and_log_make_the_master(worker: LogWorker, figure: Figure) -> None:
    behind = []
    with under_load(worker) as run:
        target = run.ledger.acknowledged + 3000
        while run.ledger.acknowledged < target:
            behind.append(run.follower.state().behind_seconds)
            time.sleep(0.02)
    figure(f"sealed each second, the store was {max(behind):.2f} s behind at most")
    assert max(behind) < 5


def test_the_killed_source_is_replaced_by_another_replica(
    worker: LogWorker, figure: Figure
) -> None:
    with under_load(worker) as run:
        source = run.source()

        def kill() -> None:
            source.kill()
            run.source(other_than=source)

        silence = run.seconds_without_data(kill)
    figure(f"no data for {silence:.2f} s, 0 bytes lost")
    # A second or two on a machine with nothing else to do.
    assert silence < 15


def test_the_log_goes_on_across_the_death_of_the_master(worker: LogWorker, figure: Figure) -> None:
    with under_load(worker) as run:
        master = worker.cluster.master
        silence = run.seconds_without_data(lambda: replaced(worker.cluster, master))
        run.source(other_than=worker.cluster.wait_for_master(other_than=master))
        run.ledger.wait_for_writes(200)
    replids = {segment.timeline.replid for segment in worker.segments()}
    assert len(replids) == 2
    figure(f"no data for {silence:.2f} s, 0 bytes lost")


def test_a_promoted_source_is_left_for_a_replica(worker: LogWorker, figure: Figure) -> None:
    with under_load(worker) as run:
        source = run.source()
        worker.cluster.prefer(source)
        master = worker.cluster.master
        # Else the other replica, that had more than the promoted one, had to load everything anew;
        # and of what was written meanwhile no replica has the stream.
        level(worker.cluster, master)
        silence = run.seconds_without_data(lambda: replaced(worker.cluster, master))
        assert worker.cluster.wait_for_master(other_than=master) is source
        run.source(other_than=source)
    figure(f"no data for {silence:.2f} s, 0 bytes lost")


def test_the_log_goes_on_across_switchovers(worker: LogWorker, figure: Figure) -> None:
    silences = []
    with under_load(worker) as run:
        for _ in range(2):
            silences.append(run.seconds_without_data(lambda: hand_over(worker.cluster)))
            run.ledger.wait_for_writes(300)
    figure(f"no data for {max(silences):.2f} s at most, 0 bytes lost")


def test_a_frozen_source_is_left(worker: LogWorker, figure: Figure) -> None:
    with under_load(worker) as run:
        source = run.source()

        def freeze() -> None:
            source.pause()
            run.source(other_than=source)

        silence = run.seconds_without_data(freeze)
        source.resume()
    figure(f"no data for {silence:.2f} s, 0 bytes lost")


def test_a_huge_value_passes(worker: LogWorker) -> None:
    with under_load(worker) as run, worker.cluster.master.client(timeout=20.0) as client:
        client.set("huge", b"\r\n*1\r\n$4\r\nPING\r\n" * 700_000)
        run.ledger.wait_for_writes(100)
