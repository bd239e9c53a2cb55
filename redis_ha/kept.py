"""An access that keeps its connections for as long as something goes on.

Opening a connection costs a TLS handshake on both sides, some 10 ms of a core. Whoever asks the
same nodes again and again while writes are paused must not pay for that each time.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import Any

import redis

from redis_ha.connection import Address
from redis_ha.discovery import Access


@dataclass(frozen=True)
class _KeptAccess(Access):
    _base: Access = field(kw_only=True, compare=False)
    _clients: dict[Address, redis.Redis] = field(default_factory=dict, compare=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, compare=False)

    def connect(self, address: Address, **options: Any) -> redis.Redis:
        """Give the one client of an address; with options of its own it is a new one."""
        if options:
            return self._base.connect(address, **options)
        with self._lock:
            if address not in self._clients:
                client = self._clients[address] = self._base.connect(address)
                # The end of a `with` then gives the connection back instead of closing it. One
                # that the server closed meanwhile is opened anew by the pool.
                client.auto_close_connection_pool = False
            return self._clients[address]

    def close(self) -> None:
        for client in self._clients.values():
            client.connection_pool.disconnect()


@contextmanager
def keeping(access: Access) -> Iterator[Access]:
    """Give, for the block, the same access with connections that stay open between commands."""
    same = {f.name: getattr(access, f.name) for f in fields(Access)}
    kept = _KeptAccess(**same, _base=access)
    try:
        yield kept
    finally:
        kept.close()
