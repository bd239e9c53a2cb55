"""The ways to copy a node's data with stock tools alone: what a snapshot is measured against."""

import os
import shlex
import subprocess
import time
from dataclasses import dataclass

from tests.processes import cluster_files as files
from tests.processes.cluster_process import Process
from tests.processes.worker_command import WorkerCommand


@dataclass(frozen=True)
class Run:
    """Wall time (s) of one run; for ours also the transfer alone, CPU time and peak RSS (bytes)."""

    seconds: float
    transfer: float = 0.0
    cpu: float = 0.0
    peak: int = 0


def redis_cli(replica: Process) -> list[str]:
    """Return the stock client's words; its password is in `secret`."""
    command = ["redis-cli", "-h", replica.address.host, "-p", str(replica.address.port)]
    return [*command, "--tls", "--cacert", str(replica.access.ca), "--user", "backup"]


def secret() -> dict[str, str]:
    """Return the environment with that password."""
    return os.environ | {"REDISCLI_AUTH": files.PASSWORDS["backup"]}


def run_redis_cli(replica: Process) -> Run:
    """Time the stock client."""
    began = time.monotonic()
    done = subprocess.run(
        [*redis_cli(replica), "--rdb", "/dev/null"],
        env=secret(),
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.monotonic() - began
    # It exits with 1 because /dev/null can be neither truncated nor synced.
    if "Transfer finished with success" not in done.stderr:
        raise RuntimeError(done.stderr)
    return Run(seconds)


def run_piped(replica: Process, worker: WorkerCommand) -> Run:
    """Time what one would write by hand: the stock client into zstd into age into a file."""
    transfer = shlex.join([*redis_cli(replica), "--rdb", "-"])
    run, said = _sealed(f"{transfer} | zstd -1", worker)
    if "Transfer finished with success" not in said:
        raise RuntimeError(said)
    return run


def run_bgsave(replica: Process, worker: WorkerCommand) -> Run:
    """Time the other usual way: a save to the node's own disk, then zstd and age over the file."""
    began = time.monotonic()
    with replica.client(timeout=600.0) as client:
        client.bgsave()
        while client.info("persistence")["rdb_bgsave_in_progress"]:
            time.sleep(0.01)
    saved = time.monotonic() - began
    sealed, _ = _sealed(f"zstd -1 < {replica.data / 'dump.rdb'}", worker)
    return Run(saved + sealed.seconds)


def _sealed(source: str, worker: WorkerCommand) -> tuple[Run, str]:
    """Time a pipe that ends in age and a file, synced as ours are; return what it said, too."""
    target = worker.directory / "by-hand.age"
    script = f"{source} | age -r {worker.identity.to_public()} > {target} && sync {target}"
    began = time.monotonic()
    done = subprocess.run(
        ["bash", "-c", script], env=secret(), capture_output=True, text=True, check=False
    )
    seconds = time.monotonic() - began
    if done.returncode:
        raise RuntimeError(done.stderr)
    target.unlink()
    return Run(seconds), done.stderr
