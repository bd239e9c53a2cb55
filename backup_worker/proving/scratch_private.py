"""A scratch redis-server that is reached through its own directory alone: for drills.

It listens on a unix socket in a directory of mode 0700, whose only user may do everything. It is a
replica of a port where nobody answers: a replica drops no key that is past its time to live,
neither at load (rdb.c, rdbLoadRioWithLoadingCtx) nor after, so its digest is the source's.
"""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from backup_worker.proving.scratch import ScratchServer, launch, loaded, loading_lines
from redis_ha.connection import connect_local

SOCKET_NAME = "s"


@contextmanager
def running(
    directory: Path, *, databases: int, patience: float, on_progress: Callable[[float], None]
) -> Iterator[ScratchServer]:
    """Load `directory` as scratch.running does, into a server on a unix socket.

    `directory` is private and its path shorter than 100 characters, a limit of unix sockets.
    """
    with _deaf_port() as port:
        process = launch(directory, render(directory, databases=databases, master_port=port))
        server = ScratchServer("for a drill", directory, process, lambda: connect(directory))
        with loaded(server, patience=patience, on_progress=on_progress):
            yield server


def connect(directory: Path, *, timeout: float = 10.0, db: int = 0) -> redis.Redis:
    """Open a client to the server in `directory`; `timeout` (s) bounds each reply."""
    return connect_local(directory / SOCKET_NAME, timeout=timeout, db=db)


def render(directory: Path, *, databases: int, master_port: int) -> str:
    """Return its configuration."""
    lines = (
        "port 0",
        f'unixsocket "{directory / SOCKET_NAME}"',
        "unixsocketperm 600",
        "enable-debug-command yes",
        *loading_lines(directory, databases=databases),
        f"replicaof 127.0.0.1 {master_port}",
        "replica-serve-stale-data yes",
    )
    return "\n".join((*lines, ""))


@contextmanager
def _deaf_port() -> Iterator[int]:
    """Give a port of loopback that refuses connections and that nobody else can listen on."""
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        yield int(deaf.getsockname()[1])
