"""The drill: a snapshot is read back, decrypted, loaded by a server of its own, and asked.

Plain data lies on the disk only in a private directory and only until the server has loaded it.
The one-time key, by which the worker can read what it has just written, is never stored.
"""

import hashlib
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from typing import Any, TextIO

import redis

import age
from backup_worker import manifest as manifests
from backup_worker import memory
from backup_worker.errors import BackupError, SnapshotCorrupt
from backup_worker.manifest import Manifest
from backup_worker.progress import Progress, Report, ignore
from backup_worker.proving import proof as proofs
from backup_worker.proving import scratch, scratch_private
from backup_worker.proving.proof import By, Held, Loader, Proof
from backup_worker.proving.scratch import RDB_NAME, ScratchServer
from backup_worker.replication.rdb import MAX_PREAMBLE, PreambleReader
from backup_worker.store.contract import Store
from backup_worker.transform.signing import Signer

DIRECTORY_NAME = "drill"
LOCK_NAME = "drill.lock"
# A server refuses an RDB with more databases than it is configured for; each costs it 1 KiB.
DATABASES = 1024
# What a loaded dataset needs beyond what its source used: a margin for another allocator's luck.
_MEMORY_FACTOR = 1.1
# Far below what DEBUG DIGEST does on one core (bytes/s); it answers nothing until it is done.
_DIGEST_PACE = 5_000_000


class NoDrill(BackupError):
    """A drill can't be made here and now; that says nothing of the snapshot."""


@dataclass(frozen=True)
class Proving:
    """Where drills are made, below `state`; `patience` (s) is how long nothing may move in one.

    `queue` (s) is how long to wait for another drill to end.
    """

    state: Path
    patience: float = 120.0
    queue: float = 0.0
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    available_memory: Callable[[], int] = memory.available


@dataclass(frozen=True)
class Drill:
    """One drill under way: the one-time key, the private directory, and since when."""

    proving: Proving
    directory: Path
    identity: age.Identity = field(repr=False)

    def receive(self, content: Iterable[bytes], *, size: int) -> None:
        """Write an RDB of `size` bytes where the server will load it.

        Raises what `content` raises, and NoDrill when there is no room for it.
        """
        free = shutil.disk_usage(self.directory).free
        if free < size:
            raise no_drill(f"{self.directory} has {free} bytes free, the RDB takes {size}")
        path = self.directory / RDB_NAME
        try:
            with path.open("wb") as file:
                for chunk in content:
                    file.write(chunk)
        except OSError as error:
            path.unlink(missing_ok=True)
            raise no_drill(f"{path}: {error.strerror or error}") from error

    def prove(
        self,
        manifest: Manifest,
        *,
        by: By,
        seconds: Callable[[], float],
        databases: int = 0,
        report: Report = ignore,
    ) -> Proof:
        """Load what was received and say what the server then holds.

        `seconds` says how long it has taken since the reading began. A snapshot that the server
        does not accept gets a proof that says so; NoDrill is raised when it could not run.
        """
        self._require_memory()
        held, cause = self._load(max(databases, DATABASES), report)
        return self._verdict(manifest, held, cause, by=by, seconds=seconds)

    def fail(
        self, manifest: Manifest, cause: str, *, by: By, seconds: Callable[[], float]
    ) -> Proof:
        """Say that the snapshot could not even be read."""
        return self._verdict(manifest, None, cause, by=by, seconds=seconds)

    def _verdict(
        self,
        manifest: Manifest,
        held: Held | None,
        cause: str,
        *,
        by: By,
        seconds: Callable[[], float],
    ) -> Proof:
        binary = scratch.find_binary()
        return Proof(
            snapshot=manifest.id,
            cause=cause,
            held=held,
            seconds=round(seconds(), 3),
            loader=Loader(binary.engine, binary.version),
            rdb_sha256=manifest.rdb.sha256,
            at=self.proving.clock(),
            by=by,
            term=manifest.term,
        )

    def _require_memory(self) -> None:
        """Raise NoDrill when the dataset is too large: better none than a worker killed for it."""
        with (self.directory / RDB_NAME).open("rb") as file:
            preamble = PreambleReader().feed(file.read(MAX_PREAMBLE))
        used = int(preamble.fields.get("used-mem", 0)) if preamble else 0
        needed, available = int(used * _MEMORY_FACTOR), self.proving.available_memory()
        if needed > available:
            raise no_drill(f"the data takes {needed} bytes of memory, {available} are available")

    def _load(self, databases: int, report: Report) -> tuple[Held | None, str]:
        try:
            with scratch_private.running(
                self.directory,
                databases=databases,
                patience=self.proving.patience,
                on_progress=lambda percent: report(Progress("load", int(percent), 100)),
            ) as server:
                held, info = _ask(server, self.proving.patience, report)
                return held, proofs.judge(info, held)
        except SnapshotCorrupt as error:
            return None, error.cause
        except (BackupError, redis.RedisError, OSError) as error:
            cause = error.cause if isinstance(error, BackupError) else str(error)
            raise no_drill(cause) from error


def publish(proof: Proof, store: Store, signer: Signer) -> None:
    """Sign a proof and write it, in the place of an earlier one."""
    envelope = signer.sign(proofs.encode(proof), payload_type=proofs.PAYLOAD_TYPE)
    store.put(manifests.proof_key(proof.snapshot), [envelope])


@contextmanager
def begin(proving: Proving) -> Iterator[Drill]:
    """Begin a drill; at the end its directory is gone, and so is the key.

    What a killed process left goes first. Raises NoDrill when no server is installed, another
    drill is under way, or the directory can't be written.
    """
    try:
        scratch.find_binary()
    except BackupError as error:
        raise no_drill(error.cause) from error
    with _exclusive(proving.state, proving.queue), _workspace(proving.state) as directory:
        yield Drill(proving, directory, age.Identity.generate())


def clear(state: Path) -> None:
    """Remove what a killed drill left, unless one is under way."""
    with suppress(NoDrill), _exclusive(state):
        shutil.rmtree(state / DIRECTORY_NAME, ignore_errors=True)


def against(proof: Proof, earlier: Proof | None) -> Proof:
    """Return a proof that fails where it contradicts an earlier one of the same snapshot.

    What a failed proof does not know, or knows otherwise, is kept as the earlier one says it.
    """
    if earlier is None:
        return proof
    problem = proofs.contradiction(proof, earlier)
    if problem or proof.held is None:
        return replace(proof, cause=proof.cause or problem, held=earlier.held)
    return proof


@contextmanager
def _workspace(state: Path) -> Iterator[Path]:
    with ExitStack() as stack:
        with _translated(state):
            directory = stack.enter_context(scratch.workspace(state, name=DIRECTORY_NAME))
        yield directory


@contextmanager
def _exclusive(state: Path, queue: float = 0.0) -> Iterator[None]:
    with _translated(state):
        state.mkdir(parents=True, exist_ok=True)
        file = (state / LOCK_NAME).open("w")
    with file:
        deadline = time.monotonic() + queue
        while not _locked(file):
            if time.monotonic() >= deadline:
                raise no_drill("another drill is under way")
            time.sleep(0.1)
        yield


def _locked(file: TextIO) -> bool:
    try:
        flock(file, LOCK_EX | LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _translated(state: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise no_drill(f"{state}: {error.strerror or error}") from error


def _ask(server: ScratchServer, patience: float, report: Report) -> tuple[Held, Mapping[str, Any]]:
    """Ask a server what it holds; a sign of life each second while it computes its digest."""
    with server.client() as client:
        info = client.info()
        libraries = client.execute_command("FUNCTION", "LIST", "WITHCODE")
    patience += int(info["used_memory"]) / _DIGEST_PACE
    with ThreadPoolExecutor(1) as pool:
        digest = pool.submit(_digest, server.directory, patience)
        _await(digest, lambda: report(Progress("digest")), server)
    return Held(digest.result(), _keys(info), dict(map(_function, libraries))), info


def _await(digest: "Future[str]", alive: Callable[[], None], server: ScratchServer) -> None:
    """Wait for the digest; whatever ends the wait early ends the server, so that it fails."""
    try:
        while not digest.done():
            alive()
            with suppress(TimeoutError):
                digest.exception(timeout=1.0)
    except BaseException:
        server.stop()
        raise


def _digest(directory: Path, timeout: float) -> str:
    with scratch_private.connect(directory, timeout=timeout) as client:
        return str(client.execute_command("DEBUG", "DIGEST"))


def _keys(info: Mapping[str, Any]) -> dict[int, int]:
    rows = ((name.removeprefix("db"), row) for name, row in info.items() if name[:2] == "db")
    return {int(number): int(row["keys"]) for number, row in rows if number.isdigit()}


def _function(row: list[Any]) -> tuple[str, str]:
    fields = dict(zip(row[::2], row[1::2], strict=True))
    code = str(fields["library_code"]).encode()
    return str(fields["library_name"]), hashlib.sha256(code).hexdigest()


def no_drill(cause: str) -> NoDrill:
    """Say why a drill can't be made."""
    return NoDrill(
        operation="prove",
        subject="the snapshot",
        cause=cause,
        hint="`backup-worker verify` proves it with your key, here or where there is room",
    )
