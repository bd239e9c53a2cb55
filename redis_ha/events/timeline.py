"""The timeline of a stretch of logs: events, and the failovers among them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from redis_ha.events.failovers import Ended, Failovers
from redis_ha.events.figures import MACHINES, Failover
from redis_ha.events.happening import Happening, read
from redis_ha.events.names import Names
from redis_ha.events.sightings import Event, Sightings
from redis_ha.logs.entry import Entry

_ADDRESS = re.compile(r"[\w.-]+:\d{1,5}\b")


@dataclass(frozen=True)
class Timeline:
    """What happened, and the failovers, each in the order of their times."""

    events: tuple[Event, ...]
    failovers: tuple[Failover, ...]


def read_timeline(entries: Iterable[Entry], names: Names) -> Timeline:
    """Read a stretch of logs to its end; memory grows with what happened, not with the logs."""
    happenings = [renamed(h, names) for h in _happenings(entries, names)]
    found = Failovers()
    ended = [done for h in happenings if (done := found.feed(h)) is not None]
    ended += [last] if (last := found.end()) else []
    numbers = _numbers(ended)
    sightings = Sightings()
    for happening in happenings:
        sightings.add(happening, failover=numbers.get(id(happening)))
    return Timeline(tuple(sightings.events), tuple(done.failover for done in ended))


class Watch:
    """The same while it happens: each event when the first node tells of it."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._failovers = Failovers()
        self._sightings = Sightings()

    def feed(self, entry: Entry) -> tuple[Event | None, Failover | None]:
        """Take in an entry; returns an event that is new, and a failover that has ended by it."""
        self._names.learn(entry)
        happening = read(entry)
        if happening is None:
            return None, None
        named = renamed(happening, self._names)
        done = self._failovers.feed(named)
        number = done.failover.number if done else self._failovers.number
        return self._sightings.add(named, failover=number), done.failover if done else None


def renamed(happening: Happening, names: Names) -> Happening:
    """Put names for addresses; a node told by hand to follow what is no node: a restore."""
    by_hand = happening.kind == "replica-of" and happening.by not in MACHINES
    if by_hand and not names.knows(happening.new):
        return replace(happening, kind="restore-began", about="")
    return replace(
        happening,
        about=names.of(happening.about),
        new=names.of(happening.new),
        detail=_ADDRESS.sub(lambda match: names.of(match[0]), happening.detail),
    )


def _happenings(entries: Iterable[Entry], names: Names) -> list[Happening]:
    """Extract first and rename later: a name may be learned after the address was read."""
    found = []
    for entry in entries:
        names.learn(entry)
        if happening := read(entry):
            found.append(happening)
    return found


def _numbers(ended: Iterable[Ended]) -> dict[int, int]:
    """Say by identity which happening belongs to which failover, the first that it is part of."""
    numbers: dict[int, int] = {}
    for done in ended:
        for part in done.parts:
            numbers.setdefault(id(part), done.failover.number)
    return numbers
