"""The server that is taken over: how to reach it, what it is like, how its writes are stopped.

It is closed by making it the replica of a port where nobody listens: it keeps its data, serves
reads, and refuses every write, those of scripts included, until it is opened or restarted. One
that is set up to be written as a replica (`replica-read-only no`) is told otherwise meanwhile.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import time
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from backup_worker.adopt.rights import READ_ONLY, asked, denied, may_forbid, writable_replica
from backup_worker.errors import BackupError, ClusterUnreachable
from redis_ha.connection import PLAIN_HANDSHAKE, Address, TlsConnection
from redis_ha.discovery import one_line

NOWHERE = Address("127.0.0.1", 1)
_TIMEOUT = 5.0


@dataclass(frozen=True)
class Source:
    """How to reach it; `ca` (a file) for TLS, None for a plain port; without a user the default."""

    address: Address
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca: Path | None = None

    def connect(self, *, timeout: float = _TIMEOUT) -> redis.Redis:
        """Open a client of one connection that fails at once."""
        client = redis.Redis(
            host=self.address.host,
            port=self.address.port,
            username=self.username,
            password=self.password,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            retry=Retry(NoBackoff(), 0),
            decode_responses=True,
            **PLAIN_HANDSHAKE,
        )
        if self.ca is not None:
            client.connection_pool.connection_class = TlsConnection
            client.connection_pool.connection_kwargs["ca"] = str(self.ca)
        return client

    def pause(self, *, seconds: float) -> int:
        """Hold its writes back, at most that long; return its replication offset (bytes) then."""
        with self.connect() as client:
            client.execute_command("CLIENT", "PAUSE", str(int(seconds * 1000)), "WRITE")
            return int(client.info("replication")["master_repl_offset"])

    def run_id(self) -> str:
        """Return the name of its process."""
        with self.connect() as client:
            return str(client.info("server")["run_id"])

    def close(self) -> None:
        """Refuse writes from now on; those held back get their refusal.

        As it was before, but for the pause, where it can't be kept from being written as a replica.
        """
        with self.connect() as client:
            client.execute_command("REPLICAOF", NOWHERE.host, str(NOWHERE.port))
            try:
                _require_read_only(client)
            except (redis.RedisError, OSError):
                with suppress(redis.RedisError, OSError):
                    client.execute_command("REPLICAOF", "NO", "ONE")
                raise
            client.execute_command("CLIENT", "UNPAUSE")

    def reopen(self, *, writable_replica: bool = False) -> None:
        """Let it be written again, if it was closed or paused by an adoption.

        `writable_replica` says that its `replica-read-only` was `no` before.
        """
        with self.connect() as client:
            if is_closed(client.info("replication")):
                client.execute_command("REPLICAOF", "NO", "ONE")
            if writable_replica:
                client.config_set(READ_ONLY, "no")
            client.execute_command("CLIENT", "UNPAUSE")

    def keys(self) -> dict[str, int]:
        """Return how many keys each database holds."""
        with self.connect() as client:
            return keys_by_database(client.info("keyspace"))


@dataclass(frozen=True)
class SourceState:
    """What it says of itself; sizes in bytes, times in seconds.

    `modules`, `watched`, `denied` and `writable_replica` are None where the user may not ask;
    `skew` is how far its clock is ahead of ours. A `writable_replica` takes writes even as a
    replica; `may_forbid` says whether the user may change that.
    """

    engine: str
    version: str
    role: str
    run_id: str
    loading: bool = False
    cluster_mode: bool = False
    closed: bool = False
    keys: Mapping[str, int] = field(default_factory=dict)
    used_memory: int = 0
    maxmemory: int = 0
    policy: str = ""
    replicas: int = 0
    append_only: bool = False
    modules: frozenset[str] | None = frozenset()
    functions: int = 0
    users: int = 0
    watched: bool | None = False
    denied: tuple[str, ...] | None = ()
    writable_replica: bool | None = False
    may_forbid: bool = True
    latency: float = 0.0
    skew: float = 0.0

    @property
    def total(self) -> int:
        """Keys of all databases."""
        return sum(self.keys.values())


def ask(source: Source) -> SourceState:
    """Ask it for all that decides whether it can be taken over; raises ClusterUnreachable."""
    try:
        with source.connect() as client:
            began = time()
            seconds, micros = client.time()
            latency = time() - began
            return _parse(
                client.info("everything"),
                modules=modules_of(client),
                functions=functions_of(client),
                users=len(asked(client, "ACL", "USERS") or ["default"]) - 1,
                watched=_watched(client),
                denied=denied(client),
                writable_replica=writable_replica(client),
                may_forbid=may_forbid(client),
                latency=latency,
                skew=seconds + micros / 1e6 - began - latency / 2,
            )
    except (redis.RedisError, OSError) as error:
        raise unreachable(source, error) from error
    except (KeyError, ValueError, TypeError) as error:
        raise unreachable(source, ValueError("its answer is not a Redis server's")) from error


def unreachable(source: Source, error: Exception) -> BackupError:
    """Build the error of a source that can't be asked, seen from where the command runs."""
    return ClusterUnreachable(
        operation="reach the source",
        subject=str(source.address),
        cause=one_line(error),
        hint="it must be reachable from where the backup worker runs: check address, port, --user,"
        " the password, and --tls with --ca for a TLS port",
    )


def _parse(info: Mapping[str, Any], **asked: Any) -> SourceState:
    valkey = "valkey_version" in info
    return SourceState(
        engine="valkey" if valkey else "redis",
        version=str(info["valkey_version" if valkey else "redis_version"]),
        role=str(info["role"]),
        run_id=str(info["run_id"]),
        loading=bool(int(info.get("loading", 0))),
        cluster_mode=bool(int(info.get("cluster_enabled", 0))),
        closed=is_closed(info),
        keys=keys_by_database(info),
        used_memory=int(info["used_memory"]),
        maxmemory=int(info.get("maxmemory", 0)),
        policy=str(info.get("maxmemory_policy", "")),
        replicas=int(info["connected_slaves"]),
        append_only=bool(int(info.get("aof_enabled", 0))),
        **asked,
    )


def is_closed(info: Mapping[str, Any]) -> bool:
    """Say whether an adoption closed it, given its INFO on replication."""
    if info["role"] != "slave":
        return False
    return Address(str(info["master_host"]), int(info["master_port"])) == NOWHERE


def keys_by_database(info: Mapping[str, Any]) -> dict[str, int]:
    """Read INFO keyspace: `db0` and so on to the number of keys."""
    databases = (name for name in info if name.startswith("db") and name[2:].isdigit())
    return {name: int(info[name]["keys"]) for name in databases}


def modules_of(client: redis.Redis) -> frozenset[str] | None:
    """Return the names of the modules loaded; None where the user may not ask."""
    rows = asked(client, "MODULE", "LIST")
    if rows is None:
        return None
    return frozenset(str(_row(row).get("name", row)) for row in rows)


def functions_of(client: redis.Redis) -> int:
    """Return how many function libraries there are; 0 before Redis 7.0."""
    return len(asked(client, "FUNCTION", "LIST") or ())


def _watched(client: redis.Redis) -> bool | None:
    """Sentinels name their connections sentinel-ID-cmd and -pubsub."""
    clients = asked(client, "CLIENT", "LIST")
    return None if clients is None else "sentinel-" in str(clients)


def _row(row: Any) -> dict[str, Any]:
    if isinstance(row, dict):
        return {_text(name): _text(value) for name, value in row.items()}
    return dict(zip(row[::2], row[1::2], strict=False))


def _text(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value


def _require_read_only(client: redis.Redis) -> None:
    """See that a replica refuses writes; asks for no right where it does so already."""
    if not int(client.info("replication").get("slave_read_only", 0)):
        client.config_set(READ_ONLY, "yes")
