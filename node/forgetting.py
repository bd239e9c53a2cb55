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


def gone(rows: Sequence[Mapping[str, Any]], members: Collection[Address]) -> list[Address]:
    """Name those that are down and that the stack doesn't have; rows as SENTINEL REPLICAS gives."""
    down = [row for row in rows if row["is_sdown"] or row["is_disconnected"]]
    listed = [Address(str(row["ip"]), int(row["port"])) for row in down]
    return sorted({address for address in listed if address not in members})


def is_my_turn(me: Address, sentinels: Sequence[Address], *, now: float) -> bool:
    """Say whether this sentinel's slot is on; `now` in seconds since 1970, on every machine."""
    return int(now / _SLOT) % len(sentinels) == sentinels.index(me)


def all_well(views: Sequence[SentinelView]) -> bool:
    """Say whether every sentinel answers, and all name the same master and none calls it down."""
    masters = {view.master for view in views}
    flags = frozenset[str]().union(*(view.flags for view in views))
    return len(masters) == 1 and None not in masters and flags <= {"master"}
