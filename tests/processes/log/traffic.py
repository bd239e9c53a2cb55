"""Writes of every shape that the stream can carry, on whichever node is master."""

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import redis

from redis_ha.discovery import ask_nodes
from tests.processes.cluster import Cluster

_SCRIPT = "for i = 1, 3 do redis.call('SET', KEYS[1] .. i, ARGV[1]) end"


class Traffic:
    """Threads that write small and huge values, transactions, scripts, in several databases."""

    def __init__(self, cluster: Cluster, *, threads: int = 2, pace: float = 0.001) -> None:
        self._access = cluster.access("operator")
        self._nodes = [node.address for node in cluster.data_nodes]
        self._pace = pace
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._write, args=(number,), daemon=True)
            for number in range(threads)
        ]

    @classmethod
    @contextmanager
    def running(
        cls, cluster: Cluster, *, threads: int = 2, pace: float = 0.001
    ) -> Iterator["Traffic"]:
        """Write from now to the end of the block."""
        traffic = cls(cluster, threads=threads, pace=pace)
        for thread in traffic._threads:
            thread.start()
        try:
            yield traffic
        finally:
            traffic._stop.set()
            for thread in traffic._threads:
                thread.join(10)

    def _write(self, number: int) -> None:
        source, client = random.Random(number), None
        while not self._stop.is_set():
            try:
                client = client or self._master(source.choice((0, 0, 3, 9)))
                if client is None:
                    time.sleep(0.05)
                    continue
                for _ in range(20):
                    _one(client, source, number)
                    time.sleep(self._pace)
            except (redis.RedisError, OSError):
                time.sleep(0.02)
            if client is not None:
                client.close()
            client = None

    def _master(self, db: int) -> redis.Redis | None:
        views = ask_nodes(self._access, self._nodes)
        masters = [view.address for view in views if view.role == "master"]
        return self._access.connect(masters[0], db=db) if len(masters) == 1 else None


def _one(client: redis.Redis, source: random.Random, number: int) -> None:
    key = f"mixed:{number}:{source.randrange(500)}"
    kind = source.randrange(20)
    if kind == 0:
        client.set(f"large:{source.randrange(5)}", source.randbytes(source.randrange(300_000)))
    elif kind < 3:
        with client.pipeline(transaction=True) as pipeline:
            for step in range(source.randrange(1, 30)):
                pipeline.rpush(f"list:{key}", f"*3\r\n$3\r\nSET\r\n{step}")
            pipeline.ltrim(f"list:{key}", -40, -1)
            pipeline.execute()
    elif kind == 3:
        client.eval(_SCRIPT, 1, f"script:{key}", source.random())
    elif kind == 4:
        client.delete(f"hash:{key}", f"list:{key}")
    elif kind < 8:
        client.hset(f"hash:{key}", mapping={f"field{i}": source.random() for i in range(12)})
    else:
        client.set(key, "v" * source.randrange(200))
