"""Connections that keep to the time of the call they serve, and note what they send for it."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from typing import Any, TypeVar

import redis
import redis.asyncio
from redis.backoff import NoBackoff
from redis.retry import Retry

from redis_ha.client.call import Call, refuse_when_given_up, refuse_when_over
from redis_ha.connection import PLAIN_HANDSHAKE, Address, TlsConnection, TlsSocket, tls_context
from redis_ha.discovery import Access

T = TypeVar("T")
# The time (s) for TCP and TLS with a node; a host that is lost answers neither.
CONNECT_SECONDS = 1.0
# A neighbour's kernel answers at once: an address that says nothing is most often a dead master's.
# So the first attempt of a call ends soon (s), for the master to be looked for. Later ones go in
# turns: between two of them it may have been found to be another. They grow for who is far away.
_FIRST_TURN = 0.1
_TURNS = (0.03, 0.07, 0.1, 0.2, 0.6)
_MULTI = b"*1\r\n$5\r\nMULTI\r\n"


class PatientSocket(TlsSocket):
    """Waits in slices, so that a call ends in time and learns that the master moved.

    A TLS read or write that ran into its timeout can simply be called again.
    """

    call: Call | None = None
    # Somebody (PubSub.get_message, a look whether bytes have come) set a timeout of his own.
    _explicit = False
    _patience: float | None = None

    def settimeout(self, value: float | None) -> None:
        self._explicit = value is not None
        self._patience = value
        super().settimeout(value)

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        return self._patiently(super().recv, buflen, flags)

    def recv_into(self, buffer: Any, nbytes: int | None = None, flags: int = 0) -> int:
        return self._patiently(super().recv_into, buffer, nbytes, flags)

    def send(self, data: Any, flags: int = 0) -> int:
        return self._patiently(super().send, data, flags)

    def do_handshake(self, block: bool = False) -> None:
        try:
            self._patiently(super().do_handshake, block)
        finally:
            # The handshake puts the timeout back that it found: that is nobody's wish.
            self.settimeout(None)

    def _patiently(self, operate: Callable[..., T], *arguments: Any) -> T:
        call = self.call
        if call is None or self._explicit:
            return operate(*arguments)
        while True:
            patience = call.patience()
            if self._patience != patience:
                self._patience = patience
                super().settimeout(patience)
            try:
                return operate(*arguments)
            except TimeoutError:
                call.waited()


class PatientConnection(TlsConnection):
    """A pooled connection; `call` is the one that it was last given out for."""

    call: Call | None = None

    def serve(self, call: Call) -> None:
        """Keep to this call's time from now on; connect if need be."""
        self.call = call
        if self._sock is None:
            self._connect_in_turns(call)
        else:
            self._sock.call = call

    def _connect_in_turns(self, call: Call) -> None:
        *earlier, last = turns(call.elapsed)
        for seconds in earlier:
            with contextlib.suppress(redis.TimeoutError):
                self._connect_within(seconds, call)
                return
            if call.seat is not None and call.seat.retired:
                raise redis.ConnectionError(f"{call.seat.address} was given up")
        self._connect_within(last, call)

    def _connect_within(self, seconds: float, call: Call) -> None:
        self.socket_connect_timeout = min(seconds, call.patience() * 4)
        self.connect()  # type: ignore[no-untyped-call]

    def send_command(self, *args: Any, **kwargs: Any) -> None:
        refuse_when_over()
        if self.call is not None:
            self.call.exposure.command(args[0])
        check_health = kwargs.get("check_health", True)
        super().send_packed_command(  # type: ignore[no-untyped-call]
            self.pack_command(*args),  # type: ignore[no-untyped-call]
            check_health=check_health,
        )

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        refuse_when_over()
        if self.call is not None:
            self.call.exposure.pipeline(transaction=begins_transaction(command))
        super().send_packed_command(command, check_health)  # type: ignore[no-untyped-call]

    def _secure(self, sock: socket.socket) -> ssl.SSLSocket:
        context = tls_context(self._ca, PatientSocket)
        secured = context.wrap_socket(
            sock, server_hostname=self.host, do_handshake_on_connect=False
        )
        if isinstance(secured, PatientSocket):
            secured.call = self.call
        try:
            secured.do_handshake()
        except BaseException:
            secured.close()
            raise
        return secured


class AsyncPatientConnection(redis.asyncio.Connection):
    """The same for asyncio, where the call's own timeout ends every wait."""

    call: Call | None = None

    def __init__(self, *, ca: str, **options: Any) -> None:
        super().__init__(**options)
        self._ca = ca

    @property
    def is_over(self) -> bool:
        """True when it isn't open, the server closed it, or sent what nobody asked for."""
        reader: Any = self._reader
        return bool(reader is None or reader.at_eof() or reader._buffer)  # noqa: SLF001

    async def send_command(self, *args: Any, **kwargs: Any) -> None:
        refuse_when_given_up()
        if self.call is not None:
            self.call.exposure.command(args[0])
        check_health = kwargs.get("check_health", True)
        await super().send_packed_command(self.pack_command(*args), check_health=check_health)

    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        refuse_when_given_up()
        if self.call is not None:
            self.call.exposure.pipeline(transaction=begins_transaction(command))
        await super().send_packed_command(command, check_health)

    async def disconnect(self, *args: Any, **kwargs: Any) -> None:
        # Else a server that hangs would be waited for, to end TLS in good order.
        if self._writer is not None:
            self._writer.transport.abort()
        await super().disconnect(*args, **kwargs)

    async def _connect(self) -> None:
        async with asyncio.timeout(CONNECT_SECONDS):
            reader, writer = await asyncio.open_connection(
                self.host, self.port, ssl=tls_context(self._ca), server_hostname=self.host
            )
        self._reader, self._writer = reader, writer
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


def turns(elapsed: float) -> tuple[float, ...]:
    """Say how long (s) TCP may take, turn by turn, in a call that is so old (s) already."""
    return (_FIRST_TURN,) if elapsed < _FIRST_TURN else _TURNS


def begins_transaction(command: Any) -> bool:
    """Say whether packed commands are one MULTI .. EXEC."""
    first = command if isinstance(command, bytes) else next(iter(command), b"")
    return bytes(first).startswith(_MULTI)


def options(access: Access, address: Address, *, decode: bool, db: int) -> dict[str, Any]:
    """Return what a pool of these connections is made with."""
    place = access.locate(address)
    return {
        "host": place.host,
        "port": place.port,
        "db": db,
        "username": access.credentials.username,
        "password": access.credentials.password,
        "decode_responses": decode,
        "ca": str(access.ca),
        "socket_keepalive": True,
        # Waiting is bounded by the call; redis-py's own retries would hide a failover.
        "socket_timeout": None,
        "socket_connect_timeout": CONNECT_SECONDS,
        **PLAIN_HANDSHAKE,
    }


def no_retry() -> Retry:
    """Return redis-py's retry that doesn't."""
    return Retry(NoBackoff(), 0)
