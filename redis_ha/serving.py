"""An HTTPS server for metrics: a thread for each client, and so many clients at once."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from socketserver import TCPServer, ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer
from wsgiref.types import WSGIApplication

from redis_ha.connection import NO_CHECK_TIME, Address, chain_end

_CLIENT_SECONDS = 10.0
_MOST_CLIENTS = 16


@contextmanager
def served(
    app: WSGIApplication, address: Address, *, certificate: Path, private_key: Path
) -> Iterator[int]:
    """Serve an application during the block; gives the port. Raises OSError.

    A certificate that is renewed on disk is presented to the next client.
    """
    identity = _Identity(certificate, private_key)
    server = _Server(address, identity)
    server.set_app(app)
    thread = threading.Thread(target=server.serve_forever, name="serving", daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def own_end(certificate: Path, private_key: Path, *, ca: Path) -> float:
    """Return when the first of a server's own chain ends (s since 1970), as its clients see it.

    Read anew when a file has changed. Raises OSError.
    """
    files = (certificate, private_key, ca)
    return _own_end(files, tuple(file.stat().st_ctime_ns for file in files))


@lru_cache(maxsize=4)
def _own_end(files: tuple[Path, Path, Path], _changed: tuple[int, ...]) -> float:
    """Shake hands with itself in memory: nobody has to be reachable, or be called by its name."""
    certificate, private_key, ca = files
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, private_key)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.load_verify_locations(ca)
    client.verify_flags |= NO_CHECK_TIME
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    asks = client.wrap_bio(back, there)
    answers = server.wrap_bio(there, back, server_side=True)
    for side in (asks, answers, asks):
        with suppress(ssl.SSLWantReadError):
            side.do_handshake()
    return chain_end(asks)


class _Identity:
    """The certificate and key that a client is shown, as they are on disk."""

    def __init__(self, certificate: Path, private_key: Path) -> None:
        self._files = (certificate, private_key)
        self._seen = self._stamps()
        self._context = self._load()

    def context(self) -> ssl.SSLContext:
        """Return the present one; files that can't be used, half written, leave the one before."""
        with suppress(OSError):
            stamps = self._stamps()
            if stamps != self._seen:
                self._context = self._load()
                self._seen = stamps
        return self._context

    def _stamps(self) -> tuple[int, ...]:
        return tuple(file.stat().st_mtime_ns for file in self._files)

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self._files)
        return context


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def __init__(self, address: Address, identity: _Identity) -> None:
        self._identity = identity
        self._seats = threading.BoundedSemaphore(_MOST_CLIENTS)
        super().__init__((address.host, address.port), _Handler)

    def server_bind(self) -> None:
        """Bind without asking DNS for this machine's name, as HTTPServer would."""
        TCPServer.server_bind(self)
        host, self.server_port = self.server_address[:2]
        self.server_name = str(host)
        self.setup_environ()

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a client; its handshake happens in its thread: a silent one holds up nobody."""
        plain, peer = super().get_request()
        context = self._identity.context()
        return context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False), peer

    def process_request(self, request: Any, client_address: Any) -> None:
        """Let a client in, or close its connection when all seats are taken."""
        if self._seats.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve one client and free its seat."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._seats.release()

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: whoever breaks off a scrape knows it."""


class _Handler(WSGIRequestHandler):
    timeout = _CLIENT_SECONDS

    def log_message(self, *_: object) -> None:
        """Say nothing of each scrape."""
