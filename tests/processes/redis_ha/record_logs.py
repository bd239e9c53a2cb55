"""Makes the logs that tests/unit/golden/logs keeps: five ways in which a master is lost.

    REDIS_HA_TEST_PORTS=24500-25999 python -m tests.processes.redis_ha.record_logs

Each scenario's folder has what the nodes wrote from a second before it until it was over.
"""

import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from redis_ha.logs.files import FileSource
from redis_ha.logs.reading import read_entries
from redis_ha.logs.source import Window
from redis_ha.switchover import OldMaster, switch_over
from tests.processes.cluster import Cluster, Settings
from tests.processes.redis_ha.witnessed import kill_server, settle

GOLDEN = Path(__file__).parents[2] / "unit" / "golden" / "logs"
# So that the guards of crash and handover, and a quorum of hang and abort, all have their say.
SETTINGS = Settings(guarded=True, witness=True, down_after=2000, failover_timeout=4000)


def crash(cluster: Cluster) -> None:
    """kill -9 of the master; its guard brings it back as a replica."""
    victim = cluster.master
    kill_server(victim)
    victim.wait(10)
    heir = cluster.wait_for_master(victim)
    cluster.wait_for(lambda: all(_switched(s.log, heir.address.port) for s in cluster.sentinels))
    victim.start()


def hang(cluster: Cluster) -> None:
    """SIGSTOP of the master: no connection is closed, and Sentinel's quorum decides."""
    victim = cluster.master
    victim.pause()
    try:
        heir = cluster.wait_for_master(victim)
        cluster.wait_for(
            lambda: all(_switched(s.log, heir.address.port) for s in cluster.sentinels)
        )
    finally:
        victim.resume()


def switchover(cluster: Cluster) -> None:
    """What `redis-ha failover` does."""
    switch_over(cluster.access(), deadline_seconds=10, old_master=OldMaster.DEMOTE)


def handover(cluster: Cluster) -> None:
    """The master is stopped in order."""
    victim = cluster.master
    victim.stop()
    victim.start()


def aborted(cluster: Cluster) -> None:
    """A hang while no replica may be promoted."""
    victim, replicas = cluster.master, cluster.replicas
    _priorities(cluster, 0)
    before = _aborts(cluster)
    victim.pause()
    try:
        cluster.wait_for(lambda: _aborts(cluster) > before)
    finally:
        victim.resume()
    cluster.wait_for(lambda: not cluster.complaints(), 20)
    assert cluster.master is victim
    assert replicas
    _priorities(cluster, 100)


SCENARIOS: tuple[Callable[[Cluster], None], ...] = (crash, hang, switchover, handover, aborted)


def _switched(log: str, port: int) -> bool:
    switches = [line for line in log.splitlines() if "+switch-master" in line]
    return bool(switches) and switches[-1].endswith(f" {port}")


def _aborts(cluster: Cluster) -> int:
    return sum(s.log.count("-failover-abort-no-good-slave") for s in cluster.sentinels)


def _priorities(cluster: Cluster, priority: int) -> None:
    for node in cluster.replicas:
        with node.client() as client:
            client.config_set("replica-priority", str(priority))
    cluster.hurry_sentinels(1000)
    ports = {node.address.port for node in cluster.replicas}

    def known() -> bool:
        for sentinel in cluster.sentinels:
            with sentinel.client() as client:
                rows = client.sentinel_slaves("mymaster")
            if {r["port"] for r in rows if int(r["slave-priority"]) == priority} != ports:
                return False
        return True

    cluster.wait_for(known)


def _keep(cluster: Cluster, folder: Path, window: Window) -> None:
    """Write down the lines of that time, of every node, as they are."""
    folder.mkdir(parents=True, exist_ok=True)
    for process in (*cluster.data_nodes, *cluster.sentinels):
        source = FileSource(process.name, process.directory / "log")
        kept, inside = [], False
        for line in source.lines(Window(), None):
            assert line is not None
            for entry in read_entries([line], source.node_of):
                own = entry is not None and entry.time.year > 1970
                inside = window.holds(entry) if entry is not None and own else inside
            if inside:
                kept.append(line.text + "\n")
        (folder / f"{process.name}.log").write_text("".join(kept))


def main() -> None:
    """Run every scenario on one cluster and keep its logs."""
    with tempfile.TemporaryDirectory() as place, Cluster.start(Path(place), SETTINGS) as cluster:
        for scenario in SCENARIOS:
            settle(cluster)
            began = datetime.now(UTC) - timedelta(seconds=1)
            scenario(cluster)
            settle(cluster)
            _keep(cluster, GOLDEN / scenario.__name__, Window(began))


if __name__ == "__main__":
    main()
