"""Runs a command inside the worker's container, where the cluster's network and the keys are.

On the operator's machine REDIS_BACKUP_CONTAINER names the container; the same command line is
then run in there with `docker exec`. Secrets go in by standard input or by the names of
environment variables, never on a command line.
"""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from backup_worker.config import WorkerConfig
from backup_worker.errors import ClusterUnreachable, UsageError

PROGRAM = "backup-worker"
_INSPECT_SECONDS = 30


def is_elsewhere(config: WorkerConfig, *, inside: Path = Path("/etc/redis-ha/worker.env")) -> bool:
    """Say whether commands must be forwarded: a container is named and this isn't it."""
    return config.container is not None and not inside.exists()


def run(
    config: WorkerConfig,
    args: Sequence[str],
    *,
    stdin: bytes | BinaryIO | None = None,
    extra: Mapping[str, str] | None = None,
) -> int:
    """Run `backup-worker ARGS...` in the container and return its exit code.

    `stdin` is piped in, or read from its file; None passes our own standard input on. The
    operator's credentials reach the command through its environment, and so does `extra`.
    Raises ClusterUnreachable when the container doesn't run, UsageError without a docker command.
    """
    container = config.container or ""
    require_running(container)
    environment = operator_environment(config) | dict(extra or {})
    terminal = stdin is None and sys.stdin.isatty() and sys.stdout.isatty()
    command = exec_command(container, args, names=sorted(environment), terminal=terminal)
    environment = os.environ | environment
    if isinstance(stdin, bytes):
        return subprocess.run(command, input=stdin, env=environment, check=False).returncode
    return subprocess.run(command, stdin=stdin, env=environment, check=False).returncode


def exec_command(
    container: str, args: Sequence[str], *, names: Sequence[str], terminal: bool
) -> list[str]:
    """Build the docker command line; `names` are environment variables, whose values docker reads.

    With a terminal ^C reaches the command; without one docker would translate line ends.
    """
    flags = ["-i", "-t"] if terminal else ["-i"]
    for name in names:
        flags += ["-e", name]
    return ["docker", "exec", *flags, container, PROGRAM, *args]


def operator_environment(config: WorkerConfig) -> dict[str, str]:
    """Return the operator's credentials as environment variables; empty when there are none."""
    if config.operator is None:
        return {}
    return {
        "REDIS_OPERATOR_USERNAME": config.operator.username,
        "REDIS_OPERATOR_PASSWORD": config.operator.password,
    }


def require_running(container: str) -> None:
    """Raise ClusterUnreachable when the container doesn't run, UsageError without docker."""
    command = ["docker", "container", "inspect", "-f", "{{.State.Running}}", container]
    try:
        found = subprocess.run(
            command, capture_output=True, text=True, timeout=_INSPECT_SECONDS, check=False
        )
    except FileNotFoundError as error:
        raise UsageError(
            operation="run",
            subject="docker",
            cause="there is no docker command, and REDIS_BACKUP_CONTAINER asks for one",
            hint="install the Docker client, or unset REDIS_BACKUP_CONTAINER to work from here",
        ) from error
    except subprocess.TimeoutExpired as error:
        raise _not_there(container, "the Docker daemon does not answer") from error
    if found.returncode:
        raise _not_there(container, (found.stderr.strip().splitlines() or ["unknown error"])[-1])
    if found.stdout.strip() != "true":
        raise _not_there(container, "the container is stopped")


def _not_there(container: str, cause: str) -> ClusterUnreachable:
    return ClusterUnreachable(
        operation="reach the backup worker in",
        subject=f"container {container}",
        cause=cause,
        hint="start it (`make up`), then try again",
    )
