"""Finding commands in the log: by pattern, newest first; or listed in order."""

import fnmatch
import re
import shlex
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from backup_worker.errors import PointNotFound, UsageError
from backup_worker.log.commands import Command, CommandReader, Long, Word
from backup_worker.log.history import History
from backup_worker.log.lineage import Forest, Line, Piece, line, owned
from backup_worker.log.plan import AtOffset
from backup_worker.log.reading import SegmentReader
from backup_worker.log.segment import Segment, SegmentName, last_of_each

_NEIGHBOURS = 2
# How many segments are looked at for them, in each direction.
_PIECES_AROUND = 10
# Sent by the server itself: nothing of the data, and of no interest between two commands.
_HOUSEKEEPING = frozenset({"PING", "REPLCONF", "SELECT"})
# Three sentinels say hello each 2 s, and the master passes that on.
_HELLO = (b"PUBLISH", b"__sentinel__:hello")
# Their second word is a command's name too.
_CONTAINERS = frozenset({"FUNCTION", "SCRIPT", "XGROUP"})
# `*<count>\r\n$<size>\r\n` before a command's name.
_LONGEST_START = 64


@dataclass(frozen=True)
class Pattern:
    """The first words of a command: its name in any case, the others as globs."""

    words: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> "Pattern":
        """Read `FLUSHALL` or `DEL user:*`, quoted as in a shell; raises UsageError."""
        try:
            words = tuple(shlex.split(text))
        except ValueError as error:
            raise _unusable(text, str(error)) from error
        if not words:
            raise _unusable(text, "it is empty")
        return cls(words)

    def __str__(self) -> str:
        return shlex.join(self.words)

    @property
    def rough(self) -> re.Pattern[bytes] | None:
        """What bytes without a match lack; None when the name is a glob."""
        if set(self.words[0]) & set("*?["):
            return None
        name = self.words[0].encode()
        start = rb"\*\d+\r\n\$%d\r\n" % len(name)
        return re.compile(start + re.escape(name) + rb"\r\n", re.IGNORECASE)

    def matches(self, command: Command) -> bool:
        """Say whether a command begins with these words."""
        if len(command.words) < len(self.words):
            return False
        return all(
            _word_matches(glob, word, any_case=index == 0 or (index == 1 and container))
            for container in (command.name in _CONTAINERS,)
            for index, (glob, word) in enumerate(zip(self.words, command.words, strict=False))
        )


def is_housekeeping(command: Command) -> bool:
    """Say whether no client's wish is behind a command."""
    return command.name in _HOUSEKEEPING or command.words[:2] == _HELLO


@dataclass(frozen=True)
class Logged:
    """A command with its timeline and the time (ms) by which it had arrived."""

    command: Command
    replid: str
    time_ms: int


@dataclass(frozen=True)
class Match:
    """The last command that a pattern matches, between its neighbours.

    `target` is the end of the unit before it: before the MULTI where it is in a transaction.
    """

    found: Logged
    before: tuple[Logged, ...]
    after: tuple[Logged, ...]

    @property
    def target(self) -> AtOffset:
        return AtOffset(self.found.command.unit, self.found.replid)


@dataclass(frozen=True)
class LogSearch:
    """Looks through the log of `history` with the keys of `reader`."""

    history: History
    reader: SegmentReader

    def last(self, pattern: Pattern) -> Match:
        """Find the last match, newest segment first; raises PointNotFound."""
        for whole in living_lines(self.history):
            for index in range(len(whole.pieces) - 1, -1, -1):
                piece = whole.pieces[index]
                if (found := self._last_in(piece, pattern)) is not None:
                    return self._with_neighbours(found, whole.pieces, index)
        raise PointNotFound(
            operation="find",
            subject=f"`{pattern}` in the log",
            cause=f"none of its {len(self.history.names)} segments holds such a command",
            hint="`backup-worker log --grep PATTERN` lists what there is",
        )

    def listed(self, pieces: Iterable[Piece]) -> Iterator[Logged]:
        """Yield the commands of pieces in their order."""
        for piece in pieces:
            segment = self.history.log.read(piece.name)
            yield from self._commands(segment, piece)

    def may_match(self, segment: Segment, pattern: Pattern) -> bool:
        """Say, fast and without missing one, whether a segment may hold a match."""
        rough = pattern.rough
        if rough is None:
            return True
        found, tail = False, b""
        keep = _LONGEST_START + len(pattern.words[0])
        for chunk in self.reader.whole(segment):
            found = found or rough.search(tail + chunk) is not None
            tail = (tail + chunk)[-keep:]
        return found

    def _last_in(self, piece: Piece, pattern: Pattern) -> Logged | None:
        segment = self.history.log.read(piece.name)
        if not self.may_match(segment, pattern):
            return None
        matching = (one for one in self._commands(segment, piece) if pattern.matches(one.command))
        return next(iter(deque(matching, maxlen=1)), None)

    def _with_neighbours(self, found: Logged, pieces: Sequence[Piece], index: int) -> Match:
        """Look at the pieces around the one of the match until there are enough neighbours."""
        before: list[Logged] = []
        after: list[Logged] = []
        for at in range(index, max(index - _PIECES_AROUND, -1), -1):
            room = _NEIGHBOURS - len(before)
            before[:0] = self._noted(pieces[at], upto=found.command.before, last=room)
            if len(before) == _NEIGHBOURS:
                break
        for piece in pieces[index : index + _PIECES_AROUND]:
            noted = self._noted(piece, after=found.command.end)
            after += islice(noted, _NEIGHBOURS - len(after))
            if len(after) == _NEIGHBOURS:
                break
        return Match(found, tuple(before), tuple(after))

    def _noted(
        self, piece: Piece, *, after: int = 0, upto: int | None = None, last: int | None = None
    ) -> Iterator[Logged]:
        """Yield a piece's commands that are no housekeeping, by offset, all or the last ones."""
        noted = (
            one
            for one in self.listed([piece])
            if one.command.before >= after
            and (upto is None or one.command.end <= upto)
            and not is_housekeeping(one.command)
        )
        return noted if last is None else iter(deque(noted, maxlen=last))

    def _commands(self, segment: Segment, piece: Piece) -> Iterator[Logged]:
        """Yield a piece's commands; its segment is read from the start, for the database."""
        key = segment.name.object_key
        reader = CommandReader(offset=segment.start - 1, db=segment.db, subject=key)
        marks = iter(segment.marks)
        mark = next(marks)
        for chunk in self.reader.upto(segment, piece.last):
            for command in reader.feed(chunk):
                while mark.offset < command.end:
                    mark = next(marks)
                if command.before >= piece.first - 1:
                    yield Logged(command, segment.timeline.replid, mark.time_ms)
        reader.finish()


def living_lines(history: History) -> list[Line]:
    """Return the lines that were not left behind at a fork, newest first: one for each root."""
    forest = Forest(history.timelines)
    pieces = owned(history.names, forest)
    trees: dict[str, list[SegmentName]] = {}
    for name in last_of_each(history.names):
        trees.setdefault(forest.path(name.replid)[0].owner, []).append(name)
    newest = [max(ends, key=lambda name: (name.last_ms, name.end)) for ends in trees.values()]
    newest.sort(key=lambda name: name.last_ms, reverse=True)
    return [line(name.replid, forest, pieces) for name in newest]


def _word_matches(glob: str, word: Word, *, any_case: bool) -> bool:
    if isinstance(word, Long):
        return set(glob) == {"*"}
    raw = glob.encode("utf-8", "surrogateescape")
    if any_case:
        # Redis' own rule: ASCII letters only.
        word, raw = word.upper(), raw.upper()
    return fnmatch.fnmatchcase(_text(word), _text(raw))


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _unusable(text: str, cause: str) -> UsageError:
    return UsageError(
        operation="read",
        subject=f"pattern {text!r}",
        cause=cause,
        hint="name a command and perhaps its arguments: FLUSHALL, 'DEL user:*'",
    )
