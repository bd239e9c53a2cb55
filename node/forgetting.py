"""Whom a sentinel should forget, and when. Pure: answers and the time in, a verdict out.

A sentinel remembers whoever it ever met; a sentinel that is gone counts for the majority that a
failover needs. It forgets by a restart of some tenths of a second with a memory without them. One
sentinel at a time: each has its own slot of the clock, and waits for the others to be well.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from redis_ha.connection import Address
from redis_ha.discovery import SentinelView

# Seconds; a restarted sentinel is connected again within two.
_SLOT = 8.0
# A master lists a replica whose host was lost until repl-timeout (60 s), and then it is listed here
# again; who follows from outside of the stack is so however often it is forgotten. So the pause
# before the next restart for the same ones grows, up to an hour.
_FIRST_PAUSE, _GROWTH, _LONGEST_PAUSE = 90.0, 4, 3600.0


def gone(rows: Sequence[Mapping[str, Any]], members: Collection[Address]) -> list[Address]:
    """Name those that are down and that the stack doesn't have; rows as SENTINEL REPLICAS gives."""
    down = [row for row in rows if row["is_sdown"] or row["is_disconnected"]]
    listed = [Address(str(row["ip"]), int(row["port"])) for row in down]
    return sorted({address for address in listed if address not in members})


class Forgotten:
    """Whom a sentinel has forgotten, and until when that has to do: times in seconds."""

    def __init__(self) -> None:
        self._until: dict[Address, float] = {}
        self._pause: dict[Address, float] = {}

    def lately(self, lost: Collection[Address], *, now: float) -> bool:
        """Say whether all of these were forgotten so shortly ago that it was in vain."""
        recent = {address for address, until in self._until.items() if now < until}
        return recent.issuperset(lost)

    def note(self, lost: Collection[Address], *, now: float) -> None:
        """Keep that these are being forgotten."""
        for address in lost:
            pause = self._pause.get(address, _FIRST_PAUSE)
            self._until[address] = now + pause
            self._pause[address] = min(_LONGEST_PAUSE, pause * _GROWTH)

    def welcome(self, members: Collection[Address]) -> None:
        """Take those who are the stack's for new: they may leave it again."""
        for address in members:
            self._until.pop(address, None)
            self._pause.pop(address, None)


def is_my_turn(me: Address, sentinels: Sequence[Address], *, now: float) -> bool:
    """Say whether this sentinel's slot is on; `now` in seconds since 1970, on every machine."""
    return int(now / _SLOT) % len(sentinels) == sentinels.index(me)


def all_well(views: Sequence[SentinelView]) -> bool:
    """Say whether every sentinel answers, and all name the same master and none calls it down."""
    masters = {view.master for view in views}
    flags = frozenset[str]().union(*(view.flags for view in views))
    return len(masters) == 1 and None not in masters and flags <= {"master"}
