"""The commands in the log's bytes: bytes go in, commands with offset and database come out.

No I/O, and bounded memory: of a long value only the length is kept. Source: the replication
stream is RESP arrays of bulk strings (redis.io/docs/reference/protocol-spec).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from backup_worker.errors import SnapshotCorrupt

# A longer value is represented by its length; so are all once a command took so much.
KEPT_BYTES = 64 * 1024
_KEPT_BYTES_A_COMMAND = 1024 * 1024
_KEPT_WORDS = 4096
# `*` or `$`, a number of at most 20 digits, \r\n.
_LONGEST_HEADER = 23
_LARGEST_NUMBER = 2**40


@dataclass(frozen=True)
class Long:
    """A value that is not kept, by its length in bytes."""

    size: int


Word = bytes | Long


class Command(NamedTuple):
    """One command of the stream.

    It follows on offset `before` and ends at `end`, included. `unit` is the offset that its
    transaction follows on, its own where it is in none. `db` is None until one was selected.
    Of `length` words `words` has the first ones.
    """

    before: int
    end: int
    unit: int
    db: int | None
    words: tuple[Word, ...]
    length: int

    @property
    def name(self) -> str:
        """The command's name in upper case."""
        first = self.words[0]
        return first.decode("latin-1").upper() if isinstance(first, bytes) else ""


class CommandReader:
    """Takes the bytes after `offset`, yields their commands.

    `offset` must lie between two commands and outside a transaction; `db` is the database
    selected there. `subject` names the object in SnapshotCorrupt, raised for what is no command.
    """

    def __init__(self, *, offset: int, db: int | None, subject: str) -> None:
        # The last offset between two commands and outside a transaction.
        self.boundary = offset
        self._subject = subject
        self._db = db
        self._before = offset
        self._unit: int | None = None
        # The offset that `_rest` follows on: a header or value that has not all come.
        self._offset = offset
        self._rest = b""
        self._words: list[Word] = []
        self._count = 0
        self._missing = 0
        self._kept = 0
        # Bytes still to come of a value that is not kept, its \r\n included.
        self._skip = 0

    def feed(self, data: bytes) -> Iterator[Command]:
        """Yield the commands that these bytes complete; iterate to the end before the next."""
        buffer = self._rest + data if self._rest else data
        at = 0
        while (after := self._step(buffer, at)) >= 0:
            at = after
            if self._count and not self._missing and not self._skip:
                yield self._complete(self._offset + at)
        self._rest = buffer[at:]
        self._offset += at

    def finish(self) -> None:
        """Check that the bytes ended between two commands and outside a transaction."""
        if self._rest or self._count:
            raise self._malformed("it ends inside a command")
        if self._unit is not None:
            raise self._malformed("it ends inside a transaction")

    def _step(self, buffer: bytes, at: int) -> int:
        """Take the next part of a command; return where it ends, -1 when more bytes are needed."""
        if self._skip:
            return self._skip_on(buffer, at)
        kind = 36 if self._missing else 42  # $ for a word, * for a command
        end = buffer.find(b"\r\n", at, at + _LONGEST_HEADER)
        if end < 0:
            if len(buffer) - at >= _LONGEST_HEADER or (len(buffer) > at and buffer[at] != kind):
                raise self._malformed("no command begins where one must", at)
            return -1
        number = buffer[at + 1 : end]
        if buffer[at] != kind or not number.isdigit() or int(number) > _LARGEST_NUMBER:
            raise self._malformed("no command begins where one must", at)
        if kind == 36:
            return self._take_word(buffer, end + 2, int(number))
        self._count = self._missing = int(number)
        if not self._count:
            raise self._malformed("a command has no words", at)
        return end + 2

    def _take_word(self, buffer: bytes, start: int, size: int) -> int:
        if size > KEPT_BYTES or self._kept + size > _KEPT_BYTES_A_COMMAND:
            self._keep(Long(size))
            self._skip = size + 2
            return start
        end = start + size
        if len(buffer) < end + 2:
            return -1
        if buffer[end : end + 2] != b"\r\n":
            raise self._malformed("a value is longer than it says", end)
        self._kept += size
        self._keep(buffer[start:end])
        return end + 2

    def _skip_on(self, buffer: bytes, at: int) -> int:
        """Pass over a value; its \\r\\n is looked at."""
        if self._skip > 2:
            step = min(self._skip - 2, len(buffer) - at)
            self._skip -= step
            return at + step if step else -1
        if len(buffer) < at + 2:
            return -1
        if buffer[at : at + 2] != b"\r\n":
            raise self._malformed("a value is longer than it says", at)
        self._skip = 0
        return at + 2

    def _keep(self, word: Word) -> None:
        self._missing -= 1
        if len(self._words) < _KEPT_WORDS:
            self._words.append(word)

    def _complete(self, end: int) -> Command:
        before, words = self._before, tuple(self._words)
        first = words[0]
        control = first.upper() if isinstance(first, bytes) and len(first) <= 6 else b""
        if control == b"SELECT":
            self._select(words)
        elif control == b"MULTI" and self._unit is None:
            self._unit = before
        unit = before if self._unit is None else self._unit
        if control == b"EXEC":
            self._unit = None
        command = Command(before, end, unit, self._db, words, self._count)
        self._before, self._words, self._count, self._kept = end, [], 0, 0
        if self._unit is None:
            self.boundary = end
        return command

    def _select(self, words: tuple[Word, ...]) -> None:
        number = words[1] if len(words) == 2 else b""
        if not isinstance(number, bytes) or not number.isdigit() or len(number) > 9:
            raise self._malformed("a SELECT names no database")
        self._db = int(number)

    def _malformed(self, cause: str, at: int = 0) -> SnapshotCorrupt:
        return SnapshotCorrupt(
            operation="read the commands of",
            subject=self._subject,
            cause=f"{cause}, after offset {self._offset + at}",
            hint="restore to a point before it, or from a snapshot after it",
        )


def commands(
    chunks: Iterable[bytes], *, offset: int, db: int | None, subject: str
) -> Iterator[Command]:
    """Yield the commands of bytes that are whole: ends in SnapshotCorrupt where they are not."""
    reader = CommandReader(offset=offset, db=db, subject=subject)
    for chunk in chunks:
        yield from reader.feed(chunk)
    reader.finish()
