"""The pool of connections to one node, for asyncio."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import redis.asyncio

from redis_ha.client.call import Call, current, refuse_when_given_up
from redis_ha.client.pools import exhausted, standing_call
from redis_ha.client.shelf import Shelf
from redis_ha.client.wires import AsyncPatientConnection, no_retry
from redis_ha.connection import Address
from redis_ha.environment import PoolSettings


class AsyncPool(redis.asyncio.ConnectionPool):
    """As `Pool`; all its methods run in one event loop."""

    on_suspicion: Callable[[], None]

    def __init__(self, address: Address, settings: PoolSettings, **options: Any) -> None:
        self.address = address
        self.retired = False
        self.on_suspicion = lambda: None
        self._shelf: Shelf[AsyncPatientConnection] = Shelf(settings)
        self._free = asyncio.Semaphore(settings.maximum)
        self._trimmer: asyncio.TimerHandle | None = None
        self._trimming: asyncio.Task[None] | None = None
        super().__init__(AsyncPatientConnection, settings.maximum, retry=no_retry(), **options)

    def suspect(self) -> None:
        self.on_suspicion()

    async def open(self, count: int) -> None:
        """Connect so many that nobody waits for yet, fewer when others need them."""
        opened: list[AsyncPatientConnection] = []
        try:
            while len(opened) < count and not self._free.locked():
                opened.append(await self.get_connection())
        finally:
            for connection in opened:
                await self.release(connection)

    async def get_connection(self, *_: Any, **__: Any) -> AsyncPatientConnection:
        refuse_when_given_up()
        call = current() or standing_call(self)
        connection = await self._lend(call)
        try:
            connection.call = call
            if connection.is_over:
                await connection.disconnect()
                await connection.connect()  # type: ignore[no-untyped-call]
        except BaseException:
            await connection.disconnect()
            await self.release(connection)
            raise
        return connection

    async def release(self, connection: Any) -> None:
        if connection not in self._shelf.lent:
            return
        self._free.release()
        if self.retired or not connection.is_connected:
            self._shelf.drop(connection)
            closing = [connection]
        else:
            closing = self._shelf.put(connection, now=time.monotonic())
            if self._shelf.crowded and self._trimmer is None:
                self._trim_later()
        for surplus in closing:
            await surplus.disconnect()

    async def retire(self) -> None:
        """Close what is idle, and what is lent as soon as it comes back."""
        self.retired = True
        if self._trimmer is not None:
            self._trimmer.cancel()
        await self.disconnect(inuse_connections=False)

    async def disconnect(self, inuse_connections: bool = True) -> None:
        """Close what is idle; with `inuse_connections` also what others are using."""
        closing = self._shelf.empty()
        if inuse_connections:
            closing += list(self._shelf.lent)
        for connection in closing:
            await connection.disconnect()

    def reset(self) -> None:
        """Do nothing: redis-py calls it at construction, to make the lists that a Shelf is here."""

    @property
    def counts(self) -> tuple[int, int]:
        """Return how many connections are idle and how many are lent."""
        return len(self._shelf.idle), len(self._shelf.lent)

    def _trim_later(self) -> None:
        """Have the surplus closed when it is due."""
        loop, due_in = asyncio.get_running_loop(), self._shelf.due_in(now=time.monotonic())
        self._trimmer = loop.call_later(due_in, self._trim)

    def _trim(self) -> None:
        self._trimmer = None
        # Kept here: the loop alone would let it be collected.
        self._trimming = asyncio.ensure_future(self._close(self._shelf.trim(now=time.monotonic())))
        if self._shelf.crowded:
            self._trim_later()

    async def _close(self, connections: list[AsyncPatientConnection]) -> None:
        for connection in connections:
            await connection.disconnect()

    async def _lend(self, call: Call) -> AsyncPatientConnection:
        if self._free.locked():
            await self._wait(call)
        else:
            await self._free.acquire()
        connection = self._shelf.take()
        if connection is None:
            connection = AsyncPatientConnection(**self.connection_kwargs)
            self._shelf.lent.add(connection)
        return connection

    async def _wait(self, call: Call) -> None:
        call.starving = True
        try:
            async with asyncio.timeout(call.remaining):
                await self._free.acquire()
        except TimeoutError:
            raise exhausted(self, call) from None
        call.starving = False
