"""The pool of connections to one node, for threads."""

import contextlib
import select
import threading
import time
from collections.abc import Callable
from typing import Any

import redis

from redis_ha.client.call import Call, Seat, current
from redis_ha.client.shelf import Shelf
from redis_ha.client.wires import PatientConnection, no_retry
from redis_ha.connection import Address
from redis_ha.environment import PoolSettings
from redis_ha.errors import PoolExhausted

DEFAULT_SECONDS = 10.0


class Pool(redis.ConnectionPool):
    """Gives connections to redis-py's client; its own interface, so every command works.

    Waiting for a free one ends with the call, as PoolExhausted. Fork: see `Client`, which makes
    a new pool in the child.
    """

    on_suspicion: Callable[[], None]

    def __init__(self, address: Address, settings: PoolSettings, **options: Any) -> None:
        self.address = address
        self.retired = False
        self.on_suspicion = lambda: None
        self._shelf: Shelf[PatientConnection] = Shelf(settings)
        self._changed = threading.Condition(threading.Lock())
        self._waiting = 0
        self._trimmer: threading.Timer | None = None
        super().__init__(PatientConnection, settings.maximum, retry=no_retry(), **options)

    def suspect(self) -> None:
        self.on_suspicion()

    def open(self, count: int, call: Call) -> None:
        """Connect so many that nobody waits for yet, fewer when others need them."""
        opened: list[PatientConnection] = []
        try:
            while len(opened) < count and (connection := self._lend_free()) is not None:
                opened.append(connection)
                self._connect(connection, call)
        finally:
            for connection in opened:
                self.release(connection)

    def get_connection(self, *_: Any, **__: Any) -> PatientConnection:
        call = current() or standing_call(self)
        connection = self._lend(call)
        self._connect(connection, call)
        return connection

    def release(self, connection: Any) -> None:
        with self._changed:
            keep = not self.retired and connection._sock is not None  # noqa: SLF001
            closing = self._shelf.put(connection, now=time.monotonic()) if keep else [connection]
            for surplus in closing:
                self._shelf.drop(surplus)
            if self._shelf.crowded and self._trimmer is None:
                self._trim_later()
            if self._waiting:
                self._changed.notify()
        for surplus in closing:
            surplus.disconnect()

    def retire(self) -> None:
        """Close what is idle, and what is lent as soon as it comes back."""
        self.retired = True
        self.disconnect(inuse_connections=False)
        with self._changed:
            if self._trimmer is not None:
                self._trimmer.cancel()

    def disconnect(self, inuse_connections: bool = True) -> None:
        """Close what is idle; with `inuse_connections` also what others are using."""
        with self._changed:
            closing = self._shelf.empty()
            if inuse_connections:
                closing += list(self._shelf.lent)
        for connection in closing:
            connection.disconnect()  # type: ignore[no-untyped-call]

    def reset(self) -> None:
        """Do nothing: redis-py calls it at construction, to make the lists that a Shelf is here."""

    @property
    def counts(self) -> tuple[int, int]:
        """Return how many connections are idle and how many are lent."""
        return len(self._shelf.idle), len(self._shelf.lent)

    def _trim_later(self) -> None:
        """Have a thread close the surplus when it is due, one for all of it."""
        timer = threading.Timer(self._shelf.due_in(now=time.monotonic()), self._trim)
        timer.daemon = True
        # No thread more, or the interpreter ends: connections that come back are looked at anyway.
        with contextlib.suppress(RuntimeError):
            timer.start()
            self._trimmer = timer

    def _trim(self) -> None:
        with self._changed:
            closing = self._shelf.trim(now=time.monotonic())
            self._trimmer = None
            if self._shelf.crowded:
                self._trim_later()
        for surplus in closing:
            surplus.disconnect()  # type: ignore[no-untyped-call]

    def _lend(self, call: Call) -> PatientConnection:
        with self._changed:
            while (connection := self._take()) is None:
                self._wait(call)
            return connection

    def _lend_free(self) -> PatientConnection | None:
        with self._changed:
            return self._take()

    def _take(self) -> PatientConnection | None:
        connection = self._shelf.take()
        if connection is None and self._shelf.may_open:
            connection = PatientConnection(**self.connection_kwargs)
            self._shelf.lent.add(connection)
        return connection

    def _wait(self, call: Call) -> None:
        self._waiting += 1
        try:
            if not self._changed.wait(call.remaining):
                raise exhausted(self, call)
        finally:
            self._waiting -= 1

    def _connect(self, connection: PatientConnection, call: Call) -> None:
        try:
            if connection._sock is not None and _has_news(connection._sock):  # noqa: SLF001
                self._renew(connection)
            connection.serve(call)
        except BaseException as error:
            connection.disconnect()  # type: ignore[no-untyped-call]
            self.release(connection)
            if isinstance(error, OSError):
                raise redis.TimeoutError(str(error)) from error
            raise

    def _renew(self, connection: PatientConnection) -> None:
        """Close a connection that its server closed, or that has bytes nobody asked for."""
        try:
            if not connection.can_read():
                return
        except (redis.RedisError, OSError):
            pass
        connection.disconnect()  # type: ignore[no-untyped-call]


def standing_call(seat: Seat) -> Call:
    """Make the call of a command that runs outside any, with the usual time."""
    call = Call(DEFAULT_SECONDS)
    call.begin(seat)
    return call


def exhausted(seat: Seat, call: Call) -> PoolExhausted:
    """Build the error of a pool that stayed empty."""
    return PoolExhausted(
        operation="get a connection to",
        subject=str(seat.address),
        cause=f"all {seat.counts[1]} were in use for {call.seconds:g} s",
        hint="raise REDIS_MAX_CONNECTIONS, or use fewer threads or shorter calls",
    )


def _has_news(sock: Any) -> bool:
    """Say whether an idle connection has something to read: bytes or its end."""
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLIN)
    return bool(sock.pending() or poll.poll(0))
