"""Finds where commands and transactions end in the replication stream, without I/O.

The stream is RESP arrays of bulk strings. One regular expression walks over them: a digit trie
names every length below LIMIT, so that no Python step is taken per command. Python steps over
the rest: SELECT, longer arguments, and what a piece cuts in two. Source: RESP specification.
"""

import re
from dataclasses import dataclass
from functools import cache

from backup_worker.errors import ProtocolError

# Lengths that the expression knows; an argument of this length or more takes a Python step.
LIMIT = 300
# Argument counts that the expression checks; of more arguments it only sees where they end.
_COUNTED = (1, 2, 3)
# Longer arguments are not looked at: no word that matters is longer.
_WORD = 32
# Longer than any header: an array's or a bulk string's length has at most 19 digits.
_HEADER = 24
_PING = rb"\*1\r\n\$4\r\nPING\r\n"
_GETACK = rb"\*3\r\n\$8\r\nREPLCONF\r\n\$6\r\nGETACK\r\n\$1\r\n\*\r\n"
# What Sentinel tells the other sentinels through the data nodes, three times in two seconds.
_HELLO = rb"\*3\r\n\$7\r\nPUBLISH\r\n\$18\r\n__sentinel__:hello\r\n\$"
_ARRAY = re.compile(rb"\*([1-9]\d{0,18})\r\n")
_BULK = re.compile(rb"\$(0|[1-9]\d{0,18})\r\n")


@dataclass(frozen=True)
class Boundary:
    """A place between two commands and outside a transaction.

    `offset` is that of the last byte before it; `db` the database selected there, None where
    no SELECT has told.
    """

    offset: int
    db: int | None


class BoundaryWalker:
    """Is fed the stream from a boundary on, in whatever pieces it comes.

    Memory: one piece and at most _WORD bytes of the one before; a value of any size passes.
    Raises ProtocolError on bytes that no server sends; the walker is of no use after that.
    """

    def __init__(self, start: Boundary) -> None:
        self.boundary = start
        self._walked = start.offset
        self._db = start.db
        self._carry = b""
        # Of the command that a piece has cut: arguments to come, bytes of the current one to come.
        self._arguments = 0
        self._skip = 0
        self._words: list[bytes] | None = None
        self._transaction = False

    def feed(self, data: bytes) -> bool:
        """Take the next bytes; say whether they were nothing but signs of life, each whole."""
        quiet = self._between and _quiet().fullmatch(data) is not None
        piece = self._carry + data if self._carry else data
        if quiet:
            self._pass(len(piece))
        else:
            piece = piece[self._walk(piece) :]
            self._carry = piece
        return quiet

    @property
    def _between(self) -> bool:
        return not (self._carry or self._arguments or self._transaction)

    def _walk(self, data: bytes) -> int:
        """Walk as far as `data` allows; return how far that is."""
        position = 0
        while position < len(data):
            reached = self._leap(data, position)
            reached = self._step(data, reached)
            if reached == position:
                break
            position = reached
        return position

    def _leap(self, data: bytes, position: int) -> int:
        """Pass whole commands, or whole transactions, that need no look."""
        if self._arguments:
            return position
        pattern = _commands() if self._transaction else _units()
        found = pattern.match(data, position)
        reached = found.end() if found else position
        if reached > position:
            self._pass(reached - position)
        return reached

    def _step(self, data: bytes, position: int) -> int:
        """Pass one header, one argument or a part of it; return `position` if it is cut."""
        if position == len(data):
            return position
        if not self._arguments:
            return self._begin(data, position)
        if self._skip:
            return self._pass_value(data, position)
        return self._argument(data, position)

    def _begin(self, data: bytes, position: int) -> int:
        found = self._header(_ARRAY, data, position)
        if found is None:
            return position
        self._arguments = int(found[1])
        self._words = [] if self._arguments <= 2 else None
        self._walked += found.end() - position
        return found.end()

    def _argument(self, data: bytes, position: int) -> int:
        found = self._header(_BULK, data, position)
        if found is None:
            return position
        end = found.end() + int(found[1]) + 2
        if end - found.end() > _WORD + 2:
            self._words = None
            self._skip = end - found.end()
            self._walked += found.end() - position
            return found.end()
        if end > len(data):
            return position
        if self._words is not None:
            self._words.append(data[found.end() : end - 2])
        self._ended(data, end)
        self._walked += end - position
        self._finish_argument()
        return end

    def _pass_value(self, data: bytes, position: int) -> int:
        """Pass a part of a long argument; its last two bytes are looked at together."""
        taken = min(self._skip - 2, len(data) - position)
        if not taken:
            if len(data) - position < 2:
                return position
            self._ended(data, position + 2)
            taken = 2
        self._skip -= taken
        self._walked += taken
        if not self._skip:
            self._finish_argument()
        return position + taken

    def _header(
        self, pattern: re.Pattern[bytes], data: bytes, position: int
    ) -> re.Match[bytes] | None:
        found = pattern.match(data, position)
        if found is None and not _may_become(pattern, data[position : position + _HEADER]):
            raise _broken(self._walked, data[position : position + 40])
        return found

    def _ended(self, data: bytes, end: int) -> None:
        if data[end - 2 : end] != b"\r\n":
            raise _broken(self._walked, data[end - 2 : end + 38])

    def _finish_argument(self) -> None:
        self._arguments -= 1
        if not self._arguments:
            self._note(self._words)
            self._pass(0)

    def _note(self, words: list[bytes] | None) -> None:
        """Draw the consequences of a command that was stepped over."""
        match [word.upper() for word in words or ()]:
            case [b"MULTI"]:
                self._transaction = True
            case [b"EXEC"]:
                self._transaction = False
            case [b"SELECT", db] if db.isdigit():
                self._db = int(db)

    def _pass(self, count: int) -> None:
        self._walked += count
        if not self._transaction:
            self.boundary = Boundary(self._walked, self._db)


@cache
def _quiet() -> re.Pattern[bytes]:
    """Match PING, GETACK and the sentinels' hello: they change no data."""
    signs = rb"%s|%s|%s%s" % (_PING, _GETACK, _HELLO, _lengths())
    return re.compile(rb"(?:%s)++" % signs, re.DOTALL | re.IGNORECASE)


@cache
def _commands() -> re.Pattern[bytes]:
    """Match whole commands up to a MULTI, EXEC or SELECT, or one with a long argument."""
    return re.compile(rb"(?:%s)*+" % _command(), re.DOTALL)


@cache
def _units() -> re.Pattern[bytes]:
    """Match whole commands and whole transactions, up to what `_commands` stops at."""
    multi, execute = rb"\*1\r\n\$5\r\n(?i:MULTI)\r\n", rb"\*1\r\n\$4\r\n(?i:EXEC)\r\n"
    command = _command()
    unit = rb"%s|(?>%s(?:%s)*+%s)" % (command, multi, command, execute)
    return re.compile(rb"(?:%s)*+" % unit, re.DOTALL)


@cache
def _command() -> bytes:
    """Express one command; any number of arguments is over where the next command begins."""
    argument = rb"\$" + _lengths()
    ahead = {
        1: rb"(?!\$5\r\n(?i:MULTI)\r\n|\$4\r\n(?i:EXEC)\r\n)",
        2: rb"(?!\$6\r\n(?i:SELECT)\r\n)",
    }
    counted = [
        rb"%d\r\n%s(?:%s){%d}+" % (count, ahead.get(count, b""), argument, count)
        for count in _COUNTED
    ]
    others = rb"(?:[%d-9]|[1-9][0-9]++)\r\n(?:%s)++(?=\*)" % (_COUNTED[-1] + 1, argument)
    return rb"\*(?:%s)" % b"|".join([*counted, others])


def _lengths(prefix: str = "") -> bytes:
    """Express `<length>\\r\\n<so many bytes>\\r\\n` for all lengths that begin with `prefix`."""
    branches = []
    if prefix:
        value = rb".{%d}+" % int(prefix) if int(prefix) else b""
        branches.append(rb"\r\n%s\r\n" % value)
    if prefix != "0":
        longer = (prefix + digit for digit in "0123456789")
        branches += [more[-1].encode() + _lengths(more) for more in longer if int(more) < LIMIT]
    return b"(?:%s)" % b"|".join(branches)


def _may_become(pattern: re.Pattern[bytes], start: bytes) -> bool:
    """Say whether more bytes may make a header of what is there."""
    kind = pattern.pattern[1:2]
    digits = start[1:].removesuffix(b"\r")
    zero = kind == b"$" and digits == b"0"
    number = not digits or zero or (digits.isdigit() and not digits.startswith(b"0"))
    bare = start.endswith(b"\r") and not digits
    return len(start) < _HEADER and start[:1] == kind and number and not bare


def _broken(offset: int, received: bytes) -> ProtocolError:
    return ProtocolError(
        operation="read",
        subject="replication stream",
        cause=f"no command where one was due, after offset {offset}: {received!r}",
        hint="check that the address is a Redis or Valkey data node",
    )
