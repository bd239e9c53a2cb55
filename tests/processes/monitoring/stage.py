"""A cluster under load with two workers and those who watch, for scenarios that hurt it."""

import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from tests.processes import cluster_files as files
from tests.processes.cluster import Cluster, Settings
from tests.processes.monitoring.watched import Watched
from tests.processes.ports import free_ports
from tests.processes.worker_command import WorkerCommand

# Far enough away for no alert.
VALID = timedelta(days=90)
INTERVAL_SECONDS, SEAL_SECONDS = 10, 2
SPOOL_MIB = 40
_BROKEN_DISK = """#!/bin/sh
# While {flag} is there, the scratch server's disk loses what was written to it.
if [ -e '{flag}' ] && [ -f "$1" ]; then truncate -s 30 "$(dirname "$1")/dump.rdb"; fi
exec '{server}' "$@"
"""


@dataclass
class Workers:
    """Two workers on one store, each with a state directory of its own."""

    command: WorkerCommand
    ports: tuple[int, ...]
    scratch: tuple[int, ...]
    environment: Mapping[str, str]
    running: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)

    def begin(self, number: int) -> None:
        directory = self.command.directory / f"worker-{number}"
        directory.mkdir(exist_ok=True)
        own = {
            "REDIS_BACKUP_STATE": str(directory / "state"),
            "REDIS_BACKUP_METRICS_HOST": "127.0.0.1",
            "REDIS_BACKUP_METRICS_PORT": str(self.ports[number]),
            "REDIS_BACKUP_SCRATCH_HOST": "127.0.0.1",
            "REDIS_BACKUP_SCRATCH_PORT": str(self.scratch[number]),
        }
        with (directory / "log").open("ab") as log:
            self.running[number] = subprocess.Popen(
                [
                    *(sys.executable, "-m", "backup_worker", "run"),
                    *("--health-file", str(directory / "health")),
                ],
                env={**self.command.environment, **self.environment, **own},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=directory,
            )

    def kill(self, number: int) -> None:
        process = self.running.pop(number)
        process.kill()
        process.wait(10)

    def restart(self) -> None:
        """Start those that don't run."""
        for number in range(len(self.ports)):
            if number not in self.running:
                self.begin(number)


@dataclass
class Stage:
    """All that a scenario may hurt."""

    cluster: Cluster
    workers: Workers
    watched: Watched
    directory: Path

    @property
    def broken_disk(self) -> Path:
        """While this file is there no drill loads what it was given."""
        return self.directory / "broken-disk"

    @property
    def store(self) -> Path:
        return self.workers.command.store

    def at_work(self) -> int | None:
        """Number the worker that holds the lease."""
        working = self.watched.watch.ask("query", query="redis_backup_working == 1")["result"]
        ports = [int(each["metric"]["instance"].rpartition(":")[2]) for each in working]
        return self.workers.ports.index(ports[0]) if ports else None

    def calm(self) -> bool:
        """Whether all is watched and nothing is wrong."""
        watch = self.watched.watch
        return watch.settled() and "Watchdog" in watch.told() and not watch.grave()


@contextmanager
def set_up(directory: Path) -> Iterator[Stage]:
    """Give a stage on which somebody works, a snapshot is proven, and no alert is active."""
    with ExitStack() as stack:
        cluster = stack.enter_context(_cluster(directory / "cluster"))
        workers = stack.enter_context(_workers(directory, cluster))
        watched = stack.enter_context(
            Watched.start(cluster, directory / "watched", workers=workers.ports)
        )
        stage = Stage(cluster, workers, watched, directory)
        watched.until(
            lambda: bool(watched.watch.values("redis_backup_last_proof_age_seconds")), 90, "a proof"
        )
        watched.until(stage.calm, 120, "no alert")
        yield stage


@contextmanager
def _cluster(directory: Path) -> Iterator[Cluster]:
    cluster = Cluster.prepare(directory, Settings())
    files.write_tls(directory / "tls", ends_in=VALID)
    try:
        cluster.start_all()
        yield cluster
    finally:
        cluster.end()


@contextmanager
def _workers(directory: Path, cluster: Cluster) -> Iterator[Workers]:
    folder = directory / "backup"
    folder.mkdir()
    ports = free_ports(4)
    command = WorkerCommand(folder, cluster)
    path = f"{_scratch_server(directory)}:{command.environment['PATH']}"
    workers = Workers(command, tuple(ports[:2]), tuple(ports[2:]), _settings(cluster, path))
    try:
        workers.restart()
        yield workers
    finally:
        for number in list(workers.running):
            workers.kill(number)


def _settings(cluster: Cluster, path: str) -> dict[str, str]:
    return {
        "PATH": path,
        "REDIS_BACKUP_INTERVAL": str(INTERVAL_SECONDS),
        "REDIS_BACKUP_LOG_SECONDS": str(SEAL_SECONDS),
        "REDIS_BACKUP_SPOOL_BYTES": str(SPOOL_MIB << 20),
        "REDIS_BACKUP_TLS_CERT": str(cluster.tls.certificate),
        "REDIS_BACKUP_TLS_KEY": str(cluster.tls.key),
        "REDIS_REPLICA_USERNAME": "replica",
        "REDIS_REPLICA_PASSWORD": files.PASSWORDS["replica"],
    }


def _scratch_server(directory: Path) -> Path:
    """Make a `redis-server` whose disk can be broken; return its folder."""
    folder, server = directory / "bin", shutil.which("redis-server")
    folder.mkdir()
    script = folder / "redis-server"
    script.write_text(_BROKEN_DISK.format(flag=directory / "broken-disk", server=server))
    script.chmod(0o755)
    return folder
