"""Writers that keep a steady rate, each a process of its own, and their ledger on disk.

A writer SETs `steady:<writer>:<n>` in small pipelined batches on whichever node says that it is
master. After each batch it notes which numbers were acknowledged and when; a number whose answer
never came is not used again.
"""

import multiprocessing
import random
import socket
import ssl
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import takewhile
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Self

from redis_ha.connection import Address
from redis_ha.discovery import Access, ask_nodes
from tests.processes.cluster import Cluster

if TYPE_CHECKING:
    import redis

# first and last number, time of the last acknowledgement (ms since 1970)
RECORD = struct.Struct("<QQQ")
_OK = b"+OK\r\n"
_TIMEOUT = 5.0


@dataclass(frozen=True)
class Plan:
    """What one writer does: `rate` writes a second of `value` bytes, `batch` at a time.

    The numbers of its keys begin again after `keys` of them; 0: never.
    """

    access: Access
    nodes: tuple[Address, ...]
    number: int
    ledger: Path
    rate: float
    value: int = 10
    keys: int = 0
    batch: int = 50


@dataclass(frozen=True)
class Batch:
    """Acknowledged numbers of one writer, and when the last of them was (ms)."""

    writer: int
    first: int
    last: int
    time_ms: int

    @property
    def keys(self) -> list[str]:
        return [f"steady:{self.writer}:{n}" for n in range(self.first, self.last + 1)]


@dataclass
class Steady:
    """The writers of a test; `batches` may be read while they run."""

    plans: list[Plan]
    processes: list[BaseProcess]

    @property
    def batches(self) -> list[Batch]:
        """All that was acknowledged: writer by writer, in order."""
        return [batch for plan in self.plans for batch in read_ledger(plan)]

    @property
    def acknowledged(self) -> int:
        """The number of acknowledged writes so far."""
        return sum(batch.last - batch.first + 1 for batch in self.batches)

    @classmethod
    @contextmanager
    def of(cls, plans: list[Plan], write: Callable[[Plan], None]) -> Iterator[Self]:
        """Run a process for each plan during the block, or until `stop`."""
        context = multiprocessing.get_context("spawn")
        run = cls(plans, [context.Process(target=write, args=(plan,)) for plan in plans])
        for process in run.processes:
            process.start()
        try:
            yield run
        finally:
            run.stop()

    def stop(self) -> None:
        for process in self.processes:
            process.terminate()
            process.join()


@contextmanager
def steady(
    cluster: Cluster,
    directory: Path,
    *,
    rate: float,
    writers: int = 2,
    value: int = 10,
    keys: int = 0,
) -> Iterator[Steady]:
    """Write `rate` a second in all from now to the end of the block, or to `stop`."""
    nodes = tuple(node.address for node in cluster.data_nodes)
    plans = [
        Plan(
            cluster.access("app"), nodes, n, directory / f"steady-{n}", rate / writers, value, keys
        )
        for n in range(writers)
    ]
    with Steady.of(plans, write) as run:
        yield run


def read_ledger(plan: Plan) -> Iterator[Batch]:
    """Read what a writer noted; a record that is being written is left out."""
    content = plan.ledger.read_bytes() if plan.ledger.exists() else b""
    whole = len(content) - len(content) % RECORD.size
    for first, last, time_ms in RECORD.iter_unpack(content[:whole]):
        yield Batch(plan.number, first, last, time_ms)


def missing_in(client: "redis.Redis", batches: list[Batch]) -> list[Batch]:
    """Return the batches of which a server lacks a key."""
    missing = []
    for start in range(0, len(batches), 100):
        part = batches[start : start + 100]
        pipeline = client.pipeline(transaction=False)
        for batch in part:
            pipeline.exists(*batch.keys)
        for batch, count in zip(part, pipeline.execute(), strict=True):
            if count != batch.last - batch.first + 1:
                missing.append(batch)
    return missing


def write(plan: Plan) -> None:
    """Write for ever."""
    number = 0
    # Hexadecimal digits: half of it entropy, as text often is.
    pool = random.randbytes(1 << 20).hex().encode()
    with plan.ledger.open("ab", buffering=0) as ledger:
        while True:
            master = _master(plan)
            if master is None:
                time.sleep(0.02)
                continue
            with suppress(OSError), _connected(plan.access, master) as link:
                number = _write_to(link, plan, number=number, pool=pool, ledger=ledger)


def _write_to(
    link: ssl.SSLSocket, plan: Plan, *, number: int, pool: bytes, ledger: BinaryIO
) -> int:
    """Write until a write is not acknowledged; return the last number that was used."""
    began, sent = time.monotonic(), 0
    while True:
        first, number = number + 1, number + plan.batch
        link.sendall(b"".join(_set(plan, n, pool) for n in range(first, number + 1)))
        acknowledged = _answers(link, plan.batch)
        if acknowledged:
            record = RECORD.pack(first, first + acknowledged - 1, time.time_ns() // 1_000_000)
            ledger.write(record)
        if acknowledged < plan.batch:
            return number
        sent += plan.batch
        ahead = began + sent / plan.rate - time.monotonic()
        if ahead > 0:
            time.sleep(ahead)
        elif ahead < -1:
            began, sent = time.monotonic(), 0  # what could not be written is not made up for


def _answers(link: ssl.SSLSocket, count: int) -> int:
    """Return how many of the answers, from the first on, were OK."""
    received = b""
    while received.count(b"\r\n") < count:
        try:
            chunk = link.recv(1 << 16)
        except OSError:
            chunk = b""
        if not chunk:
            break
        received += chunk
    lines = received.splitlines(keepends=True)
    return sum(1 for _ in takewhile(_OK.__eq__, lines))


def _set(plan: Plan, number: int, pool: bytes) -> bytes:
    key = b"steady:%d:%d" % (plan.number, number % plan.keys if plan.keys else number)
    start = random.randrange(len(pool) - plan.value)
    value = pool[start : start + plan.value]
    return b"*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n" % (len(key), key, len(value), value)


@contextmanager
def _connected(access: Access, master: Address) -> Iterator[ssl.SSLSocket]:
    context = ssl.create_default_context(cafile=access.ca)
    with (
        socket.create_connection((master.host, master.port), timeout=_TIMEOUT) as plain,
        context.wrap_socket(plain, server_hostname=master.host) as link,
    ):
        credentials = access.credentials
        link.sendall(f"AUTH {credentials.username} {credentials.password}\r\n".encode())
        if link.recv(1024) == _OK:
            yield link
        else:
            raise ConnectionRefusedError


def _master(plan: Plan) -> Address | None:
    views = ask_nodes(plan.access, list(plan.nodes))
    masters = [view.address for view in views if view.role == "master"]
    # Two may say so for a moment: which one lasts is not known here.
    return masters[0] if len(masters) == 1 else None
