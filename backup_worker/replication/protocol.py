"""The replica's side of the replication protocol, without I/O: bytes in, events out.

A server answers each handshake command with one line, then PSYNC with +FULLRESYNC or
+CONTINUE; after +FULLRESYNC comes the RDB as `$<length>` or `$EOF:<40-byte mark>`. Bare
newlines are keep-alives and may stand before any reply. Source: Redis replication.c.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from backup_worker.errors import ProtocolError

MAX_LINE = 4096
MARK_LENGTH = 40
_FULLRESYNC = re.compile(rb"\+FULLRESYNC ([0-9a-zA-Z]{40}) (\d{1,19})")
_CONTINUE = re.compile(rb"\+CONTINUE(?: ([0-9a-zA-Z]{40}))?")
_LENGTH = re.compile(rb"\$(\d{1,19})")
_UNTIL_MARK = re.compile(rb"\$EOF:(.{40})", re.DOTALL)
_TRANSIENT = (
    "NOMASTERLINK",
    "LOADING",
    "MASTERDOWN",
    "TRYAGAIN",
    "BUSY",
    "ERR max number of clients",
)


@dataclass(frozen=True)
class KeepAlive:
    """The server lives and has nothing to say yet."""


@dataclass(frozen=True)
class Reply:
    """A simple answer of the handshake, such as OK or PONG."""

    text: str


@dataclass(frozen=True)
class ServerError:
    """The server refused; `transient` when the same server may accept a little later."""

    message: str
    transient: bool


@dataclass(frozen=True)
class FullResync:
    """An RDB follows that holds history `replid` up to `offset` (bytes)."""

    replid: str
    offset: int


@dataclass(frozen=True)
class Continue:
    """The stream goes on where we left it; `replid` is the history's new name, if it has one."""

    replid: str | None


@dataclass(frozen=True)
class RdbStart:
    """The RDB begins; `length` (bytes) is None where only an end mark tells."""

    length: int | None


@dataclass(frozen=True)
class RdbChunk:
    """The next bytes of the RDB."""

    data: bytes


@dataclass(frozen=True)
class RdbEnd:
    """The RDB is complete."""


@dataclass(frozen=True)
class Commands:
    """Raw bytes of the command stream that follows the RDB or +CONTINUE."""

    data: bytes


Event = (
    KeepAlive
    | Reply
    | ServerError
    | FullResync
    | Continue
    | RdbStart
    | RdbChunk
    | RdbEnd
    | Commands
)


class ReplicationParser:
    """Turns what a server sends on a replication link into events, in whatever pieces it comes.

    Holds back at most one line, or the part of an end mark that may have begun.
    Raises ProtocolError on bytes that no server sends.
    """

    def __init__(self) -> None:
        self._held = b""
        self._payload: _Counted | _Marked | None = None
        self._resyncing = False
        self._streaming = False

    def feed(self, data: bytes) -> Iterator[Event]:
        """Yield the events that `data` completes; consume them all before the next feed."""
        rest = data
        while rest:
            if self._streaming:
                yield Commands(rest)
                return
            if self._payload is not None:
                chunk, rest, ended = self._payload.take(rest)
                if chunk:
                    yield RdbChunk(chunk)
                if ended:
                    self._payload, self._streaming = None, True
                    yield RdbEnd()
                continue
            line, rest = self._take_line(rest)
            if line is not None:
                yield self._read_line(line)

    def _take_line(self, data: bytes) -> tuple[bytes | None, bytes]:
        line, newline, rest = data.partition(b"\n")
        self._held += line
        if len(self._held) > MAX_LINE:
            raise _broken(f"a line of more than {MAX_LINE} bytes", self._held)
        if not newline:
            return None, b""
        complete, self._held = self._held.removesuffix(b"\r"), b""
        return complete, rest

    def _read_line(self, line: bytes) -> Event:
        if not line:
            return KeepAlive()
        if self._resyncing:
            return self._begin_payload(line)
        if line.startswith(b"-"):
            message = line[1:].decode(errors="replace")
            return ServerError(message, message.startswith(_TRANSIENT))
        if match := _FULLRESYNC.fullmatch(line):
            self._resyncing = True
            return FullResync(match[1].decode(), int(match[2]))
        if match := _CONTINUE.fullmatch(line):
            self._streaming = True
            return Continue(match[1].decode() if match[1] else None)
        if line.startswith((b"+FULLRESYNC", b"+CONTINUE")) or not line.startswith(b"+"):
            raise _broken("an unknown reply", line)
        return Reply(line[1:].decode(errors="replace"))

    def _begin_payload(self, line: bytes) -> Event:
        if line.startswith(b"-"):
            message = line[1:].decode(errors="replace")
            return ServerError(message, transient=True)  # the server's fork failed
        if match := _UNTIL_MARK.fullmatch(line):
            self._payload = _Marked(match[1])
            return RdbStart(None)
        match = _LENGTH.fullmatch(line)
        if match is None or not int(match[1]):
            raise _broken("no RDB where one was announced", line)
        self._payload = _Counted(int(match[1]))
        return RdbStart(int(match[1]))


class _Counted:
    """A payload of known length."""

    def __init__(self, length: int) -> None:
        self._left = length

    def take(self, data: bytes) -> tuple[bytes, bytes, bool]:
        """Split into (payload, what follows it, whether it ended)."""
        self._left -= len(chunk := data[: self._left])
        return chunk, data[len(chunk) :], not self._left


class _Marked:
    """A payload that ends with a 40-byte mark, which may come in pieces."""

    def __init__(self, mark: bytes) -> None:
        self._mark = mark
        self._begun = b""

    def take(self, data: bytes) -> tuple[bytes, bytes, bool]:
        """Split into (payload, what follows it, whether it ended)."""
        if self._begun:
            data = self._begun + data
        if (at := data.find(self._mark)) >= 0:
            return data[:at], data[at + MARK_LENGTH :], True
        held = self._held_back(data)
        self._begun = data[len(data) - held :]
        return (data[:-held] if held else data), b"", False

    def _held_back(self, data: bytes) -> int:
        lengths = range(min(MARK_LENGTH - 1, len(data)), 0, -1)
        return next((n for n in lengths if data.endswith(self._mark[:n])), 0)


def _broken(what: str, received: bytes) -> ProtocolError:
    return ProtocolError(
        operation="read",
        subject="replication stream",
        cause=f"the server sent {what}: {received[:60]!r}",
        hint="check that the address is a Redis or Valkey data node",
    )
