"""How old the data of a replica can be, decided on what the nodes said: no I/O.

A replica that has applied the offset which the master had at 12:00:00 misses at most what was
written since then. That needs no clock of the servers', and grows when the master
is gone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from redis_ha.connection import Address
from redis_ha.discovery import NodeView


@dataclass(frozen=True)
class Mark:
    """The master's offset (bytes) in a history (replid) at a time (monotonic seconds)."""

    at: float
    replid: str
    offset: int


@dataclass(frozen=True)
class Ages:
    """For each usable replica the time at which its data was the master's data."""

    fresh_at: Mapping[Address, float]
    # Those that did not answer.
    silent: frozenset[Address] = frozenset()
    looked_at: float = float("-inf")

    def usable(self, now: float, *, max_lag_seconds: float) -> list[Address]:
        """Return the replicas whose data is certainly not older than that."""
        oldest = now - max_lag_seconds
        return sorted(address for address, at in self.fresh_at.items() if at >= oldest)


def fresh_at(view: NodeView, marks: Sequence[Mark]) -> float | None:
    """Return when the master held just what this replica holds; None when that isn't known."""
    if view.role != "slave" or view.syncing or view.loading:
        return None
    reached = [m.at for m in marks if m.replid == view.replid and m.offset <= view.offset]
    return max(reached, default=None)
