"""Which connections a pool keeps: pure bookkeeping, shared by threads and asyncio."""

from collections import deque
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from redis_ha.environment import PoolSettings

C = TypeVar("C")
# A connection beyond PoolSettings.size is kept this long (s) after its last use: under load more
# are idle for a moment, and a TLS handshake costs more than keeping them.
SURPLUS_SECONDS = 5.0


@dataclass
class Shelf(Generic[C]):
    """Idle connections, newest last, and how many are lent."""

    settings: PoolSettings
    surplus_seconds: float = SURPLUS_SECONDS
    idle: deque[tuple[C, float]] = field(default_factory=deque)
    lent: set[C] = field(default_factory=set)
    # More were idle than are kept when it was looked at last: somebody is to trim later.
    crowded: bool = False

    def take(self) -> C | None:
        """Lend the connection that was used last, if one is idle."""
        if not self.idle:
            return None
        connection, _ = self.idle.pop()
        self.lent.add(connection)
        return connection

    @property
    def may_open(self) -> bool:
        return len(self.idle) + len(self.lent) < self.settings.maximum

    def put(self, connection: C, *, now: float) -> list[C]:
        """Take one back; return those to close. One that isn't lent is none of ours: no effect."""
        if connection not in self.lent:
            return []
        self.lent.remove(connection)
        self.idle.append((connection, now))
        self.crowded = len(self.idle) > self.settings.size
        return self.trim(now=now) if self.crowded else []

    def trim(self, *, now: float) -> list[C]:
        """Forget the surplus that was not used for long; return it to be closed."""
        closing = []
        while len(self.idle) > self.settings.size and self._oldest < now - self.surplus_seconds:
            closing.append(self.idle.popleft()[0])
        self.crowded = len(self.idle) > self.settings.size
        return closing

    def due_in(self, *, now: float) -> float:
        """Return in how many seconds to trim again: when the oldest is due, but not all the time.

        Those that came back one shortly after the other go together.
        """
        oldest = self._oldest if self.idle else now
        return max(oldest + self.surplus_seconds - now, 0.0) + self.surplus_seconds / 20

    def drop(self, connection: C) -> None:
        """Forget a lent connection that is closed."""
        self.lent.discard(connection)

    def empty(self) -> list[C]:
        """Forget the idle ones; return them to be closed."""
        idle = [connection for connection, _ in self.idle]
        self.idle.clear()
        self.crowded = False
        return idle

    @property
    def _oldest(self) -> float:
        return self.idle[0][1]
