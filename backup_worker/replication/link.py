"""A replication link to one data node: a TLS socket feeds the parser, events come out.

It asks for a snapshot only (`REPLCONF rdb-only 1`): the server sends no command stream and
doesn't hold this link's silence against it, so no acknowledgements are sent.
"""

import select
import socket
import ssl
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NoReturn

from backup_worker.errors import ClusterUnreachable, SourceLost
from backup_worker.replication.protocol import (
    Event,
    FullResync,
    KeepAlive,
    RdbEnd,
    ReplicationParser,
    Reply,
    ServerError,
)
from redis_ha.connection import Address
from redis_ha.discovery import Access

READ_SIZE = 256 * 1024
# A TLS record holds 16 KiB. Where the server is the slower side, handing each on by itself costs
# twice the CPU of waiting a moment for more.
_GATHER_SECONDS = 0.001
_HANDSHAKE = (
    ("PING",),
    ("REPLCONF", "capa", "eof", "capa", "psync2"),
    ("REPLCONF", "rdb-only", "1"),
)
_REMEDIES = {
    "WRONGPASS": "check REDIS_BACKUP_USERNAME and REDIS_BACKUP_PASSWORD",
    "NOAUTH": "check REDIS_BACKUP_USERNAME and REDIS_BACKUP_PASSWORD",
    "NOPERM": "give the backup user +psync +replconf +ping on every data node",
}


@dataclass(frozen=True)
class Timeouts:
    """Seconds: to connect, for each reply of the handshake, between two signs of life.

    `idle` is Redis' own repl-timeout. A keep-alive is a sign of life: a long fork is not idle.
    """

    connect: float = 5.0
    reply: float = 10.0
    idle: float = 60.0


def snapshot_events(
    access: Access, source: Address, *, timeouts: Timeouts | None = None
) -> Generator[Event, None, None]:
    """Yield FullResync, RdbStart, RdbChunk... and, last, RdbEnd, from the data node `source`.

    Raises SourceLost when the node can't serve now or broke off, ClusterUnreachable when it
    refuses us (password, ACL, certificate), ProtocolError when it sends no replication stream.
    """
    limits = timeouts or Timeouts()
    with _connected(access, source, limits) as link:
        link.log_in(access.credentials.username, access.credentials.password)
        link.send("PSYNC", "?", "-1")
        yield link.expect(FullResync, patience=limits.idle)
        while True:
            event = link.next_event()
            yield event
            if isinstance(event, RdbEnd):
                return


@contextmanager
def _connected(access: Access, source: Address, limits: Timeouts) -> Iterator["_Link"]:
    target = access.locate(source)
    context = ssl.create_default_context(cafile=str(access.ca))
    try:
        plain = socket.create_connection((target.host, target.port), timeout=limits.connect)
    except OSError as error:
        raise _lost(source, f"no connection ({error})") from error
    with plain, _secured(context, plain, target.host, source) as secured:
        yield _Link(secured, source, limits)


def _secured(
    context: ssl.SSLContext, plain: socket.socket, host: str, source: Address
) -> ssl.SSLSocket:
    try:
        return context.wrap_socket(plain, server_hostname=host)
    except ssl.SSLCertVerificationError as error:
        raise ClusterUnreachable(
            operation="take a snapshot from",
            subject=str(source),
            cause=f"its certificate is not trusted: {error.verify_message}",
            hint="check REDIS_TLS_CA, and that the certificate names this address",
        ) from error
    except OSError as error:
        raise _lost(source, f"no TLS connection ({error})") from error


class _Link:
    """Sends commands and hands out events; every wait is bounded."""

    def __init__(self, secured: ssl.SSLSocket, source: Address, limits: Timeouts) -> None:
        self._socket = secured
        self._source = source
        self._limits = limits
        self._patience = limits.reply
        self._buffer = memoryview(bytearray(READ_SIZE))
        self._events = self._receive()

    def log_in(self, username: str, password: str) -> None:
        """Authenticate and say what we want."""
        for command in (("AUTH", username, password), *_HANDSHAKE):
            self.send(*command)
            self.expect(Reply, patience=self._limits.reply)

    def send(self, *words: str) -> None:
        """Send one command."""
        command = b"*%d\r\n" % len(words)
        command += b"".join(b"$%d\r\n%s\r\n" % (len(raw), raw) for raw in map(str.encode, words))
        try:
            self._socket.settimeout(self._limits.reply)
            self._socket.sendall(command)
        except OSError as error:
            raise _lost(self._source, f"the connection broke ({error})") from error

    def expect(self, kind: type[Event], *, patience: float) -> Event:
        """Return the next event, which must be of this kind; `patience` (s) holds from now on."""
        self._patience = patience
        event = self.next_event()
        if isinstance(event, kind):
            return event
        raise ClusterUnreachable(
            operation="take a snapshot from",
            subject=str(self._source),
            cause=f"it answered {event} where {kind.__name__} was due",
            hint="check that the address is a Redis or Valkey data node",
        )

    def next_event(self) -> Event:
        """Return the next event that is no keep-alive; the server's refusals are raised."""
        event = next(event for event in self._events if not isinstance(event, KeepAlive))
        if isinstance(event, ServerError):
            self._refuse(event)
        return event

    def _refuse(self, error: ServerError) -> NoReturn:
        if error.transient:
            raise _lost(self._source, f"it can't serve now: {error.message}")
        raise ClusterUnreachable(
            operation="take a snapshot from",
            subject=str(self._source),
            cause=f"it answered: {error.message}",
            hint=_REMEDIES.get(error.message.partition(" ")[0], "see the node's log"),
        )

    def _receive(self) -> Iterator[Event]:
        parser = ReplicationParser()
        while True:
            yield from parser.feed(self._read())

    def _read(self) -> bytes:
        """Return what has arrived, at most READ_SIZE; waits only while there is little of it.

        What came before the connection ended is returned first: it may say why.
        """
        self._socket.setblocking(False)
        filled, waited = 0, False
        while filled < READ_SIZE:
            count = self._take(self._buffer[filled:])
            if count:
                filled += count
            elif not filled and count is None:
                self._await_bytes()
            elif not filled:
                raise _lost(self._source, "it closed the connection before the end")
            elif waited or count == 0:
                break
            else:
                waited = True
                time.sleep(_GATHER_SECONDS)
        return bytes(self._buffer[:filled])

    def _take(self, room: memoryview) -> int | None:
        """Read into `room` without waiting; None when nothing is there yet, 0 at the end."""
        try:
            return self._socket.recv_into(room)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None
        except OSError as error:
            raise _lost(self._source, f"the connection broke ({error})") from error

    def _await_bytes(self) -> None:
        if not select.select([self._socket], [], [], self._patience)[0]:
            raise _lost(self._source, f"no sign of life for {self._patience:g} s")


def _lost(source: Address, cause: str) -> SourceLost:
    return SourceLost(
        operation="take a snapshot from",
        subject=str(source),
        cause=cause,
        hint="check the node and its log, then try again",
    )
