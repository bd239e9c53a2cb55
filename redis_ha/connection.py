"""One way to open a connection to a data node or a sentinel: TLS, ACL user, no hidden retries."""

import errno
import inspect
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

DEFAULT_TIMEOUT = 2.0
# x509_vfy.h: the code of an expired certificate, and the flag that leaves its dates unchecked.
_EXPIRED, NO_CHECK_TIME = 10, 0x200000


def _plain_handshake() -> dict[str, Any]:
    """Keep HELLO and CLIENT SETINFO, which least-privilege users may not send, off the wire.

    redis-py 4 sends neither; 5 and 6 know lib_name, 7.1 and later driver_info in its place.
    """
    known = inspect.signature(redis.Redis.__init__).parameters
    options: dict[str, Any] = {"protocol": 2} if "protocol" in known else {}
    if "driver_info" in known:
        return options | {"driver_info": None}
    return options | {name: None for name in ("lib_name", "lib_version") if name in known}


PLAIN_HANDSHAKE = _plain_handshake()


class TlsSocket(ssl.SSLSocket):
    """Closes itself when its peer went away between the connect and the handshake.

    ssl.SSLSocket._create (3.11) asks for the peer first; when there is none any more it raises
    what the next recv says, and leaves the file descriptor to the collector.
    """

    def getpeername(self) -> Any:
        try:
            return super().getpeername()
        except OSError as error:
            self.close()
            raise ConnectionResetError(errno.ECONNRESET, "closed before the handshake") from error


class TlsConnection(redis.Connection):
    """TLS that trusts our CA alone.

    redis-py's own SSLConnection builds a default context for each connection: that loads the
    system's hundred public CAs, trusts them too, and costs 7 to 23 ms each time.
    """

    def __init__(self, *, ca: str, **options: Any) -> None:
        super().__init__(**options)  # type: ignore[no-untyped-call]
        self._ca = ca

    def _connect(self) -> Any:
        sock = super()._connect()  # type: ignore[no-untyped-call]
        try:
            return self._secure(sock)
        except OSError as error:
            sock.close()
            if getattr(error, "verify_code", 0) == _EXPIRED:
                raise self._dated(error) from error
            raise

    def _dated(self, error: OSError) -> OSError:
        """Say in the error since when the certificate is no longer valid."""
        text = "[SSL: CERTIFICATE_VERIFY_FAILED] certificate has expired"
        address = Address(str(self.host), int(self.port))
        with suppress(OSError, ValueError):
            ended = valid_until(address, ca=Path(self._ca), timeout=DEFAULT_TIMEOUT)
            text += f" on {datetime.fromtimestamp(ended, UTC):%Y-%m-%d %H:%M} UTC"
        return ssl.SSLError(error.args[0], text)

    def _secure(self, sock: socket.socket) -> ssl.SSLSocket:
        return tls_context(self._ca).wrap_socket(sock, server_hostname=self.host)


def tls_context(ca: str, socket_class: type[TlsSocket] = TlsSocket) -> ssl.SSLContext:
    """Return the context that trusts one CA file, anew when that file has changed."""
    # Not the time of its content: files that Docker brings have the same each time.
    return _context(ca, Path(ca).stat().st_ctime_ns, socket_class)  # type: ignore[arg-type]


@lru_cache(maxsize=8)
def _context(ca: str, _changed: int, socket_class: type[TlsSocket]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(ca)
    context.sslsocket_class = socket_class
    return context


@dataclass(frozen=True, order=True)
class Address:
    """Where a node listens: an IP address (never a name: FACTS, failover path) and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def valid_until(address: Address, *, ca: Path, timeout: float) -> float:
    """Return when the first certificate of a node's chain ends or ended: its own, or the CA's.

    In seconds since 1970. Raises OSError.
    """
    context = ssl.create_default_context(cafile=str(ca))
    context.verify_flags |= NO_CHECK_TIME
    context.sslsocket_class = TlsSocket
    with (
        socket.create_connection((address.host, address.port), timeout=timeout) as plain,
        context.wrap_socket(plain, server_hostname=address.host) as secure,
    ):
        return chain_end(secure)


def chain_end(tls: Any) -> float:
    """Return when the first certificate ends (s since 1970) that a peer's verification rests on."""
    # SSLSocket and SSLObject have it from Python 3.13 on, and there without dates.
    chain = tls._sslobj.get_verified_chain()  # noqa: SLF001
    return float(min(ssl.cert_time_to_seconds(each.get_info()["notAfter"]) for each in chain))


@dataclass(frozen=True)
class Credentials:
    """An ACL user; the password never shows in a repr."""

    username: str
    password: str = field(repr=False)


def connect(
    address: Address,
    *,
    credentials: Credentials,
    ca: Path,
    timeout: float = DEFAULT_TIMEOUT,
    decode: bool = True,
    db: int = 0,
    name: str = "",
) -> redis.Redis:
    """Open a client of one connection that fails at once instead of retrying by itself.

    `timeout` (s) bounds the connect and each reply. Nothing is sent before the first command.
    CLIENT LIST shows `name`.
    redis-py's own retries (3 with a backoff of up to 10 s) would hide a failover for seconds.
    """
    client = redis.Redis(
        host=address.host,
        port=address.port,
        db=db,
        client_name=name or None,
        username=credentials.username,
        password=credentials.password,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        retry=Retry(NoBackoff(), 0),
        decode_responses=decode,
        **PLAIN_HANDSHAKE,
    )
    # The pool makes no connection before the first command.
    client.connection_pool.connection_class = TlsConnection
    client.connection_pool.connection_kwargs["ca"] = str(ca)
    return client


def connect_local(path: Path, *, timeout: float = DEFAULT_TIMEOUT, db: int = 0) -> redis.Redis:
    """Open a client to a server's unix socket, as the default user; else as `connect`."""
    return redis.Redis(
        unix_socket_path=str(path),
        db=db,
        socket_timeout=timeout,
        retry=Retry(NoBackoff(), 0),
        decode_responses=True,
        **PLAIN_HANDSHAKE,
    )
