"""A cluster with data, and the command with a store of its own."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.processes.cluster import Cluster
from tests.processes.cluster_process import Process
from tests.processes.worker_command import WorkerCommand

# Microseconds that a replica's child waits after each key, to be interrupted in the middle.
KEY_DELAY = 3000
KEYS = 2000


@pytest.fixture
def worker(cluster: Cluster, tmp_path: Path) -> WorkerCommand:
    """Give the command for a cluster that holds a little data."""
    with cluster.master.client("app") as client:
        client.mset({f"key:{number}": f"value {number}" for number in range(KEYS)})
    cluster.wait_until_healthy()
    return WorkerCommand(tmp_path, cluster)


@pytest.fixture
def slow(worker: WorkerCommand) -> WorkerCommand:
    """Give the command for a cluster whose transfers take six seconds."""
    set_key_delay(worker.cluster, KEY_DELAY)
    return worker


def set_key_delay(cluster: Cluster, microseconds: int) -> None:
    """Slow the transfers of the running nodes down, from their next one on."""
    for node in cluster.data_nodes:
        if node.running:
            with node.client() as client:
                client.config_set("rdb-key-save-delay", str(microseconds))


def wait_for(condition: Callable[[], bool], what: str, timeout: float = 20.0) -> None:
    """Poll until the condition holds."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout} s: {what}"
        time.sleep(0.02)


def transfers(node: Process) -> int:
    """Say how many transfers a node has begun to anyone."""
    return node.log.count("Background RDB transfer started")


def wait_for_transfer(
    worker: WorkerCommand, process: subprocess.Popen[str], timeout: float = 20.0
) -> Process:
    """Wait until a replica sends to the running command; return that replica."""
    replicas = worker.cluster.replicas
    before = {node.name: transfers(node) for node in replicas}
    found: list[Process] = []

    def begun() -> bool:
        assert process.poll() is None, process.communicate()
        found[:] = [node for node in replicas if transfers(node) > before[node.name]]
        return bool(found)

    wait_for(begun, "a transfer", timeout)
    time.sleep(0.5)
    return found[0]


def objects(worker: WorkerCommand) -> list[str]:
    """List every file in the store, hidden ones too."""
    root = worker.store
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
