"""Who is master: what the sentinels say, and what the data nodes say of themselves.

Asking is thin and bounded; what the answers mean is decided by pure functions on them.
"""

import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import redis

from redis_ha.connection import Address, Credentials, connect
from redis_ha.errors import NoMaster, Unreachable
from redis_ha.explaining import meaning
from redis_ha.explaining import one_line as one_line  # noqa: PLC0414 - it is imported from here

T = TypeVar("T")
# What comes of a server that is away, refuses us, or answers something else than it should: the
# protocol lets a stranger send any type, any depth and any number where another is expected.
NO_ANSWER = (
    *(redis.RedisError, OSError, LookupError, ValueError, TypeError, AttributeError),
    *(ArithmeticError, RecursionError),
)
# An answer that is not complete after so many timeouts is none.
_TIMEOUTS_PER_ANSWER = 2
_DATABASE = re.compile(r"db\d+")


@dataclass(frozen=True)
class Access:
    """How to reach a cluster: its addresses, the user to come as, the CA and the patience (s)."""

    sentinels: tuple[Address, ...]
    master_name: str
    credentials: Credentials
    ca: Path
    timeout: float = 2.0
    # Those that are configured, in the order of their numbers; empty where they aren't known.
    data_nodes: tuple[Address, ...] = ()
    # Where the bridge isn't routed: replaces the host of every address, the port stays.
    host_override: str | None = None

    def locate(self, address: Address) -> Address:
        """Say where this machine reaches a node."""
        return Address(self.host_override or address.host, address.port)

    def connect(self, address: Address, **options: Any) -> redis.Redis:
        """Open a client to a node or a sentinel, options as `redis_ha.connection.connect`."""
        settings: dict[str, Any] = {
            "credentials": self.credentials,
            "ca": self.ca,
            "timeout": self.timeout,
        }
        return connect(self.locate(address), **(settings | options))


@dataclass(frozen=True)
class SentinelView:
    """What one sentinel answers; `master` None when it gave no answer, and `problem` says why."""

    sentinel: Address
    master: Address | None = None
    replicas: int = 0
    flags: frozenset[str] = frozenset()
    # Seconds of silence after which it takes the master for down.
    down_after: float = 5.0
    # Seconds that a failover led by this sentinel may last before it gives it up.
    failover_timeout: float = 180.0
    # Of the configuration that it holds for true; each failover has a higher one.
    config_epoch: int = 0
    problem: str = ""

    @property
    def failing_over(self) -> bool:
        return "failover_in_progress" in self.flags


@dataclass(frozen=True)
class NodeView:
    """What a data node says of itself; role None when it gave no answer, and `problem` says why.

    `offset` is the replication offset in bytes: produced by a master, applied by a replica.
    `link_down_seconds` is None while the link is up; -1 when it never was up in this process.
    """

    address: Address
    role: Literal["master", "slave"] | None = None
    offset: int = 0
    replid: str = ""
    replid2: str = ""
    second_offset: int = -1
    master: Address | None = None
    link_down_seconds: int | None = None
    connected_replicas: int = 0
    # A master that refuses writes once its replicas have left it (min-replicas-to-write).
    fenced: bool = False
    syncing: bool = False
    loading: bool = False
    # The first offset from which it can continue a stream; None without a backlog.
    backlog_start: int | None = None
    keys: int = 0
    run_id: str = ""
    problem: str = ""

    @property
    def link_up(self) -> bool:
        return self.role == "slave" and self.link_down_seconds is None

    def follows(self, master: Address) -> bool:
        """Say whether it is that master's replica, linked and in sync."""
        return self.link_up and self.master == master and not (self.syncing or self.loading)

    @property
    def promotable(self) -> bool:
        """True for a replica that followed its master in this process's life and holds its data."""
        was_linked = self.link_down_seconds is None or self.link_down_seconds >= 0
        return self.role == "slave" and was_linked and not (self.syncing or self.loading)


def majority_master(views: Sequence[SentinelView]) -> Address | None:
    """Return the address that more than half of all configured sentinels name, or None."""
    named = Counter(view.master for view in views if view.master is not None)
    if not named:
        return None
    address, votes = named.most_common(1)[0]
    return address if votes > len(views) // 2 else None


def parse_replication(address: Address, info: Mapping[str, Any]) -> NodeView:
    """Read a node's INFO (server, persistence, replication, keyspace), as redis-py parses it."""
    role: Literal["master", "slave"] = "master" if info["role"] == "master" else "slave"
    common: dict[str, Any] = {
        "address": address,
        "role": role,
        "replid": str(info["master_replid"]),
        "replid2": str(info["master_replid2"]),
        "second_offset": int(info["second_repl_offset"]),
        "connected_replicas": int(info["connected_slaves"]),
        "loading": bool(int(info.get("loading", 0))),
        "backlog_start": _backlog_start(info),
        "keys": sum(int(db["keys"]) for name, db in info.items() if _DATABASE.fullmatch(name)),
        "run_id": str(info.get("run_id", "")),
    }
    if role == "master":
        # INFO has this field only when both settings of the fence are above 0.
        fenced = "min_slaves_good_slaves" in info
        return NodeView(offset=int(info["master_repl_offset"]), fenced=fenced, **common)
    up = info["master_link_status"] == "up"
    return NodeView(
        offset=int(info["slave_repl_offset"]),
        master=Address(str(info["master_host"]), int(info["master_port"])),
        link_down_seconds=None if up else int(info.get("master_link_down_since_seconds", -1)),
        syncing=bool(int(info["master_sync_in_progress"])),
        **common,
    )


def _backlog_start(info: Mapping[str, Any]) -> int | None:
    if not int(info.get("repl_backlog_active", 0)):
        return None
    return int(info["repl_backlog_first_byte_offset"])


def sentinel_fields(client: redis.Redis, master_name: str) -> dict[str, Any]:
    """Ask a sentinel for all it knows of a master, in whichever form redis-py gives it."""
    state: Any = client.execute_command("SENTINEL", "MASTER", master_name)  # type: ignore[no-untyped-call]
    return state if isinstance(state, dict) else dict(zip(state[::2], state[1::2], strict=True))


def flags_of(fields: Mapping[str, Any]) -> frozenset[str]:
    """Return the flags in what `sentinel_fields` gave."""
    flags = fields["flags"]
    return frozenset(flags if isinstance(flags, set | frozenset) else str(flags).split(","))


@contextmanager
def asking(access: Access, address: Address) -> Iterator[redis.Redis]:
    """Open a client for a single question, which is cut off after twice the access's timeout."""
    seconds = _TIMEOUTS_PER_ANSWER * access.timeout
    with access.connect(address) as client, cut_off(client, seconds):
        yield client


@contextmanager
def cut_off(client: redis.Redis, seconds: float) -> Iterator[None]:
    """Close the client's connections when the block takes longer; raises redis.TimeoutError then.

    A socket's timeout begins anew with each byte: a server that sends one now and then would never
    reach it.
    """
    late = threading.Event()

    def cut() -> None:
        late.set()
        client.connection_pool.disconnect()

    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    except NO_ANSWER as error:
        if late.is_set():
            raise redis.TimeoutError(f"Timeout: no whole answer in {seconds:g} s") from error
        raise
    finally:
        timer.cancel()


def ask_sentinel(access: Access, sentinel: Address) -> SentinelView:
    """Ask one sentinel; a failure is an answer too."""
    try:
        with asking(access, sentinel) as client:
            return parse_sentinel(sentinel, sentinel_fields(client, access.master_name))
    except (redis.RedisError, OSError) as error:
        return SentinelView(sentinel, problem=one_line(error))
    except NO_ANSWER:
        return SentinelView(sentinel, problem="its answer is not a sentinel's")


def parse_sentinel(sentinel: Address, fields: Mapping[str, Any]) -> SentinelView:
    """Read what `sentinel_fields` gave."""
    return SentinelView(
        sentinel,
        master=Address(fields["ip"], int(fields["port"])),
        replicas=int(fields["num-slaves"]),
        flags=flags_of(fields),
        down_after=int(fields["down-after-milliseconds"]) / 1000,
        failover_timeout=int(fields["failover-timeout"]) / 1000,
        config_epoch=int(fields["config-epoch"]),
    )


def ask_node(access: Access, address: Address) -> NodeView:
    """Ask one data node what it is; a failure is an answer too."""
    try:
        with asking(access, address) as client:
            return parse_replication(address, client.info())
    except (redis.RedisError, OSError) as error:
        return NodeView(address, problem=one_line(error))
    except NO_ANSWER:
        return NodeView(address, problem="its answer is not a data node's")


def ask_sentinels(access: Access) -> list[SentinelView]:
    """Ask all sentinels at once; silence takes `access.timeout`, and no answer twice that."""
    return at_once(lambda sentinel: ask_sentinel(access, sentinel), access.sentinels)


def ask_nodes(access: Access, addresses: Sequence[Address]) -> list[NodeView]:
    """Ask data nodes at once, in the order given."""
    return at_once(lambda address: ask_node(access, address), addresses)


def replica_addresses(access: Access) -> list[Address]:
    """Return the replicas that the first answering sentinel lists, whatever their state."""
    for sentinel in access.sentinels:
        try:
            with asking(access, sentinel) as client:
                rows = client.sentinel_slaves(access.master_name)
            return sorted(Address(row["ip"], int(row["port"])) for row in rows if int(row["port"]))
        except NO_ANSWER:
            continue
    raise Unreachable(
        operation="list the replicas of",
        subject=access.master_name,
        cause="no sentinel answered",
        hint="check that the sentinels run and that REDIS_SENTINEL_HOST_n/PORT_n name them",
    )


def promotable_by(access: Access, sentinel: Address) -> frozenset[Address]:
    """Return the replicas that a sentinel has seen following; empty when it gives no answer.

    One that it doesn't list, or has only heard of, it can't promote.
    """
    try:
        with asking(access, sentinel) as client:
            rows = client.sentinel_slaves(access.master_name)
        return frozenset(
            Address(row["ip"], int(row["port"]))
            for row in rows
            if flags_of(row) == {"slave"} and row["master-link-status"] == "ok"
        )
    except NO_ANSWER:
        return frozenset()


def named_master(access: Access) -> Address:
    """Return the master that the sentinels' majority names, whatever that node says.

    Raises Unreachable when too few sentinels answer.
    """
    views = ask_sentinels(access)
    address = majority_master(views)
    if address is None:
        raise Unreachable(
            operation="find the master of",
            subject=access.master_name,
            cause=_no_majority(views),
            hint="bring a majority of the sentinels back, then try again",
        )
    return address


def find_master(access: Access) -> Address:
    """Return the master that the sentinels' majority names and that says so itself.

    Raises Unreachable when too few sentinels answer, NoMaster when the node disagrees.
    """
    address = named_master(access)
    node = ask_node(access, address)
    if node.role == "master":
        return address
    raise NoMaster(
        operation="find the master of",
        subject=access.master_name,
        cause=f"the sentinels name {address}, which says: {node.role or node.problem}",
        hint="a failover may be under way: try again in a few seconds",
    )


def _no_majority(views: Sequence[SentinelView]) -> str:
    answers = (
        f"{view.sentinel} says {view.master}" if view.master else _silence(view) for view in views
    )
    return "no majority of the sentinels names one master: " + ", ".join(answers)


def _silence(view: SentinelView) -> str:
    return f"{view.sentinel}: {meaning(view.problem)}"


def at_once(ask: Callable[[Address], T], addresses: Sequence[Address]) -> list[T]:
    """Ask several addresses in parallel; return the answers in their order."""
    with ThreadPoolExecutor(max_workers=max(1, len(addresses))) as pool:
        return list(pool.map(ask, addresses))
