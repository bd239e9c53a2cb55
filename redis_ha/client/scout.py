"""Asks nodes and sentinels again and again over connections that stay open."""

from dataclasses import dataclass
from typing import Any

import redis

from redis_ha.client.retrying import Meaning, meaning_of
from redis_ha.connection import Address
from redis_ha.discovery import (
    NO_ANSWER,
    Access,
    NodeView,
    SentinelView,
    cut_off,
    parse_replication,
    parse_sentinel,
    sentinel_fields,
)
from redis_ha.explaining import problem_of

# A node that doesn't answer within this time (s) is taken for gone, until it does.
PATIENCE = 0.5
# Nor is one that has not answered in full within this time (s).
_WHOLE_ANSWER = 2.0


@dataclass(frozen=True)
class Report:
    """What one asking brought: a sentinel's view with its replicas, or a node's view.

    `denial` is the error when the user or the certificate won't do.
    """

    view: SentinelView | NodeView
    replicas: tuple[Address, ...] = ()
    denial: Exception | None = None


class Scout:
    """Connections to whoever was asked; several threads may ask, each another address."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._clients: dict[Address, redis.Redis] = {}

    def ask_node(self, address: Address) -> Report:
        """Ask a data node what it is."""
        try:
            client: Any = self._client(address)
            with cut_off(client, _WHOLE_ANSWER):
                info = client.execute_command("INFO", "replication", "persistence")
            return Report(parse_replication(address, info))
        except NO_ANSWER as error:
            return Report(NodeView(address, problem=problem_of(error)), denial=_denial(error))

    def ask_sentinel(self, sentinel: Address) -> Report:
        """Ask a sentinel for the master and its replicas."""
        name = self._access.master_name
        try:
            client = self._client(sentinel)
            with cut_off(client, _WHOLE_ANSWER):
                view = parse_sentinel(sentinel, sentinel_fields(client, name))
                rows = client.sentinel_slaves(name)
            found = [Address(str(row["ip"]), int(row["port"])) for row in rows]
        except NO_ANSWER as error:
            return Report(SentinelView(sentinel, problem=problem_of(error)), denial=_denial(error))
        return Report(view, tuple(sorted(address for address in found if address.port)))

    def close(self, address: Address) -> None:
        """Close the connection to one; the next question opens it again."""
        if client := self._clients.pop(address, None):
            client.close()

    def _client(self, address: Address) -> redis.Redis:
        if address not in self._clients:
            self._clients[address] = self._access.connect(address, timeout=PATIENCE)
        return self._clients[address]


def _denial(error: Exception) -> Exception | None:
    return error if meaning_of(error) is Meaning.DENIED else None
