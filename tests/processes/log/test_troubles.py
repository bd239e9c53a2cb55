"""What keeps the log from the store, and what makes a gap of it."""

import random
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from backup_worker.config import LogSettings
from backup_worker.log.follower import Follower
from backup_worker.store.contract import Store, StoredObject, TransientStoreError
from tests.processes.cluster import Cluster, Settings
from tests.processes.cluster_process import Process
from tests.processes.ledger import Ledger
from tests.processes.log import follower_process
from tests.processes.log.log_worker import QUICK, LogWorker, wait_for
from tests.processes.log.test_follow import compare_with_master
from tests.processes.log.traffic import Traffic

Figure = Callable[[str], None]


@dataclass
class AwayStore:
    """A store that can be away: then nothing works."""

    inner: Store
    away: bool = False

    def put(self, key: str, chunks: Iterable[bytes], *, if_absent: bool = False) -> StoredObject:
        self._require()
        return self.inner.put(key, chunks, if_absent=if_absent)

    def get(self, key: str, *, offset: int = 0) -> Generator[bytes, None, None]:
        self._require()
        yield from self.inner.get(key, offset=offset)

    def head(self, key: str) -> StoredObject:
        self._require()
        return self.inner.head(key)

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        self._require()
        return self.inner.list(prefix)

    def delete(self, key: str) -> None:
        self._require()
        self.inner.delete(key)

    def expire(self, key: str) -> None:
        self._require()
        self.inner.expire(key)

    def _require(self) -> None:
        if self.away:
            raise TransientStoreError(
                operation="use", subject="the store", cause="it is away", hint="wait"
            )


def source_of(worker: LogWorker, follower: Follower) -> Process:
    address = follower.state().source
    return next(n for n in worker.cluster.data_nodes if str(n.address) == address)


def buffered_for_us(node: Process) -> int:
    """Return how many bytes a node keeps for links like ours."""
    with node.client() as client:
        return max(int(c["omem"]) for c in client.client_list(_type="replica"))


def test_a_store_that_is_away_for_a_while_costs_nothing(worker: LogWorker, figure: Figure) -> None:
    store = AwayStore(worker.store)
    with worker.following(store=store) as follower:
        with Traffic.running(worker.cluster), Ledger.running(worker.cluster) as ledger:
            ledger.wait_for_writes(100)
            base = worker.base()
            store.away = True
            wait_for(lambda: follower.state().spool_segments >= 5, 20, follower.state)
            wait_for(lambda: follower.state().behind_seconds > 3, 10, follower.state)
            state = follower.state()
            assert "it is away" in state.problem
            assert state.received > state.shipped
            held = buffered_for_us(source_of(worker, follower))
            assert held < 1_000_000
            store.away = False
            wait_for(lambda: follower.state().spool_segments == 0, 20, follower.state)
            ledger.wait_for_writes(100)
        compare_with_master(worker, base)
        assert follower.state().behind_seconds < 3
        assert follower.state().gaps == 0
    figure(f"{state.spool_segments} segments waited, the source kept {held} bytes for us")


def test_a_full_spool_stops_the_log_and_no_byte_is_lost_while_the_source_remembers(
    worker: LogWorker,
) -> None:
    store, small = AwayStore(worker.store), LogSettings(True, 1.0, 1 << 20, 150_000)
    with worker.following(small, store=store) as follower:
        with Traffic.running(worker.cluster), Ledger.running(worker.cluster) as ledger:
            ledger.wait_for_writes(100)
            base = worker.base()
            store.away = True
            wait_for(lambda: "spool" in follower.state().problem, 30, follower.state)
            wait_for(lambda: follower.state().source == "", 5, follower.state)
            assert follower.state().spool_bytes < 1_500_000
            ledger.wait_for_writes(300)
            store.away = False
            wait_for(lambda: follower.state().source != "", 20, follower.state)
            ledger.wait_for_writes(100)
        compare_with_master(worker, base)
        assert follower.state().gaps == 0


@pytest.fixture
def forgetful(tmp_path: Path) -> Iterator[LogWorker]:
    """Give a follower's surroundings for a cluster that remembers little of its stream."""
    lines = ("repl-backlog-size 64kb",)
    with Cluster.start(tmp_path, Settings(redis_lines=lines)) as cluster:
        yield LogWorker(tmp_path / "worker", cluster)


def test_what_the_source_forgot_is_a_loud_gap_and_the_log_begins_anew(
    forgetful: LogWorker, figure: Figure
) -> None:
    worker = forgetful
    store, small = AwayStore(worker.store), LogSettings(True, 1.0, 1 << 20, 4_000_000)
    with worker.following(small, store=store) as follower:
        with Traffic.running(worker.cluster), Ledger.running(worker.cluster) as ledger:
            ledger.wait_for_writes(100)
            store.away = True
            wait_for(lambda: follower.state().gaps == 1, 40, follower.state)
            assert follower.state().source == ""
            assert len(worker.gaps) == 1
            store.away = False
            wait_for(lambda: follower.state().source != "", 20, follower.state)
            wait_for(lambda: len(worker.gaps) == 2, 5)
            base = worker.base()
            ledger.wait_for_writes(300)
        compare_with_master(worker, base)
        assert follower.state().gaps == 1
    gap = worker.gaps[1]
    assert "holds nothing before" in gap.reason
    assert gap.lost is not None
    after = min(s.start for s in worker.segments() if s.start > gap.lost.offset + 1)
    figure(f"{after - gap.lost.offset - 1} bytes are not in the log")


def test_what_a_lost_master_had_sent_to_the_source_alone_is_a_dead_branch(
    tmp_path: Path, figure: Figure
) -> None:
    with Cluster.start(tmp_path, Settings(data_nodes=4)) as cluster:
        worker = LogWorker(tmp_path / "worker", cluster)
        with worker.following() as follower:
            source, master = source_of(worker, follower), cluster.master
            others = [node for node in cluster.replicas if node is not source]
            with source.client() as client:
                client.config_set("replica-priority", "0")
            base = worker.base()
            for node in others:
                node.pause()
            with master.client(timeout=10.0) as client:
                for number in range(30):
                    client.set(f"doomed:{number}", random.randbytes(1_000_000))
                ahead = int(client.info("replication")["master_repl_offset"])
            wait_for(lambda: follower.state().received >= ahead, 20, follower.state)
            master.kill()
            for node in others:
                node.resume()
            successor = cluster.wait_for_master(other_than=master)
            with successor.client() as client:
                fork = int(client.info("replication")["second_repl_offset"]) - 1
            assert fork < ahead
            with Ledger.running(cluster) as ledger:
                ledger.wait_for_writes(200)
                wait_for(lambda: follower.state().source != "", 20, follower.state)
                ledger.wait_for_writes(200)
            compare_with_master(worker, base)
            assert follower.state().gaps == 0
    forked = [s for s in worker.segments() if s.timeline.fork == fork]
    assert min(segment.start for segment in forked) == fork + 1
    figure(f"{ahead - fork} bytes of a dead branch left aside")


def test_killed_at_any_moment_it_goes_on_without_a_hole(worker: LogWorker, figure: Figure) -> None:
    source, restarts = random.Random(4), []
    path = follower_process.describe(worker, LogSettings(True, 0.3, 1 << 20, 64 << 20))
    # So slow that what is lost with each process is soon caught up with.
    traffic = Traffic.running(worker.cluster, threads=1, pace=0.01)
    with traffic, Ledger.running(worker.cluster, threads=2, pace=0.01) as ledger:
        with follower_process.start(path) as process:
            wait_for(lambda: len(worker.catalog.list().names) > 0, 20)
            base = worker.base()
            process.kill()
        for _ in range(30):
            began = time.monotonic()
            with follower_process.start(path) as process:
                wait_for(lambda p=process: follower_process.ask(p)["source"] != "", 20)  # type: ignore[misc]
                restarts.append(time.monotonic() - began)
                time.sleep(source.uniform(0.0, 0.7))
                process.kill()
        ledger.wait_for_writes(10)
        assert all(path.stat().st_mode & 0o777 == 0o600 for path in worker.spool.iterdir())
    with follower_process.start(path) as process:
        wait_for(lambda: follower_process.ask(process)["source"] != "", 20)
        compare_with_master(worker, base)
        process.communicate("")
    assert "log-gap" not in path.with_suffix(".log").read_text()
    assert list(worker.spool.iterdir()) == []
    figure(f"30 kills, attached again {max(restarts):.2f} s after each at most")


def test_a_worker_that_stood_by_takes_over_without_a_hole(worker: LogWorker) -> None:
    standby = LogWorker(
        worker.directory.with_name("standby"), worker.cluster, worker.identity, worker.signer
    )
    gate = AwayStore(worker.store)
    with worker.following(term=1), Traffic.running(worker.cluster):
        wait_for(lambda: len(worker.catalog.list().names) >= 2, 20)
        gate.away = False
        with standby.following(QUICK, store=gate, term=2) as second:
            gate.away = True
            base = worker.base()
            wait_for(lambda: second.state().spool_segments >= 2, 20, second.state)
            worker_ends = max(name.end for name in worker.catalog.list().names)
            second.drop_stored()
            gate.away = False
            wait_for(lambda: second.state().shipped > worker_ends, 30, second.state)
            assert second.state().gaps == 0
        names = worker.catalog.list().names
    assert {name.term for name in names} == {1, 2}
    end = max(name.end for name in names)
    worker.replayed_digest(base, end)
