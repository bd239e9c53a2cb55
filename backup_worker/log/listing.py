"""Listing the log's commands: in the order of time, filtered, all of them or the last ones."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from math import inf

from backup_worker.log.lineage import Forest, Piece, owned
from backup_worker.log.search import Logged, LogSearch, Pattern, is_housekeeping


@dataclass(frozen=True)
class Filter:
    """Which commands are wanted; times in ms since 1970, `limit` 0 for no limit."""

    since_ms: int | None = None
    until_ms: int | None = None
    pattern: Pattern | None = None
    limit: int = 0

    def wants(self, one: Logged) -> bool:
        """Say whether a command is listed."""
        if self.since_ms is not None and one.time_ms < self.since_ms:
            return False
        if self.until_ms is not None and one.time_ms > self.until_ms:
            return False
        if self.pattern is not None:
            return self.pattern.matches(one.command)
        return not is_housekeeping(one.command)


def listed(search: LogSearch, wanted: Filter) -> Iterator[Logged]:
    """Yield what is wanted, oldest first; with a limit the last ones, read from the end."""
    history = search.history
    pieces = _within(owned(history.names, Forest(history.timelines)), wanted)
    if not wanted.limit:
        for piece in pieces:
            yield from _in_piece(search, piece, wanted)
        return
    found: deque[Logged] = deque()
    for piece in reversed(pieces):
        room = wanted.limit - len(found)
        if room <= 0:
            break
        found.extendleft(reversed(deque(_in_piece(search, piece, wanted), maxlen=room)))
    yield from found


def _within(pieces: dict[str, list[Piece]], wanted: Filter) -> list[Piece]:
    """Return the pieces that may hold something of that time, in the order of their ends."""
    since = 0 if wanted.since_ms is None else wanted.since_ms
    until = inf if wanted.until_ms is None else wanted.until_ms
    found: list[Piece] = []
    for own in pieces.values():
        # The first one that ends later may begin before. Others follow where a clock was set back.
        later = False
        for piece in own:
            before, later = later, piece.name.last_ms > until
            if piece.name.last_ms >= since and not (before and later):
                found.append(piece)
    return sorted(found, key=lambda one: (one.name.last_ms, one.first))


def _in_piece(search: LogSearch, piece: Piece, wanted: Filter) -> Iterator[Logged]:
    if wanted.pattern is not None:
        segment = search.history.log.read(piece.name)
        if not search.may_match(segment, wanted.pattern):
            return
    yield from filter(wanted.wants, search.listed([piece]))
