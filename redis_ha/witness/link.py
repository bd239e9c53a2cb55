"""One idle TLS connection to a node, kept without blocking; says what became of it.

What proves a death is kept apart here: a connection that the other side closed, and an attempt
that met nobody. An attempt that stalls after TCP met a listener, so its process lives. So does one
whose SYN is dropped by a machine that answers otherwise: it would refuse a port without listener,
and drops SYNs only when the listener's queue is full, as after all clients were disconnected. But
the machine of a container ends a moment after its process: that it answered before the SYN says
nothing.
"""

import errno
import socket
import ssl
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from redis_ha.connection import Address, Credentials, tls_context
from redis_ha.witness.resp import Garbage, Push, Refusal, Replies, command

# A neighbour's kernel answers a SYN in a millisecond; the address of a container that is gone
# never does.
SYN_SECONDS = 0.1
# A kernel sends about one such ICMP message a second, and some more after a quiet time.
PROBE_SECONDS = 1.0
# A machine that lives answers such a probe at once.
DOUBT_SECONDS = 0.05
# TLS and login of a server that listens but is busy or stopped.
GREETING_SECONDS = 2.0
FIRST_REDIAL_SECONDS, QUICK_REDIAL_SECONDS, SLOW_REDIAL_SECONDS = 0.022, 0.1, 1.0
# For so long after a loss the quick pace is kept, to meet an old master that comes back.
_QUICK_FOR_SECONDS = 60.0
# Unanswered requests beyond this aren't added to: the node hangs.
MOST_PENDING = 16
# A dead path ends a connection after this time, in milliseconds (TCP_USER_TIMEOUT).
_PATH_TIMEOUT_MS = 10_000
_CHUNK = 1 << 16
# Read at once at most; a flood on one connection must not keep the others waiting.
_MOST_CHUNKS = 8

# Met nobody. A missing route or address is this machine's own trouble and proves nothing.
_NOBODY = frozenset({errno.ECONNREFUSED, errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ECONNRESET})
_BY_PEER = (ConnectionResetError, BrokenPipeError, ssl.SSLEOFError, ssl.SSLZeroReturnError)

OnReply = Callable[[Any], None]


class News(Enum):
    """What became of a connection."""

    OPENED = "opened"
    CLOSED = "closed by the other side"
    SILENT = "given up without a word from the other side"
    UNREACHABLE = "nobody listens"
    KNOCKED = "somebody listens, but doesn't let us in"


class _Stage(Enum):
    WAITING = 0
    CONNECTING = 1
    SECURING = 2
    GREETING = 3
    OPEN = 4


@dataclass(frozen=True)
class Login:
    """Whom to log in as, on which CA's word."""

    credentials: Credentials
    ca: Path
    client_name: str


class _HostProbe:
    """A datagram to a port where nobody listens: a machine that lives says so by ICMP."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        # When it was last asked, when it was asked what it answered to, and when it did.
        self._sent_at = self._answered_to = self._answered_at = float("-inf")

    def send(self, address: Address, now: float, *, again: bool = False) -> None:
        """Ask anew, not more often than a kernel answers, or once more in between."""
        if now - self._sent_at < PROBE_SECONDS and not again:
            return
        self.close()
        self._sent_at = now
        with suppress(OSError):
            self._socket = socket.socket(_family(address), socket.SOCK_DGRAM)
            self._socket.setblocking(False)
            self._socket.connect((address.host, address.port))
            self._socket.send(b"")

    def answered(self, now: float) -> bool:
        """Say whether the machine answered to the last datagram or the one before."""
        if self._socket is not None:
            try:
                self._socket.recv(1)
            except ConnectionRefusedError:
                self._answered_to, self._answered_at = self._sent_at, now
            except OSError:
                pass
        return now - self._answered_at < 2 * PROBE_SECONDS

    def answered_since(self, moment: float) -> bool:
        """Say whether that was to a datagram of this moment or later."""
        return self._answered_to >= moment

    def forget(self) -> None:
        """Take the machine for silent until it answers again."""
        self._answered_to = self._answered_at = float("-inf")

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class Link:
    """Is told when its socket is ready and what time it is; `news` and `pushed` are to be taken."""

    def __init__(self, address: Address, login: Login, *, now: float) -> None:
        self.address = address
        self.problem = ""
        self.news: list[News] = []
        self.pushed: list[Push] = []
        self._login = login
        self._probe = _HostProbe()
        self._stage = _Stage.WAITING
        self._socket: socket.socket | None = None
        self._out = b""
        self._blocked = False
        # More may have arrived than was read: TLS has it, so no selector tells of it.
        self.unread = False
        self._replies = Replies()
        self._pending: deque[OnReply | None] = deque()
        self._lost_at = self._dialled_at = float("-inf")
        # Once for each loss: there are not many answers of a kernel to spare.
        self._doubted = self._doubting = False
        self._pause = FIRST_REDIAL_SECONDS
        self.deadline = now

    @property
    def is_open(self) -> bool:
        return self._stage is _Stage.OPEN

    @property
    def idle(self) -> bool:
        """True when it is open and every request was answered."""
        return self.is_open and not self._pending

    @property
    def socket(self) -> socket.socket | None:
        return self._socket

    @property
    def wants_write(self) -> bool:
        return self._stage is _Stage.CONNECTING or self._blocked or bool(self._out)

    def send(self, *words: str, on_reply: OnReply | None = None, replies: int = 1) -> bool:
        """Send a command; `on_reply` gets its reply, or None when the connection ends first."""
        if not self.is_open or len(self._pending) >= MOST_PENDING:
            return False
        self._pending.extend([on_reply] * replies)
        self._out += command(*words)
        return True

    def on_time(self, now: float) -> None:
        """Do what is due at `deadline`."""
        if now < self.deadline:
            return
        if self._stage is _Stage.WAITING:
            self._dial(now)
        elif self._stage is _Stage.CONNECTING:
            self._no_answer(now)
        elif self._stage in (_Stage.SECURING, _Stage.GREETING):
            self._end(News.KNOCKED, "it listens but doesn't answer", now)

    def _no_answer(self, now: float) -> None:
        """Nobody answered the SYN: the machine is gone, or lives with a listener that is busy."""
        lives = self._probe.answered(now)
        # It lived before the SYN was sent; whether it still does it is asked once more.
        before = lives and not self._probe.answered_since(self._dialled_at)
        if before and not self._doubted:
            self._doubted = self._doubting = True
            self._probe.send(self.address, now, again=True)
            self.deadline = now + DOUBT_SECONDS
            return
        if before and self._doubting:
            self._probe.forget()
            lives = False
        self._end(News.KNOCKED if lives else News.UNREACHABLE, "no answer to SYN", now)

    def on_ready(self, now: float) -> None:
        """Go on as far as the socket lets us, and not for ever."""
        self.unread = False
        try:
            if self._stage is _Stage.CONNECTING:
                self._connected(now)
            if self._stage is _Stage.SECURING:
                self._secure(now)
            if self._stage in (_Stage.GREETING, _Stage.OPEN):
                self._flush()
                self._receive()
        except ssl.SSLWantReadError:
            self._blocked = False
        except ssl.SSLWantWriteError:
            self._blocked = True
        except (OSError, Garbage) as error:
            self._failed(error, now)

    def close(self) -> None:
        """Drop the connection for good."""
        self._drop()
        self._probe.close()

    def _drop(self) -> None:
        self.unread = False
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _dial(self, now: float) -> None:
        self._probe.send(self.address, now)
        self._dialled_at, self._doubting = now, False
        self._socket = raw = socket.socket(_family(self.address), socket.SOCK_STREAM)
        raw.setblocking(False)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _PATH_TIMEOUT_MS)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._stage, self.deadline = _Stage.CONNECTING, now + SYN_SECONDS
        code = raw.connect_ex((self.address.host, self.address.port))
        if code not in (0, errno.EINPROGRESS):
            self._failed(OSError(code, errno.errorcode.get(code, "")), now)

    def _connected(self, now: float) -> None:
        assert self._socket is not None  # noqa: S101
        code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, errno.errorcode.get(code, ""))
        self._stage, self.deadline = _Stage.SECURING, now + GREETING_SECONDS
        self._socket = tls_context(str(self._login.ca)).wrap_socket(
            self._socket, server_hostname=self.address.host, do_handshake_on_connect=False
        )

    def _secure(self, now: float) -> None:
        assert isinstance(self._socket, ssl.SSLSocket)  # noqa: S101
        self._socket.do_handshake()
        self._stage = _Stage.GREETING
        user = self._login.credentials
        self._out = command(
            *("HELLO", "3", "AUTH", user.username, user.password),
            *("SETNAME", self._login.client_name),
        )
        self._pending = deque([lambda reply: self._greeted(reply, now)])

    def _greeted(self, reply: Any, now: float) -> None:
        if reply is None:
            return
        if isinstance(reply, Refusal):
            self._end(News.KNOCKED, reply.text, now)
            return
        self._stage, self.deadline = _Stage.OPEN, float("inf")
        self._pause, self.problem = FIRST_REDIAL_SECONDS, ""
        self._probe.close()
        self.news.append(News.OPENED)

    def _flush(self) -> None:
        while self._out and self._socket is not None:
            sent = self._socket.send(self._out)
            self._out = self._out[sent:]

    def _receive(self) -> None:
        for _ in range(_MOST_CHUNKS):
            if self._socket is None:
                return
            chunk = self._socket.recv(_CHUNK)
            if not chunk:
                raise ConnectionResetError("EOF")
            for value in self._replies.feed(chunk):
                if isinstance(value, Push):
                    self.pushed.append(value)
                elif self._pending:
                    on_reply = self._pending.popleft()
                    if on_reply is not None:
                        on_reply(value)
        self.unread = self._socket is not None

    def _failed(self, error: Exception, now: float) -> None:
        text = str(error) or type(error).__name__
        if self._stage is _Stage.CONNECTING:
            nobody = isinstance(error, OSError) and error.errno in _NOBODY
            self._end(News.UNREACHABLE if nobody else News.SILENT, text, now)
        elif self._stage is _Stage.OPEN:
            by_peer = isinstance(error, _BY_PEER)
            self._end(News.CLOSED if by_peer else News.SILENT, text, now)
        else:
            self._end(News.KNOCKED, text, now)

    def _end(self, news: News, problem: str, now: float) -> None:
        """Drop the connection and say why; dial again after a pause, at once after a loss."""
        self._drop()
        if self._stage is _Stage.OPEN:
            self._lost_at, self.deadline = now, now
            self._doubted = False
            self._pause = FIRST_REDIAL_SECONDS
        else:
            self.deadline = now + self._pause
            lately = now - self._lost_at < _QUICK_FOR_SECONDS
            # A listener that refuses us goes on to; an address without one may get an old master.
            quick = lately and news is News.UNREACHABLE
            longest = QUICK_REDIAL_SECONDS if quick else SLOW_REDIAL_SECONDS
            self._pause = min(2 * self._pause, longest)
        self._stage, self.problem = _Stage.WAITING, problem
        self._out, self._replies = b"", Replies()
        self.news.append(news)
        self._disappoint()

    def _disappoint(self) -> None:
        pending, self._pending = self._pending, deque()
        for on_reply in pending:
            if on_reply is not None:
                on_reply(None)


def _family(address: Address) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address.host else socket.AF_INET


def take(items: list[Any]) -> Iterator[Any]:
    """Empty a list, yielding what was in it."""
    while items:
        yield items.pop(0)
