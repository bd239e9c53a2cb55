"""What several nodes saw at about the same time is one event, with who saw it."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from redis_ha.eventlog import stamp
from redis_ha.events.happening import Happening

# The last sentinel sees a death some seconds after the first.
_TOGETHER = timedelta(seconds=15)
# What a node tells of itself: a second one that says so is another event.
_OWN = frozenset({"failover-ordered", "+try-failover", "+elected-leader", "failover-answered"})


@dataclass(frozen=True)
class Event:
    """One event, at the time when the first saw it; names instead of addresses.

    `failover` is the number of the failover that it belongs to, None outside of any.
    """

    time: datetime
    kind: str
    about: str
    detail: str
    seen_by: tuple[str, ...]
    last: datetime
    failover: int | None = None

    def described(self) -> dict[str, Any]:
        """Give plain values for JSON."""
        return {
            "time": stamp(self.time),
            "event": self.kind,
            "about": self.about,
            "detail": self.detail,
            "seen_by": list(self.seen_by),
            "seconds": round((self.last - self.time).total_seconds(), 3),
            "failover": self.failover,
        }


class Sightings:
    """Collects events in the order of their times."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._places: dict[tuple[str, ...], int] = {}

    def add(self, happening: Happening, *, failover: int | None) -> Event | None:
        """Add what a node saw; the event if it is a new one, None if it was seen before."""
        key = _key(happening)
        place = self._places.get(key, -1)
        if place >= 0 and _is_another_s(happening, self.events[place]):
            known = self.events[place]
            seen_by = (*known.seen_by, happening.node)
            self.events[place] = replace(
                known,
                seen_by=seen_by,
                last=max(known.last, happening.time),
                failover=known.failover or failover,
            )
            return None
        self._places[key] = len(self.events)
        event = Event(
            happening.time,
            happening.kind,
            happening.about,
            _told(happening),
            (happening.node,),
            happening.time,
            failover,
        )
        self.events.append(event)
        return event


def _key(happening: Happening) -> tuple[str, ...]:
    """Give what has to be the same; each vote has a detail of its own."""
    votes = happening.detail if happening.kind == "+vote-for-leader" else ""
    own = happening.node if happening.kind in _OWN else ""
    return (happening.kind, happening.about, happening.new, votes, own)


def _is_another_s(happening: Happening, known: Event) -> bool:
    near = happening.time - known.last <= _TOGETHER
    return near and happening.node not in known.seen_by


def _told(happening: Happening) -> str:
    words = [f"to {happening.new}"] if happening.new else []
    words += [happening.detail] if happening.detail else []
    return ", ".join([*words, *([f"by {happening.by}"] if happening.by else [])])
