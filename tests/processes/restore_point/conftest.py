"""A cluster that is written to, its log in the store, and the moments that are gone back to."""

import os
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
import redis

from tests.processes.cluster import Cluster
from tests.processes.restore.conftest import SETTINGS, Worker, hurry, make_worker

MONTH = 30 * 24 * 3600
ROUNDS = int(os.environ.get("REDIS_HA_TEST_ROUNDS", "3"))
SCRIPT = (
    "for i = 1, 3 do redis.call('RPUSH', KEYS[1], ARGV[1] .. i) end;"
    " return redis.call('LLEN', KEYS[1])"
)
Shared = tuple[Cluster, Worker]


@dataclass(frozen=True)
class Moment:
    """What the master held after byte `offset`: its digest, of all databases."""

    offset: int
    digest: str


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    """Give one cluster for a module; its tests leave it healthy."""
    directory = tmp_path_factory.mktemp("cluster")
    with Cluster.start(directory, SETTINGS) as cluster:
        hurry(cluster)
        yield cluster, make_worker(cluster, directory / "worker")


def moment(cluster: Cluster, *words: str) -> Moment:
    """Look at the master between two commands, and in the same instant execute a command."""
    with cluster.master.client(timeout=30.0) as client, client.pipeline(transaction=True) as atomic:
        atomic.execute_command("DEBUG", "DIGEST")
        atomic.info("replication")
        if words:
            atomic.execute_command(*words)
        digest, info, *_ = atomic.execute()
    return Moment(int(info["master_repl_offset"]), str(digest))


@contextmanager
def written_to(cluster: Cluster, *, seed: int) -> Iterator[None]:
    """Let two clients write all kinds of commands into several databases meanwhile."""
    over = threading.Event()
    with ThreadPoolExecutor() as pool:
        writers = [pool.submit(_write, cluster, over, seed * 10 + number) for number in range(2)]
        try:
            yield
        finally:
            over.set()
        for writer in writers:
            writer.result()


def _write(cluster: Cluster, over: threading.Event, seed: int) -> None:
    generator = random.Random(seed)
    with cluster.master.client(db=seed % 2 * 3, decode=False, timeout=15.0) as client:
        for number in range(10**9):
            if over.is_set():
                return
            write_some(client, generator, number)
            over.wait(generator.random() / 200)


def write_some(client: redis.Redis, generator: random.Random, number: int) -> None:
    """Write a string, a transaction, a script's effects, a key that expires in a month, a WAIT."""
    name = b"%d:" % generator.randrange(500) + generator.randbytes(2)
    kind = generator.randrange(7)
    if kind == 0:
        with client.pipeline(transaction=True) as atomic:
            for part in range(generator.randrange(1, 4)):
                atomic.set(b"atomic:%d" % part, generator.randbytes(30))
            atomic.incr(b"count")
            atomic.execute()
    elif kind == 1:
        client.eval(SCRIPT, 1, b"list:" + name, generator.randbytes(5))
    elif kind == 2:
        client.set(name, generator.randbytes(20), ex=MONTH)
    elif kind == 3:
        client.hset(b"hash:" + name, generator.randbytes(3), b"x" * generator.randrange(3000))
    elif kind == 4:
        client.delete(name)
    elif kind == 5 and number % 20 == 0:
        client.wait(1, 50)
    else:
        client.set(name, b"*1\r\n$8\r\nFLUSHALL\r\n" if number % 9 == 0 else name * 9)
