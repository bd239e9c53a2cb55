"""A scratch redis-server: loads a snapshot, with or without a log, and feeds it to replicas.

It listens on its own address over TLS, knows two users (the replicas' and a control user with
a password of its own), writes nothing to disk once it has loaded, and dies with the process that
started it. What it loads is `directory`/appendonlydir where that exists (a base RDB and a log, as
stock Redis keeps them), else `directory`/dump.rdb.
"""

import hashlib
import os
import re
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import redis

from backup_worker.config import ScratchSettings
from backup_worker.errors import BackupError, RefusedForSafety, SnapshotCorrupt
from backup_worker.restore.directory import AOF_DIRECTORY, AOF_NAME
from backup_worker.restore.journal import SCRATCH_NAME
from redis_ha.connection import Credentials, connect

ENGINES = ("redis-server", "valkey-server")
RDB_NAME = "dump.rdb"
_CONTROL = "control"
_TOO_NEW = re.compile(r"Can't handle RDB format version (\d+)")
# How a server ends that trips over what it loads: an assertion, or an address that is none.
_CRASHES = (signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL)
# What redis-server says before it aborts for want of memory (server.c, redisOutOfMemoryHandler).
_NO_MEMORY = re.compile(r"out of memory(?: allocating \d+ bytes)?", re.IGNORECASE)
# What redis-server says before it exits because of the files' content (rdb.c, aof.c).
_BAD_FILE = (
    "Short read or OOM",
    "Internal error in RDB",
    "Wrong signature",
    "Wrong RDB checksum",
    "reading the append only file",
)


@dataclass(frozen=True)
class Binary:
    """An installed server program: path, engine (`redis` or `valkey`) and version."""

    path: str
    engine: str
    version: str


@dataclass
class ScratchServer:
    """A running scratch server.

    `place` names it in errors; `open_client` connects as a user that may do everything.
    """

    place: str
    directory: Path
    process: subprocess.Popen[bytes]
    open_client: Callable[[], redis.Redis]
    last_info: dict[str, object] = field(default_factory=dict)
    frozen: bool = False

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def client(self) -> redis.Redis:
        """Open a connection as the user that may do everything."""
        return self.open_client()

    def info(self) -> dict[str, object] | None:
        """Return its INFO, the last known one while it is too busy to answer; None once dead."""
        if not self.alive:
            return None
        with suppress(redis.RedisError, OSError), self.client() as client:
            self.last_info = client.info()
        return self.last_info

    def freeze(self, *, seconds: float) -> None:
        """Keep its replication offset where it is: neither pings nor expirations for a while."""
        with self.client() as client:
            client.config_set("repl-ping-replica-period", int(seconds))
            client.execute_command("CLIENT", "PAUSE", int(seconds * 1000), "WRITE")
        self.frozen = True

    def last_words(self) -> str:
        """Return the end of its log, for an error's cause."""
        log = (self.directory / "log").read_text(errors="replace").strip()
        return log.splitlines()[-1] if log else "it wrote no log"

    def stop(self) -> None:
        """End it at once: it holds nothing that is not elsewhere."""
        self.process.kill()
        self.process.wait(30)


def find_binary() -> Binary:
    """Return the installed server; raises BackupError when there is none."""
    path = next((found for name in ENGINES if (found := shutil.which(name))), None)
    if path is None:
        raise BackupError(
            operation="start",
            subject="scratch server",
            cause=f"neither {' nor '.join(ENGINES)} is installed",
            hint="run the command in the worker's container, or install Redis here",
        )
    text = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout
    version = re.search(r"v=(\S+)", text)
    engine = "valkey" if "valkey" in text.lower() else "redis"
    return Binary(path, engine, version[1] if version else "0")


@contextmanager
def workspace(state: Path, *, name: str = SCRATCH_NAME) -> Iterator[Path]:
    """Give an empty private directory for decrypted data; what a killed process left goes first.

    The caller holds the lock of that `name`'s users (restore.journal.exclusive for a restore):
    nobody else works in it.
    """
    directory = state / name
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(mode=0o700, parents=True)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def running(
    settings: ScratchSettings,
    *,
    ca: Path,
    directory: Path,
    databases: int,
    patience: float,
    on_progress: Callable[[float], None],
) -> Iterator[ScratchServer]:
    """Start a server on `directory` and wait until all is loaded; end it at the end.

    `on_progress` gets percents; `patience` (s) is how long the next one may take. The files are
    deleted once loaded: decrypted data lies on disk no longer than needed. Raises SnapshotCorrupt
    when the server does not accept them, RefusedForSafety when they are of a newer RDB version,
    BackupError when it cannot run.
    """
    server = start(settings, ca=ca, directory=directory, databases=databases)
    with loaded(server, patience=patience, on_progress=on_progress):
        yield server


@contextmanager
def loaded(
    server: ScratchServer, *, patience: float, on_progress: Callable[[float], None]
) -> Iterator[None]:
    """Wait until a started server has loaded its files, delete them, end it with the block."""
    try:
        _wait_until_loaded(server, patience, on_progress)
        _forget_files(server)
        yield
    finally:
        server.stop()


def start(settings: ScratchSettings, *, ca: Path, directory: Path, databases: int) -> ScratchServer:
    """Start the process and return at once."""
    control = Credentials(_CONTROL, secrets.token_hex(32))
    text = render(settings, ca=ca, directory=directory, control=control, databases=databases)
    return ScratchServer(
        f"on {settings.address}",
        directory,
        launch(directory, text),
        lambda: connect(settings.address, credentials=control, ca=ca, timeout=10.0),
    )


def launch(directory: Path, configuration: str) -> subprocess.Popen[bytes]:
    """Start the installed server with a configuration; its log is `directory`/log.

    It dies with the process that started it. Raises BackupError when none is installed.
    """
    config = directory / "scratch.conf"
    config.write_text(configuration)
    command = bound(find_binary().path, str(config), parent=os.getpid())
    with (directory / "log").open("wb") as log:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, umask=0o077
        )


def bound(*command: str, parent: int) -> list[str]:
    """Return what runs a command that dies with its parent.

    A parent that had died before the signal was asked for would never send it: then it isn't run.
    """
    guard = '[ "$PPID" = "$1" ] || exit 1; shift; exec "$@"'
    return ["setpriv", "--pdeathsig", "KILL", "sh", "-c", guard, "sh", str(parent), *command]


def render(
    settings: ScratchSettings, *, ca: Path, directory: Path, control: Credentials, databases: int
) -> str:
    """Return its configuration; passwords only as hashes.

    With repl-diskless-sync-max-replicas one fork serves the three data nodes as soon as all are
    there; the delay is for those that come without the others.
    """
    replica = settings.replica
    lines = (
        f"bind {settings.address.host}",
        "port 0",
        f"tls-port {settings.address.port}",
        f"tls-cert-file {settings.certificate}",
        f"tls-key-file {settings.private_key}",
        f"tls-ca-cert-file {ca}",
        "tls-auth-clients no",
        # Nobody can log in as it, but the loading of a log runs as it: without permissions EXEC
        # skips each transaction's commands, and says nothing (Redis 7.0, multi.c, execCommand).
        "user default off resetpass ~* &* +@all",
        f"user {replica.username} on #{_sha256(replica)} resetkeys -@all +psync +replconf +ping",
        f"user {control.username} on #{_sha256(control)} ~* &* +@all",
        *loading_lines(directory, databases=databases),
        "repl-diskless-sync yes",
        "repl-diskless-sync-delay 10",
        "repl-diskless-sync-max-replicas 3",
        "repl-timeout 3600",
        "client-output-buffer-limit replica 0 0 0",
    )
    return "\n".join((*lines, ""))


def loading_lines(directory: Path, *, databases: int) -> tuple[str, ...]:
    """Return the lines of a configuration that say what is loaded: all of it, or nothing."""
    return (
        f'dir "{directory}"',
        f"dbfilename {RDB_NAME}",
        f"databases {databases}",
        'save ""',
        f"appendonly {'yes' if (directory / AOF_DIRECTORY).is_dir() else 'no'}",
        f"appendfilename {AOF_NAME}",
        f"appenddirname {AOF_DIRECTORY}",
        "appendfsync no",
        "auto-aof-rewrite-percentage 0",
        "aof-load-truncated no",
        "maxmemory 0",
        "daemonize no",
    )


def _sha256(user: Credentials) -> str:
    return hashlib.sha256(user.password.encode()).hexdigest()


def _wait_until_loaded(
    server: ScratchServer, patience: float, on_progress: Callable[[float], None]
) -> None:
    """Wait as long as loading gets on."""
    deadline, reached = time.monotonic() + patience, 0.0
    while time.monotonic() < deadline:
        info = server.info()
        if info is None:
            raise _refused(server)
        if info and not int(str(info.get("loading", 0))):
            on_progress(100.0)
            return
        percent = float(str(info.get("loading_loaded_perc", 0.0)))
        if percent > reached:
            deadline, reached = time.monotonic() + patience, percent
            on_progress(percent)
        time.sleep(0.1)
    raise _failed(server, f"no progress for {patience:.0f} s at {reached:.0f} %")


def _forget_files(server: ScratchServer) -> None:
    """Delete what was loaded; a server that would append to it stops that first."""
    append_only = server.directory / AOF_DIRECTORY
    try:
        with server.client() as client:
            client.config_set("appendonly", "no")
    except (redis.RedisError, OSError) as error:
        raise _failed(server, str(error)) from error
    shutil.rmtree(append_only, ignore_errors=True)
    (server.directory / RDB_NAME).unlink(missing_ok=True)


def _refused(server: ScratchServer) -> BackupError:
    """Say why the process ended while it loaded."""
    log = (server.directory / "log").read_text(errors="replace")
    if version := _TOO_NEW.search(log):
        return RefusedForSafety(
            operation="load",
            subject="the snapshot into the scratch server",
            cause=f"it does not read RDB version {version[1]}",
            hint="run the restore with the engine that wrote the snapshot, or a newer one",
        )
    if memory := _NO_MEMORY.search(log):
        return _failed(server, f"it aborted: {memory[0]}")
    bad = next((line for line in log.splitlines() if any(text in line for text in _BAD_FILE)), None)
    if bad is None and -server.process.returncode not in _CRASHES:
        return _failed(server, _death(server))
    return SnapshotCorrupt(
        operation="load",
        subject="the snapshot into the scratch server",
        cause=bad.partition("# ")[2] or bad if bad else f"the server crashed: {_crash(log)}",
        hint="restore another snapshot: `backup-worker list` shows them",
    )


def _crash(log: str) -> str:
    """Return the line of a crash report that says what went wrong."""
    lines = [line.partition("# ")[2] for line in log.splitlines() if "# " in line]
    telling = (line for line in lines if line.startswith(("==>", "===>", "Guru", "crashed by")))
    return next(telling, lines[-1] if lines else "it wrote no log").lstrip("=> ")


def _death(server: ScratchServer) -> str:
    code = server.process.returncode
    how = f"was killed by signal {-code}" if code < 0 else f"ended with status {code}"
    return f"it {how}: {server.last_words()}"


def _failed(server: ScratchServer, cause: str) -> BackupError:
    return BackupError(
        operation="run",
        subject=f"scratch server {server.place}",
        cause=cause,
        hint="check its address, port and memory; the cluster was not touched by it",
    )
