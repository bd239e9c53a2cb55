"""`AsyncClient`: calls that survive a failover, for asyncio."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Self, TypeVar

import redis
import redis.asyncio

from redis_ha.client.async_pools import AsyncPool
from redis_ha.client.base import BaseClient
from redis_ha.client.call import CURRENT, SLICE, Call
from redis_ha.client.locator import Locator, round_seconds
from redis_ha.client.mastership import Known
from redis_ha.client.pools import exhausted
from redis_ha.client.reading import Readers
from redis_ha.client.retrying import Judgement
from redis_ha.connection import Address
from redis_ha.errors import NoMaster

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class _Seat:
    """A node with the redis-py client that is bound to it."""

    pool: AsyncPool
    client: redis.asyncio.Redis
    replica: bool = False


class _Attempt:
    """One attempt of a call that is under way: since when, where, and what can end it early."""

    __slots__ = ("bound", "given_up", "seat", "since")

    def __init__(self, bound: asyncio.Timeout, since: float) -> None:
        self.bound = bound
        self.since = since
        self.seat: _Seat | None = None
        self.given_up = False

    def give_up(self) -> None:
        """Have it fail as if its connection had broken."""
        if not self.given_up:
            self.given_up = True
            # One whose time is over is on its way out already.
            with contextlib.suppress(RuntimeError):
                self.bound.reschedule(0.0)


class AsyncClient(BaseClient):
    """As `Client`; searches run in a thread, so that no call holds up the event loop.

    A new event loop (or a forked child) starts with connections of its own.
    """

    def __init__(self, *arguments: Any, **preferences: Any) -> None:
        super().__init__(*arguments, **preferences)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._start_anew(None)

    async def execute_with_failover(
        self,
        fn: Callable[[redis.asyncio.Redis], Awaitable[T]],
        *,
        read_only: bool = False,
        idempotent: bool = False,
        timeout: float | None = None,
    ) -> T:
        """Await `fn` with a plain redis.asyncio client of the master; else as `Client`'s."""
        call = self._call(timeout, repeatable=read_only or idempotent)
        self._use_loop()
        token = CURRENT.set(call)
        failed: tuple[_Seat, Judgement] | None = None
        verdict: Judgement
        try:
            while True:
                attempt = self._begin(call)
                try:
                    async with attempt.bound:
                        if failed or read_only or not self._master:
                            attempt.seat = await self._seat_for(call, failed, read_only=read_only)
                        else:
                            attempt.seat = self._master
                        call.begin(attempt.seat.pool, on_replica=attempt.seat.replica)
                        return await fn(attempt.seat.client)
                except redis.RedisError as error:
                    verdict = call.failed(error)
                except TimeoutError as error:
                    verdict = self._interrupted(call, attempt, error)
                finally:
                    self._running.discard(attempt)
                self._refuse_if_closed(call)
                failed = (attempt.seat, verdict) if attempt.seat else None
        except NoMaster:
            self._refuse_if_closed(call)
            raise
        finally:
            call.end()
            CURRENT.reset(token)

    async def open(self, timeout: float | None = None) -> Self:
        """Find the master and open the pool's minimum, as else the first call does."""
        await self.execute_with_failover(_ping, idempotent=True, timeout=timeout)
        return self

    async def close(self) -> None:
        """Close all connections; those in use as soon as they come back."""
        self._closed = True
        self._locator.close()
        self._readers.close()
        for seat in (*self._replicas.values(), self._master):
            if seat is not None:
                await seat.pool.retire()

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def connections(self) -> dict[Address, tuple[int, int]]:
        """Return for each node how many connections are idle and how many are in use."""
        seats = [seat for seat in (self._master, *self._replicas.values()) if seat is not None]
        return {seat.pool.address: seat.pool.counts for seat in seats}

    def _use_loop(self) -> None:
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._loop = loop
            self._start_anew(self._locator.known, self._locator.nodes)

    def _start_anew(self, known: Known | None, nodes: frozenset[Address] = frozenset()) -> None:
        self._locator = Locator(self._access, self._on_master, known, nodes)
        self._readers = Readers(self._locator, self._preferences.max_lag_seconds)
        self._replicas: dict[Address, _Seat] = {}
        self._master: _Seat | None = None
        self._opened = False
        self._running: set[_Attempt] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._retiring: set[asyncio.Task[None]] = set()

    def _on_master(self, known: Known) -> None:
        """Hand a master to the event loop; called in the thread of the search."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
                self._loop.call_soon_threadsafe(self._adopt, known)

    def _adopt(self, known: Known) -> _Seat:
        """Turn to a master and end the attempts on the old one."""
        old = self._master
        if old is not None and old.pool.address == known.address:
            return old
        self._master = self._new_seat(known.address)
        for gone in (old, self._replicas.pop(known.address, None)):
            if gone is not None:
                self._retire(gone)
        return self._master

    def _retire(self, gone: _Seat) -> None:
        """Close a node's connections and end the attempts on it."""
        task = asyncio.ensure_future(gone.pool.retire())
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)
        for attempt in self._running:
            if attempt.seat is gone:
                attempt.give_up()

    def _new_seat(self, address: Address, *, replica: bool = False) -> _Seat:
        pool = AsyncPool(address, self._settings, **self._pool_options(address))
        # A search may end after `close`.
        pool.retired = self._closed
        return _Seat(pool, redis.asyncio.Redis(connection_pool=pool), replica)

    def _begin(self, call: Call) -> _Attempt:
        loop = asyncio.get_running_loop()
        attempt = _Attempt(asyncio.timeout(call.remaining), loop.time())
        self._running.add(attempt)
        if self._timer is None:
            self._timer = loop.call_later(SLICE, self._look_at_running)
        return attempt

    def _interrupted(self, call: Call, attempt: _Attempt, error: TimeoutError) -> Judgement:
        """Return when the attempt may be repeated; else raise what the caller shall see."""
        if not attempt.bound.expired():
            raise error
        if attempt.given_up and attempt.seat is not None:
            lost = redis.ConnectionError(f"{attempt.seat.pool.address} was given up")
            return call.broke(lost)
        if call.starving and call.seat is not None:
            raise exhausted(call.seat, call) from call.last_error
        waited_for = "no reply"
        if attempt.seat is None:
            waited_for = f"no master: {self._locator.reason}"
        elif not call.exposure.last:
            waited_for = "no connection, or the function took so long by itself"
        raise call.timed_out(waited_for, effects=call.sent) from call.last_error or error

    def _look_at_running(self) -> None:
        """Have a node looked at when an attempt on it takes long."""
        self._timer = None
        if not self._running:
            return
        loop = asyncio.get_running_loop()
        slow = {a.seat for a in self._running if a.since < loop.time() - SLICE}
        for seat in slow:
            if seat is None or not seat.replica:
                self._locator.suspect()
            elif self._readers.is_silent(seat.pool.address):
                self._replicas.pop(seat.pool.address, None)
                self._retire(seat)
        self._timer = loop.call_later(SLICE, self._look_at_running)

    async def _seat_for(
        self, call: Call, failed: tuple[_Seat, Judgement] | None, *, read_only: bool
    ) -> _Seat:
        if failed is not None:
            await self._recover(call, *failed)
        master = self._master or await self._master_seat(call)
        return (await self._reader(call) or master) if read_only else master

    async def _master_seat(self, call: Call) -> _Seat:
        seat = await self._find(call)
        if not self._opened:
            self._opened = True
            # What goes wrong here goes wrong in the call too, which tells.
            with contextlib.suppress(redis.RedisError):
                await seat.pool.open(self._settings.minimum)
        return seat

    async def _find(self, call: Call) -> _Seat:
        return self._adopt(await _wait(self._locator.search(call.deadline)))

    async def _reader(self, call: Call) -> _Seat | None:
        if (refresh := self._readers.look()) is not None:
            await asyncio.wait([asyncio.wrap_future(refresh)], timeout=call.remaining / 2)
        address = self._readers.next()
        if address is None:
            return None
        if address not in self._replicas:
            self._replicas[address] = self._new_seat(address, replica=True)
        return self._replicas[address]

    async def _recover(self, call: Call, seat: _Seat, verdict: Judgement) -> None:
        pause = call.pause_to_be_followed(verdict)
        if seat.replica:
            self._readers.shun(seat.pool.address)
        elif pause:
            pass  # It is the master.
        elif verdict.may_be_crowded(sum(seat.pool.counts)):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(_wait(self._locator.search(call.deadline)), SLICE)
        elif self._master is seat:
            await self._find(call)
        if self._master is seat:
            await asyncio.sleep(pause or round_seconds(call.elapsed))


async def _ping(client: redis.asyncio.Redis) -> None:
    await client.ping()


async def _wait(future: Future[R]) -> R:
    """Await what a thread will bring; others wait for it too, so this one may not cancel it."""
    waiting = asyncio.wrap_future(future)
    # Else asyncio logs an error that nobody was there to see any more.
    waiting.add_done_callback(lambda done: done.cancelled() or done.exception())
    return await asyncio.shield(waiting)
