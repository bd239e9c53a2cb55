"""What fetches lines: the shape that Docker, files and CloudWatch share."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from redis_ha.logs.entry import Entry
from redis_ha.logs.line import Line


@dataclass(frozen=True)
class Window:
    """From when to when (UTC); None where there is no bound."""

    since: datetime | None = None
    until: datetime | None = None

    def holds(self, entry: Entry) -> bool:
        """Say whether an entry is in it."""
        after = self.since is None or entry.time >= self.since
        return after and (self.until is None or entry.time <= self.until)


class Source(Protocol):
    """Where the lines of one or several nodes are; `delay` (s) is how late a line may come."""

    @property
    def delay(self) -> float: ...

    @property
    def nodes(self) -> frozenset[str]: ...

    def node_of(self, unit: str) -> str:
        """Give the node whose unit that is."""

    def lines(self, window: Window, stop: threading.Event | None) -> Iterator[Line | None]:
        """Yield the lines of about that time, in their order, None when there is none just now.

        With `stop` new ones are waited for until it is set. Raises Unreachable.
        """


def utc_stamp(text: str) -> datetime | None:
    """Read RFC 3339; None when it is none."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        return None
