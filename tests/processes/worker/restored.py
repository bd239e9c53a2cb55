"""What the tests of the whole worker have in common: a point of a store is restored and loaded."""

from contextlib import suppress
from pathlib import Path

import redis

from tests.processes.backup.conftest import wait_for
from tests.processes.restore.test_files import stock_redis
from tests.processes.worker.running import log_catalog
from tests.processes.worker_command import WorkerCommand


def whole_log_shipped(worker: WorkerCommand, store: Path | None = None, timeout: float = 40) -> int:
    """Wait until all that the master sent is in the store; return where that ends."""
    with worker.cluster.settled_master().client() as client:
        client.set("the last", "write")
        offset = int(client.info("replication")["master_repl_offset"])
    catalog = log_catalog(worker, store)
    wait_for(lambda: max(n.end for n in catalog.list().names) >= offset, "the log's end", timeout)
    return offset


def restore(
    worker: WorkerCommand,
    *words: str,
    target: Path,
    store: Path | None = None,
    timeout: float = 120,
) -> None:
    """Write a point of the worker's store, or of a folder, to a directory."""
    settings = {} if store is None else {"REDIS_BACKUP_STORE": f"file://{store}"}
    words = ("restore", *words, "--identity", str(worker.identity_file), "--output", str(target))
    done = worker.run(*words, settings=settings, timeout=timeout)
    assert done.returncode == 0, done.stderr


def restored_digest(worker: WorkerCommand, offset: int, timeout: float = 120) -> str:
    """Restore an offset; return the DEBUG DIGEST of a stock server that starts from it."""
    target = worker.directory / "restored"
    restore(worker, "--offset", str(offset), target=target, timeout=timeout)
    return loaded_digest(target, timeout)


def loaded_digest(target: Path, timeout: float = 120) -> str:
    """Return the DEBUG DIGEST of a stock server that starts from a directory."""
    with stock_redis(target, appendonly="yes") as client:
        wait_for(lambda: _has_loaded(client), "a loaded server", timeout)
        return str(client.execute_command("DEBUG", "DIGEST"))


def _has_loaded(client: "redis.Redis") -> bool:
    with suppress(redis.ConnectionError):  # BusyLoadingError is one
        return bool(client.ping())
    return False
