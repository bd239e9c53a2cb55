"""A cluster with data, a store, a key, and the command as a process of its own."""

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pytest

import age
from backup_worker.restore import journal as journals
from backup_worker.transform.signing import Signer
from tests.processes import cluster_files as files
from tests.processes.cluster import Cluster, Settings
from tests.processes.ports import HOST, free_ports

REPOSITORY = Path(__file__).parents[3]
ENDED = "tests.processes.restore.ended_worker"
# min-replicas as a real cluster has it, so that holding and releasing it is seen.
SETTINGS = Settings(
    down_after=5000, redis_lines=("min-replicas-to-write 1", "min-replicas-max-lag 2")
)


@dataclass(frozen=True)
class Finished:
    """A command's end; its last line on stderr says why it failed."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.stdout)
        return value

    @property
    def complaint(self) -> str:
        return self.stderr.strip().splitlines()[-1]


@dataclass(frozen=True)
class Worker:
    """The `backup-worker` command with the environment of one cluster."""

    environment: dict[str, str]
    directory: Path

    @property
    def state(self) -> Path:
        return self.directory / "state"

    @property
    def store(self) -> Path:
        return self.directory / "store"

    @property
    def key(self) -> Path:
        return self.directory / "key.txt"

    def start(
        self,
        *args: str,
        binary: bool = False,
        stdin: int | BinaryIO = subprocess.DEVNULL,
        module: str = "backup_worker",
        **changes: str,
    ) -> "subprocess.Popen[Any]":
        return subprocess.Popen(
            [sys.executable, "-m", module, *args],
            env=os.environ | self.environment | changes,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=not binary,
            cwd=self.directory,
        )

    def run(
        self, *args: str, stdin: int | BinaryIO = subprocess.DEVNULL, **changes: str
    ) -> Finished:
        """Run the command to its end, within two minutes."""
        with self.start(*args, stdin=stdin, **changes) as process:
            stdout, stderr = process.communicate(timeout=120)
        return Finished(process.returncode, stdout, stderr)

    def restore(self, *args: str, **changes: str) -> Finished:
        return self.run("restore", "--yes", "--json", "--identity", str(self.key), *args, **changes)

    def snapshot(self) -> str:
        """Take a snapshot and return its id."""
        finished = self.run("snapshot", "--json")
        assert finished.code == 0, finished.stderr
        return str(finished.json["id"])

    def kill_at(self, stage: str, *args: str, later: float = 0.0) -> None:
        """Run a restore and kill -9 it when its journal says that stage, or some seconds later."""
        key = () if "--from" in args else ("--identity", str(self.key))
        self.killed_at(stage, "restore", "--yes", *key, *args, later=later)

    def killed_at(self, stage: str, *args: str, later: float = 0.0) -> None:
        """Run a command that is killed as in `kill_at`."""
        with self.start("SIGKILL", stage, f"{later:g}", *args, module=ENDED) as process:
            said = process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL, said
        self.assert_no_scratch_server()

    def disturbed_at(
        self,
        stage: str,
        deed: Callable[["subprocess.Popen[Any]"], object],
        *args: str,
        later: float = 0.0,
    ) -> Finished:
        """Run a command to its end; it stands still at a stage, or later, for that deed."""
        with self.start("SIGSTOP", stage, f"{later:g}", *args, module=ENDED) as process:
            os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
            assert process.poll() is None, process.communicate()
            try:
                deed(process)
            finally:
                process.send_signal(signal.SIGCONT)
            stdout, stderr = process.communicate(timeout=120)
        return Finished(process.returncode, stdout, stderr)

    def assert_no_scratch_server(self) -> None:
        """A killed worker takes its scratch server with it."""
        address = (HOST, int(self.environment["REDIS_BACKUP_SCRATCH_PORT"]))
        for _ in range(100):
            try:
                socket.create_connection(address, timeout=1).close()
            except OSError:
                return
            time.sleep(0.02)
        raise AssertionError("the scratch server lives on")

    def stage(self) -> str | None:
        journal = journals.load(self.state)
        return None if journal is None else journal.stage.value


def make_worker(cluster: Cluster, directory: Path) -> Worker:
    """Write keys and return the command for a cluster."""
    directory.mkdir()
    identity, signer = age.Identity.generate(), Signer.generate()
    worker = Worker(_environment(cluster, directory, identity, signer), directory)
    worker.key.write_text(identity.encode() + "\n")
    (directory / "signing.key").write_bytes(signer.to_pem())
    return worker


def _environment(
    cluster: Cluster, directory: Path, identity: age.Identity, signer: Signer
) -> dict[str, str]:
    sentinels = {
        f"REDIS_SENTINEL_{kind}_{number}": str(value)
        for number, sentinel in enumerate(cluster.sentinels, start=1)
        for kind, value in (("HOST", sentinel.address.host), ("PORT", sentinel.address.port))
    }
    users = {
        f"REDIS_{user.upper()}_{kind}": value
        for user in ("backup", "operator", "replica")
        for kind, value in (("USERNAME", user), ("PASSWORD", files.PASSWORDS[user]))
    }
    return {
        "PYTHONPATH": str(REPOSITORY),
        **sentinels,
        **users,
        "REDIS_TLS_CA": str(cluster.tls.ca),
        "REDIS_BACKUP_STORE": f"file://{directory / 'store'}",
        "REDIS_BACKUP_STATE": str(directory / "state"),
        "REDIS_BACKUP_RECIPIENT": identity.to_public().encode(),
        "REDIS_BACKUP_SIGNING_KEY": str(directory / "signing.key"),
        "REDIS_BACKUP_TRUSTED_SIGNERS": base64.b64encode(signer.public_key).decode(),
        "REDIS_BACKUP_SCRATCH_HOST": HOST,
        "REDIS_BACKUP_SCRATCH_PORT": str(free_ports(1)[0]),
        "REDIS_BACKUP_TLS_CERT": str(cluster.tls.certificate),
        "REDIS_BACKUP_TLS_KEY": str(cluster.tls.key),
    }


def hurry(cluster: Cluster) -> None:
    """Let the sentinels see the master's role each second; a restore waits for that at its end."""
    for sentinel in cluster.sentinels:
        with sentinel.client() as client:
            client.execute_command("SENTINEL", "DEBUG", "info-period", "1000")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cluster, Worker]]:
    """Give one cluster for a module; its tests leave it healthy."""
    directory = tmp_path_factory.mktemp("cluster")
    with Cluster.start(directory, SETTINGS) as cluster:
        hurry(cluster)
        yield cluster, make_worker(cluster, directory / "worker")
