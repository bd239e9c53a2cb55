"""Which nodes and sentinels an open restore may go on without (--force): pure.

None of them does harm when it is back. A replica that starts is made one of the master by the boot
guard; one that was only cut off is given the master by Sentinel, and its history, the scratch
server's or the one from before, either continues in the master's or is replaced by it. What it
may keep are the settings of the hold, until it is restarted.
"""

from dataclasses import replace

from backup_worker.restore.journal import Journal
from backup_worker.restore.survey import Seen
from redis_ha.connection import Address


def absent(journal: Journal, seen: Seen) -> tuple[Address, ...]:
    """Name those that do not answer; never the master, and sentinels only if few.

    As long as a majority is held the others can't make a quorum that fails over; those that were
    left out before are not held, be they back.
    """
    nodes = tuple(
        node.address
        for node in journal.nodes
        if node.address != journal.master and seen.node(node.address).view.role is None
    )
    silent = {one.address for one in seen.sentinels if one.master is None}
    ours = {one.address for one in journal.sentinels}
    unheld = silent | {one.address for one in seen.sentinels if one.address not in ours}
    if 2 * len(unheld) >= len(seen.sentinels):
        return nodes
    return nodes + tuple(one.address for one in journal.sentinels if one.address in silent)


def without_absent(journal: Journal, seen: Seen) -> Journal:
    """Return the journal of a cluster that consists of those that answer."""
    left_out = absent(journal, seen)
    return replace(
        journal,
        nodes=tuple(node for node in journal.nodes if node.address not in left_out),
        sentinels=tuple(one for one in journal.sentinels if one.address not in left_out),
    )


def ways_on(ways: str, journal: Journal, seen: Seen) -> str:
    """Say how to go on by `ways`, and without whom it could be."""
    names = ", ".join(str(address) for address in absent(journal, seen))
    return f"{ways}, with --force without {names} (no answer)" if names else ways
