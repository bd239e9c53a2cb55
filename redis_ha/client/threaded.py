"""`Client`: calls that survive a failover, for threads."""

import contextlib
import os
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import wait
from dataclasses import dataclass
from functools import partial
from typing import Any, Self, TypeVar

import redis

from redis_ha.client.base import BaseClient
from redis_ha.client.call import CURRENT, SLICE, Call
from redis_ha.client.locator import Locator, round_seconds
from redis_ha.client.mastership import Known
from redis_ha.client.pools import Pool
from redis_ha.client.reading import Readers
from redis_ha.client.retrying import Judgement
from redis_ha.connection import Address
from redis_ha.errors import NoMaster

T = TypeVar("T")


@dataclass(frozen=True)
class _Seat:
    """A node with the redis-py client that is bound to it."""

    pool: Pool
    client: redis.Redis
    replica: bool = False


class Client(BaseClient):
    """A client of the cluster; make one for a process and share it between threads.

    Nothing is sent before the first call (or `open`), which opens the pool's minimum. A forked
    child finds its own connections in it.
    """

    def __init__(self, *arguments: Any, **preferences: Any) -> None:
        super().__init__(*arguments, **preferences)
        self._start_anew(None)
        _clients.add(self)

    def execute_with_failover(
        self,
        fn: Callable[[redis.Redis], T],
        *,
        read_only: bool = False,
        idempotent: bool = False,
        timeout: float | None = None,
    ) -> T:
        """Call `fn` with a plain redis-py client of the master and return what it returns.

        `read_only` uses a replica whose data is at most `max_lag_seconds` old, else the master.
        `fn` is called again when that is safe: nothing that it sent was applied, or the caller
        says that it is `read_only` or `idempotent`. `timeout` (s) bounds everything that waits
        for servers; it must exceed the time that a blocking command may take by itself.

        Raises CallTimedOut, PoolExhausted, OutcomeUnknown, AccessDenied, ClientClosed, BadSetting
        for `timeout`; errors that are the caller's own (redis.ResponseError, WatchError, any
        from another server) as redis-py does.
        """
        call = self._call(timeout, repeatable=read_only or idempotent)
        token = CURRENT.set(call)
        try:
            while True:
                seat = self._seat_for(call, read_only=read_only)
                call.begin(seat.pool, on_replica=seat.replica)
                try:
                    return fn(seat.client)
                except redis.RedisError as error:
                    verdict = call.failed(error)
                    self._refuse_if_closed(call)
                    self._recover(seat, call, verdict)
        except NoMaster:
            self._refuse_if_closed(call)
            raise
        finally:
            call.end()
            CURRENT.reset(token)

    def open(self, timeout: float | None = None) -> Self:
        """Find the master and open the pool's minimum, as else the first call does."""
        self.execute_with_failover(lambda client: client.ping(), idempotent=True, timeout=timeout)
        return self

    def close(self) -> None:
        """Close all connections; those in use as soon as they come back."""
        self._closed = True
        self._locator.close()
        self._readers.close()
        with self._lock:
            seats = [*self._replicas.values(), self._master]
        for seat in seats:
            if seat is not None:
                seat.pool.retire()

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(self, *_: object) -> None:
        self.close()

    def connections(self) -> dict[Address, tuple[int, int]]:
        """Return for each node how many connections are idle and how many are in use."""
        seats = [seat for seat in (self._master, *self._replicas.values()) if seat is not None]
        return {seat.pool.address: seat.pool.counts for seat in seats}

    def _start_anew(self, known: Known | None, nodes: frozenset[Address] = frozenset()) -> None:
        """Forget every connection and lock; used at the start and in a forked child."""
        self._lock = threading.Lock()
        self._opening = threading.Lock()
        self._locator = Locator(self._access, self._adopt, known, nodes)
        self._readers = Readers(self._locator, self._preferences.max_lag_seconds)
        self._replicas: dict[Address, _Seat] = {}
        self._master: _Seat | None = None
        if known is not None:
            self._adopt(known)

    def _after_fork(self) -> None:
        self._start_anew(self._locator.known, self._locator.nodes)

    def _adopt(self, known: Known) -> _Seat:
        """Turn to a master."""
        with self._lock:
            old = self._master
            if old is not None and old.pool.address == known.address:
                return old
            new = self._master = self._new_seat(known.address)
            as_replica = self._replicas.pop(known.address, None)
        for gone in (old, as_replica):
            if gone is not None:
                gone.pool.retire()
        return new

    def _new_seat(self, address: Address, *, replica: bool = False) -> _Seat:
        pool = Pool(address, self._settings, **self._pool_options(address))
        # A search may end after `close`.
        pool.retired = self._closed
        pool.on_suspicion = partial(self._doubt, address) if replica else self._locator.suspect
        return _Seat(pool, redis.Redis(connection_pool=pool), replica)

    def _seat_for(self, call: Call, *, read_only: bool) -> _Seat:
        master = self._master or self._master_seat(call)
        return (self._reader(call) or master) if read_only else master

    def _master_seat(self, call: Call) -> _Seat:
        seat = self._find(call)
        if self._opening.acquire(blocking=False):
            # Only the first ever. What goes wrong here goes wrong in the call too, which tells.
            with contextlib.suppress(redis.RedisError):
                seat.pool.open(self._settings.minimum, call)
        return seat

    def _find(self, call: Call) -> _Seat:
        try:
            return self._adopt(self._locator.search(call.deadline).result(call.remaining))
        except TimeoutError:
            no_master = f"no master: {self._locator.reason}"
            raise call.timed_out(no_master, effects=call.sent) from call.last_error

    def _reader(self, call: Call) -> _Seat | None:
        if (refresh := self._readers.look()) is not None:
            wait([refresh], call.remaining / 2)
        address = self._readers.next()
        if address is None:
            return None
        with self._lock:
            if address not in self._replicas:
                self._replicas[address] = self._new_seat(address, replica=True)
            return self._replicas[address]

    def _doubt(self, address: Address) -> None:
        """Give up a replica whose reply is awaited for long, if it doesn't answer others either."""
        if self._readers.is_silent(address):
            with self._lock:
                gone = self._replicas.pop(address, None)
            if gone is not None:
                gone.pool.retire()

    def _recover(self, seat: _Seat, call: Call, verdict: Judgement) -> None:
        pause = call.pause_to_be_followed(verdict)
        if seat.replica:
            self._readers.shun(seat.pool.address)
        elif pause:
            pass  # It is the master.
        elif verdict.may_be_crowded(sum(seat.pool.counts)):
            search = self._locator.search(call.deadline)
            wait([search], min(SLICE, call.remaining))
            if search.done():
                search.result()
        elif self._master is seat:
            self._find(call)
        if self._master is seat:
            time.sleep(min(pause or round_seconds(call.elapsed), call.remaining))
            if not call.remaining:
                raise call.timed_out("it did not serve", effects=call.sent) from call.last_error


_clients: "weakref.WeakSet[Client]" = weakref.WeakSet()


def _renew_in_child() -> None:
    for client in list(_clients):
        client._after_fork()  # noqa: SLF001


os.register_at_fork(after_in_child=_renew_in_child)
