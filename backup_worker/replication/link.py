"""A replication link to one data node: a TLS socket feeds the parser, events come out.

A snapshot's link asks for the snapshot only (`REPLCONF rdb-only 1`): the server sends no command
stream and doesn't hold this link's silence against it, so it sends no acknowledgements. A
follower's link continues a known history, and acknowledges each second as a replica does.
"""

import socket
import ssl
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NoReturn

from backup_worker.errors import ClusterUnreachable, HistoryLost, SourceLost
from backup_worker.replication.protocol import (
    Commands,
    Continue,
    Event,
    FullResync,
    KeepAlive,
    RdbEnd,
    ReplicationParser,
    Reply,
    ServerError,
)
from backup_worker.replication.transport import READ_SIZE, ConnectionLost, Transport
from redis_ha.connection import Address
from redis_ha.discovery import Access

# A TLS record holds 16 KiB. Where the server is the slower side, handing each on by itself costs
# twice the CPU of waiting a moment for more.
_GATHER_SECONDS = 0.001
# A master names its replicas in INFO, and Sentinel takes each for one that it may promote. One that
# gives no IP address as its own can't be listed: a node may be promoted while this link is made.
_NAMELESS = ("REPLCONF", "ip-address", "backup-worker")
_CAPABLE = (("PING",), _NAMELESS, ("REPLCONF", "capa", "eof", "capa", "psync2"))
_RDB_ONLY = (("REPLCONF", "rdb-only", "1"),)
_ACKNOWLEDGE_SECONDS = 1.0
# Reading more often costs CPU time, less often seconds of the log.
_PACE_SECONDS = 0.08
# A read that brought this much is followed by the next one at once: the stream is fast.
_FAST = READ_SIZE * 7 // 8
_REMEDIES = {
    "WRONGPASS": "check REDIS_BACKUP_USERNAME and REDIS_BACKUP_PASSWORD",
    "NOAUTH": "check REDIS_BACKUP_USERNAME and REDIS_BACKUP_PASSWORD",
    "NOPERM": "give the backup user +psync +replconf +ping on every data node",
}
_SNAPSHOT = "take a snapshot from"
_FOLLOW = "follow"


@dataclass(frozen=True)
class Timeouts:
    """Seconds: to connect, for each reply of the handshake, between two signs of life.

    `idle` is Redis' own repl-timeout. A keep-alive is a sign of life: a long fork is not idle.
    A silent stream yields an empty piece every `tick`.
    """

    connect: float = 5.0
    reply: float = 10.0
    idle: float = 60.0
    tick: float = 0.2


def snapshot_events(
    access: Access, source: Address, *, timeouts: Timeouts | None = None
) -> Generator[Event, None, None]:
    """Yield FullResync, RdbStart, RdbChunk... and, last, RdbEnd, from the data node `source`.

    Raises SourceLost when the node can't serve now or broke off, ClusterUnreachable when it
    refuses us (password, ACL, certificate), ProtocolError when it sends no replication stream.
    """
    limits = timeouts or Timeouts()
    with _connected(access, source, limits, operation=_SNAPSHOT) as link:
        link.log_in(access, (*_CAPABLE, *_RDB_ONLY))
        link.send("PSYNC", "?", "-1")
        yield link.expect(FullResync, patience=limits.idle)
        while True:
            event = link.next_event()
            yield event
            if isinstance(event, RdbEnd):
                return


def follow(
    access: Access, source: Address, *, replid: str, offset: int, timeouts: Timeouts | None = None
) -> Generator[bytes, None, None]:
    """Yield the bytes of history `replid` that follow `offset`, from the data node `source`.

    The first piece is empty and says that the node has agreed; a silent stream yields empty
    pieces. Raises HistoryLost when the node can't continue there, before any RDB is sent; else as
    `snapshot_events`. A reader that pauses for long makes the node's buffer grow.
    """
    limits = timeouts or Timeouts()
    with _connected(access, source, limits, operation=_FOLLOW) as link:
        link.log_in(access, _CAPABLE)
        link.send("PSYNC", replid, str(offset + 1))
        answer = link.expect(Continue, FullResync, patience=limits.idle)
        _require_continuation(answer, source, replid)
        yield b""
        yield from _acknowledged(link, offset, limits)


def _require_continuation(answer: Event, source: Address, replid: str) -> None:
    if answer in (Continue(None), Continue(replid)):
        return
    cause = f"its history has changed: it answered {answer}, not {replid}"
    if isinstance(answer, FullResync):
        cause = f"it offers only a full copy, at {answer.replid}:{answer.offset}"
    raise HistoryLost(
        operation=_FOLLOW, subject=str(source), cause=cause, hint="try another replica"
    )


def _acknowledged(link: "_Link", position: int, limits: Timeouts) -> Iterator[bytes]:
    alive = acknowledged = time.monotonic()
    while True:
        data = link.next_commands(limits.tick)
        now = time.monotonic()
        position += len(data)
        if data:
            alive = now
        elif now - alive > limits.idle:
            link.give_up(f"no sign of life for {limits.idle:g} s")
        if now - acknowledged >= _ACKNOWLEDGE_SECONDS:
            link.send("REPLCONF", "ACK", str(position))
            acknowledged = now
        yield data
        if len(data) < _FAST:
            time.sleep(_PACE_SECONDS)


@contextmanager
def _connected(
    access: Access, source: Address, limits: Timeouts, *, operation: str
) -> Iterator["_Link"]:
    target = access.locate(source)
    context = ssl.create_default_context(cafile=str(access.ca))
    try:
        plain = socket.create_connection((target.host, target.port), timeout=limits.connect)
    except OSError as error:
        raise _lost(operation, source, f"no connection ({error})") from error
    with plain:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        transport = Transport(plain, context, target.host)
        try:
            transport.shake_hands(limits.connect)
        except ssl.SSLCertVerificationError as error:
            raise ClusterUnreachable(
                operation=operation,
                subject=str(source),
                cause=f"its certificate is not trusted: {error.verify_message}",
                hint="check REDIS_TLS_CA, and that the certificate names this address",
            ) from error
        except ConnectionLost as error:
            raise _lost(operation, source, f"no TLS connection ({error})") from error
        yield _Link(transport, source, limits, operation=operation)


class _Link:
    """Sends commands and hands out events; every wait is bounded."""

    def __init__(
        self, transport: Transport, source: Address, limits: Timeouts, *, operation: str
    ) -> None:
        self._transport = transport
        self._source = source
        self._limits = limits
        self._operation = operation
        self._patience = limits.reply
        self._parser = ReplicationParser()
        self._events: Iterator[Event] = iter(())

    def log_in(self, access: Access, handshake: tuple[tuple[str, ...], ...]) -> None:
        """Authenticate and say what we want."""
        user = access.credentials
        for command in (("AUTH", user.username, user.password), *handshake):
            self.send(*command)
            self.expect(Reply, patience=self._limits.reply)

    def send(self, *words: str) -> None:
        """Send one command."""
        command = b"*%d\r\n" % len(words)
        command += b"".join(b"$%d\r\n%s\r\n" % (len(raw), raw) for raw in map(str.encode, words))
        try:
            self._transport.send(command, self._limits.reply)
        except ConnectionLost as error:
            self.give_up(str(error))

    def expect(self, *kinds: type[Event], patience: float) -> Event:
        """Return the next event, which must be of these kinds; `patience` (s) holds from now on."""
        self._patience = patience
        event = self.next_event()
        if isinstance(event, kinds):
            return event
        raise ClusterUnreachable(
            operation=self._operation,
            subject=str(self._source),
            cause=f"it answered {event} where {' or '.join(k.__name__ for k in kinds)} was due",
            hint="check that the address is a Redis or Valkey data node",
        )

    def next_event(self) -> Event:
        """Return the next event that is no keep-alive; the server's refusals are raised."""
        while True:
            for event in self._events:
                if isinstance(event, ServerError):
                    self._refuse(event)
                if not isinstance(event, KeepAlive):
                    return event
            data = self._receive(self._patience)
            if not data:
                self.give_up(f"no sign of life for {self._patience:g} s")
            self._events = self._parser.feed(data)

    def next_commands(self, patience: float) -> bytes:
        """Return the stream's next bytes once it has begun; none when `patience` brings none."""
        begun = b"".join(event.data for event in self._events if isinstance(event, Commands))
        return begun or self._receive(patience, gather=0.0)

    def give_up(self, cause: str) -> NoReturn:
        """Raise SourceLost."""
        raise _lost(self._operation, self._source, cause)

    def _refuse(self, error: ServerError) -> NoReturn:
        if error.transient:
            self.give_up(f"it can't serve now: {error.message}")
        raise ClusterUnreachable(
            operation=self._operation,
            subject=str(self._source),
            cause=f"it answered: {error.message}",
            hint=_REMEDIES.get(error.message.partition(" ")[0], "see the node's log"),
        )

    def _receive(self, patience: float, *, gather: float = _GATHER_SECONDS) -> bytes:
        try:
            return self._transport.receive(patience, gather)
        except ConnectionLost as error:
            self.give_up(str(error))


def _lost(operation: str, source: Address, cause: str) -> SourceLost:
    return SourceLost(
        operation=operation,
        subject=str(source),
        cause=cause,
        hint="check the node and its log, then try again",
    )
