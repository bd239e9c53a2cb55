"""Serves the page and its state to browsers on this machine, and to nobody else.

The token in the address keeps out other users of this machine, the check of the Host header those
sites that make a name of theirs point to 127.0.0.1, and the content security policy sees to it that
whatever the cluster says is never more than text.
"""

import hmac
import json
import re
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from redis_ha.dashboard.page import Page
from redis_ha.errors import BadSetting

# Behind a forwarded port a browser names another one than ours.
_LOCAL = re.compile(r"(?:127\.0\.0\.1|localhost|\[::1\])(?::\d{1,5})?", re.ASCII | re.IGNORECASE)
_LOOPBACK = ("127.0.0.1", "::1")
_METHODS = ("GET", "HEAD")
# A client that doesn't send its request, or doesn't read the answer, for so long (s) is let go.
_CLIENT_SECONDS = 10.0
_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
# For answers that are no page.
_NO_CONTENT = "default-src 'none'; frame-ancestors 'none'"


@dataclass(frozen=True)
class Served:
    """What there is to serve to who has the token: the page, and the state as it is when asked."""

    page: Page
    state: Callable[[], object]
    token: str = field(repr=False)


@dataclass(frozen=True)
class Answer:
    """A response; `extra` headers beside those that all have."""

    status: int
    body: bytes
    kind: str = "text/plain; charset=utf-8"
    policy: str = _NO_CONTENT
    extra: Mapping[str, str] = field(default_factory=dict)

    def headers(self) -> dict[str, str]:
        """Return all headers."""
        own = {
            "Content-Type": self.kind,
            "Content-Length": str(len(self.body)),
            "Content-Security-Policy": self.policy,
        }
        return {**_HEADERS, **own, **self.extra}


def answer(method: str, target: str, host: str | None, served: Served) -> Answer:
    """Decide what a request gets; `host` is its Host header."""
    if method not in _METHODS:
        return Answer(405, b"only GET and HEAD\n", extra={"Allow": ", ".join(_METHODS)})
    if not is_local(host):
        return Answer(421, b"this is only for this machine: use 127.0.0.1 or localhost\n")
    try:
        parts = urlsplit(target)
        known = _has_token(parts.query, served.token)
    except ValueError:
        return Answer(400, b"no address that can be read\n")
    if not known:
        return Answer(403, b"open the address that `redis-ha dashboard` printed\n")
    return _content(parts.path, served)


def _content(path: str, served: Served) -> Answer:
    if path == "/":
        return Answer(200, served.page.html, "text/html; charset=utf-8", served.page.policy)
    if path == "/state.json":
        body = json.dumps(served.state(), separators=(",", ":")).encode()
        return Answer(200, body, "application/json")
    return Answer(404, b"there is nothing here\n")


def is_local(host: str | None) -> bool:
    """Say whether a Host header names this machine by a name that nobody else can give."""
    return _LOCAL.fullmatch(host or "") is not None


def _has_token(query: str, token: str) -> bool:
    given = parse_qs(query, max_num_fields=8).get("token", [""])[0]
    return hmac.compare_digest(given.encode(), token.encode())


class DashboardServer(ThreadingHTTPServer):
    """Listens on a loopback address, on any free port with `port` 0; raises BadSetting."""

    def __init__(self, host: str, port: int, served: Served) -> None:
        self.served = served
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        if host not in _LOOPBACK:
            raise BadSetting(
                operation="serve the dashboard on",
                subject=host,
                cause="it shows the cluster's inside unencrypted, so it listens on loopback only",
                hint="use 127.0.0.1 or ::1; from elsewhere `ssh -L 8080:127.0.0.1:PORT` hither",
            )
        try:
            super().__init__((host, port), _Handler)
        except OSError as error:
            raise BadSetting(
                operation="listen on",
                subject=f"{host}:{port}",
                cause=error.strerror or str(error),
                hint="choose another port, or --port 0 for any free one",
            ) from error

    def server_bind(self) -> None:
        """Bind without asking DNS for this machine's name, as HTTPServer would."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    @property
    def url(self) -> str:
        """Return the address for a browser, with the token."""
        name = self.server_name
        host = f"[{name}]" if self.address_family == socket.AF_INET6 else name
        return f"http://{host}:{self.server_port}/?token={self.served.token}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a browser that breaks off: it knows."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    timeout = _CLIENT_SECONDS
    server: DashboardServer

    def version_string(self) -> str:
        return "redis-ha"

    def log_message(self, *_: object) -> None:
        """Say nothing of each request: its address has the token."""

    def _answer(self) -> None:
        found = answer(self.command, self.path, self.headers.get("Host"), self.server.served)
        self.send_response(found.status)
        for name, value in found.headers().items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(found.body)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _answer  # noqa: N815
