"""What can go wrong, how it is brought about, and which alerts must come of it."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import redis

from tests.processes import cluster_files as files
from tests.processes.cluster_process import Process
from tests.processes.monitoring.stage import SPOOL_MIB, Stage

# Brings something about, yields the alerts that must come of it, and takes it back.
Trouble = Callable[[Stage], Iterator[set[str]]]


@contextmanager
def under_way(trouble: Trouble, stage: Stage) -> Iterator[set[str]]:
    """Keep a trouble up during the block; gives its alerts as `Watch.told` names them."""
    running = trouble(stage)
    try:
        yield next(running)
    finally:
        for _ in running:
            """Take it back."""


def replica_lagging(stage: Stage) -> Iterator[set[str]]:
    """The network between master and replica swallows everything; both answer everybody else."""
    replica = stage.cluster.replicas[0]
    with stage.cluster.master.client() as master:
        links = master.client_list(_type="replica")
        port = next(str(link["addr"]).rpartition(":")[2] for link in links if _is(link, replica))
        for node in stage.cluster.data_nodes:
            _configure(node, "repl-timeout", "300")
        with _swallowed(port):
            for number in range(24):
                master.set(f"bulk:{number}", os.urandom(1 << 20))
            yield {
                f"RedisReplicaBehindInBytes {replica.name}",
                f"RedisReplicaBehindInSeconds {replica.name}",
            }


def memory_nearly_full(stage: Stage) -> Iterator[set[str]]:
    node = stage.cluster.replicas[1]
    with node.client() as client:
        used = int(client.info("memory")["used_memory"])
        client.config_set("maxmemory", int(used * 1.04))
        yield {f"RedisMemoryHigh {node.name}"}
        client.config_set("maxmemory", 0)


def connections_refused(stage: Stage) -> Iterator[set[str]]:
    """Some program opens connections until one is refused; the exporter needs one for itself."""
    node = stage.cluster.replicas[1]
    with node.client() as client:
        client.config_set("maxclients", 64)
        with ExitStack() as opened:
            clients = [opened.enter_context(one) for one in _until_refused(node)]
            for one in clients[-4:]:
                one.close()
            yield {f"RedisConnectionsRejected {node.name}"}
        client.config_set("maxclients", 10_000)


def connections_nearly_all(stage: Stage) -> Iterator[set[str]]:
    node = stage.cluster.replicas[0]
    with node.client() as client:
        client.config_set("maxclients", 64)
        with ExitStack() as opened:
            while int(client.info("clients")["connected_clients"]) < 58:
                opened.enter_context(node.client()).ping()
            yield {f"RedisConnectionsHigh {node.name}"}
        client.config_set("maxclients", 10_000)


def disk_refuses_a_save(stage: Stage) -> Iterator[set[str]]:
    node = stage.cluster.replicas[0]
    rdb = node.data / "dump.rdb"
    rdb.unlink(missing_ok=True)
    rdb.mkdir()
    with node.client() as client:
        client.bgsave()
        yield {f"RedisSaveFails {node.name}"}
        rdb.rmdir()
        client.bgsave()
        # A replica that couldn't save and is sent a write ends itself, from Redis 7 on.
        stage.cluster.wait_for(
            lambda: client.info("persistence")["rdb_last_bgsave_status"] == "ok",
            explain=lambda: f"{node.name} has not saved",
        )


def certificate_ends_soon(stage: Stage) -> Iterator[set[str]]:
    node = stage.cluster.master
    with _presenting(stage, node, timedelta(days=10)):
        yield {f"RedisCertificateEndsSoon {node.name}"}


def certificate_ends(stage: Stage) -> Iterator[set[str]]:
    node = stage.cluster.replicas[0]
    with _presenting(stage, node, timedelta(days=2)):
        yield {f"RedisCertificateEnds {node.name}"}


def proof_fails(stage: Stage) -> Iterator[set[str]]:
    stage.broken_disk.touch()
    yield {"BackupProofFailed"}
    stage.broken_disk.unlink()


def standby_dead(stage: Stage) -> Iterator[set[str]]:
    (other,) = {0, 1} - {stage.at_work()}
    assert other is not None
    stage.workers.kill(other)
    yield {"BackupWorkerDown"}
    stage.workers.restart()


def snapshots_refused_after_a_gap(stage: Stage) -> Iterator[set[str]]:
    """The workers were away for longer than the backlog lasts; the store takes no snapshot."""
    for number in list(stage.workers.running):
        stage.workers.kill(number)
    snapshots = stage.store / "snapshots"
    kept = snapshots.rename(stage.directory / "snapshots-kept")
    snapshots.write_text("in the way")
    for node in stage.cluster.data_nodes:
        _configure(node, "repl-backlog-size", str(1 << 20))
    with stage.cluster.master.client() as client:
        for number in range(8):
            client.set(f"away:{number}", os.urandom(1 << 20))
    stage.workers.restart()
    yield {"BackupLogGap"}
    snapshots.unlink()
    kept.rename(snapshots)


def snapshots_fail(stage: Stage) -> Iterator[set[str]]:
    """The backup's user may not start a transfer any more; the link that follows the log stays."""
    _grant(stage, "-psync", "-sync")
    yield {"BackupOverdue"}
    # A node that was started again meanwhile has its users from the file.
    _grant(stage, "+psync", "+sync")


def store_away(stage: Stage) -> Iterator[set[str]]:
    """Its disk is no longer mounted."""
    kept = stage.store.rename(stage.directory / "store-kept")
    with stage.cluster.master.client() as client:
        for number in range(5 * SPOOL_MIB // 8):
            client.set(f"spooled:{number}", os.urandom(1 << 20))
    yield {"BackupStoreAway", "BackupSpoolFills"}
    kept.rename(stage.store)


def workers_dead(stage: Stage) -> Iterator[set[str]]:
    for number in list(stage.workers.running):
        stage.workers.kill(number)
    yield {"BackupNobodyWorks", "held back: BackupWorkerDown"}
    stage.workers.restart()


def sentinels_stopped(stage: Stage) -> Iterator[set[str]]:
    stopped = stage.cluster.sentinels[:2]
    with _killed(*stopped):
        held_back = ["RedisMasterUnnamed", "RedisNotReady"]
        held_back += [f"RedisSentinelDown {sentinel.name}" for sentinel in stopped]
        yield {"RedisSentinelsTooFew", *(f"held back: {name}" for name in held_back)}


def replica_stopped(stage: Stage) -> Iterator[set[str]]:
    replica = next(
        n for n, view in zip(stage.cluster.data_nodes, stage.cluster.views(), strict=True)
        if view.role == "slave"
    )  # fmt: skip
    with _killed(replica):
        yield {f"RedisNodeDown {replica.name}", f"held back: RedisReplicaUnlinked {replica.name}"}


def master_killed(stage: Stage) -> Iterator[set[str]]:
    master = stage.cluster.master
    with _killed(master):
        yield {f"RedisNodeDown {master.name}", "RedisFailover"}


def all_nodes_killed(stage: Stage) -> Iterator[set[str]]:
    nodes = stage.cluster.data_nodes
    with _killed(*nodes):
        yield {"RedisMasterDown", *(f"RedisNodeDown {node.name}" for node in nodes)}


def exporter_dead(stage: Stage) -> Iterator[set[str]]:
    stage.watched.end("ha-exporter")
    yield {"RedisUnwatched", "MonitorDown"}
    stage.watched.begin("ha-exporter")


def _until_refused(node: Process) -> Iterator[redis.Redis]:
    while True:
        one = node.client()
        try:
            one.ping()
        except redis.ConnectionError:
            one.close()
            return
        yield one


@contextmanager
def _killed(*processes: Process) -> Iterator[None]:
    for process in processes:
        process.kill()
    try:
        yield
    finally:
        for process in processes:
            process.start()


@contextmanager
def _presenting(stage: Stage, node: Process, ends_in: timedelta) -> Iterator[None]:
    """Have a node show another certificate to whoever connects from now on."""
    other = stage.directory / f"valid-for-{ends_in.days}-days"
    _configure(node, "tls-cert-file", str(files.write_tls(other, ends_in=ends_in).certificate))
    try:
        yield
    finally:
        _configure(node, "tls-cert-file", str(stage.cluster.tls.certificate))


@contextmanager
def _swallowed(port: str) -> Iterator[None]:
    """Swallow all that goes over loopback from a port or to it."""
    ends = ("--sport", "--dport")
    rules = [["INPUT", "-i", "lo", "-p", "tcp", end, port, "-j", "DROP"] for end in ends]
    for rule in rules:
        subprocess.run(["iptables", "-I", *rule], check=True)
    try:
        yield
    finally:
        for rule in rules:
            subprocess.run(["iptables", "-D", *rule], check=True)


def _is(link: dict[str, str], replica: Process) -> bool:
    """Whether a master's link is the replica's: by the port of that connection's other end."""
    local = f":{str(link['addr']).rpartition(':')[2]}"
    path = Path(f"/proc/{replica.server_pid}/fd")
    listed = subprocess.run(["ss", "-tnpH"], capture_output=True, text=True, check=True).stdout
    return path.exists() and any(
        f"pid={replica.server_pid}," in line and line.split()[3].endswith(local)
        for line in listed.splitlines()
    )


def _grant(stage: Stage, *permissions: str) -> None:
    for node in stage.cluster.data_nodes:
        with suppress(redis.ConnectionError), node.client() as client:
            client.execute_command("ACL", "SETUSER", "backup", *permissions)


def _configure(node: Process, name: str, value: str) -> None:
    with node.client() as client:
        client.config_set(name, value)


ROUNDS: dict[str, tuple[Trouble, ...]] = {
    "something runs short": (
        replica_lagging,
        memory_nearly_full,
        connections_refused,
        connections_nearly_all,
        disk_refuses_a_save,
        certificate_ends_soon,
        certificate_ends,
        proof_fails,
        standby_dead,
    ),
    "two of three are gone": (snapshots_fail, replica_stopped, sentinels_stopped),
    "the master is gone": (snapshots_refused_after_a_gap, master_killed),
    "all of them are gone": (all_nodes_killed, workers_dead),
    "nobody looks": (exporter_dead, store_away),
}
# The rounds whose alerts the tests in Docker see as well.
IN_THE_STACK_TOO = {"all of them are gone"}
