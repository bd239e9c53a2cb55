"""What a restore does to the cluster; each action may be done again without harm."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import redis

from backup_worker.restore.survey import count_keys
from redis_ha.connection import Address
from redis_ha.discovery import Access, at_once

# Longer than telling three nodes takes, short enough for clients if we die in between.
_PAUSE_MILLISECONDS = 10_000


def set_down_after(access: Access, sentinels: dict[Address, int]) -> None:
    """Give each sentinel its down-after-milliseconds."""

    def tell(address: Address) -> None:
        with access.connect(address) as client:
            client.execute_command(
                "SENTINEL",
                "SET",
                access.master_name,
                "down-after-milliseconds",
                str(sentinels[address]),
            )

    _all(tell, list(sentinels))


def set_min_replicas(access: Access, nodes: dict[Address, int]) -> None:
    """Give each data node its min-replicas-to-write."""

    def tell(address: Address) -> None:
        with access.connect(address) as client:
            client.config_set("min-replicas-to-write", nodes[address])

    _all(tell, list(nodes))


def replicate(access: Access, nodes: Sequence[Address], source: Address) -> None:
    """Make nodes replicas of a server, all at once."""

    def tell(address: Address) -> None:
        with access.connect(address) as client:
            client.execute_command("REPLICAOF", source.host, str(source.port))

    _all(tell, nodes)


def promote(access: Access, node: Address) -> None:
    """Make a node a master with the data it holds."""
    with access.connect(node) as client:
        client.execute_command("REPLICAOF", "NO", "ONE")


def clear(access: Access, node: Address) -> None:
    """Make a node a master that holds neither keys nor functions."""
    with access.connect(node) as client:
        client.execute_command("REPLICAOF", "NO", "ONE")
        client.execute_command("FLUSHALL", "ASYNC")
        client.execute_command("FUNCTION", "FLUSH", "ASYNC")


@contextmanager
def writes_paused(access: Access, master: Address) -> Iterator[int]:
    """Hold back the master's writes, expirations included; gives how many keys it has then.

    Ends by itself if we die. Who waits is answered when it ends: READONLY, if the node has
    become a replica meanwhile.
    """
    with access.connect(master) as client:
        client.execute_command("CLIENT", "PAUSE", str(_PAUSE_MILLISECONDS), "WRITE")
        try:
            yield count_keys(client.info("keyspace"))
        finally:
            resume_writes(access, master)


def resume_writes(access: Access, master: Address) -> None:
    """End a pause, if there is one and the node answers.

    A killed restore leaves its pause behind. Sentinel's own PUBLISH waits in it, and once
    down-after is back to its usual length Sentinel takes a paused master for down.
    """
    with suppress(redis.RedisError, OSError), access.connect(master) as client:
        client.execute_command("CLIENT", "UNPAUSE")


def _all(tell: Callable[[Address], Any], addresses: Sequence[Address]) -> None:
    """Tell every one, then raise the first failure, so that one deaf node doesn't stop the rest."""

    def attempt(address: Address) -> Exception | None:
        try:
            tell(address)
        except (redis.RedisError, OSError) as error:
            return error
        return None

    failures = [error for error in at_once(attempt, addresses) if error is not None]
    if failures:
        raise failures[0]
