"""What a smaller cluster loses, and when the sentinels have forgotten it."""

import time
from collections.abc import Callable, Sequence
from functools import partial

import redis

from redis_ha.connection import Address
from redis_ha.discovery import Access, NodeView, at_once
from redis_ha.errors import Unreachable
from redis_ha.site import Member, Site

# Each sentinel forgets in its own slot of the clock (node.forgetting), once they call it down.
PATIENCE = 240.0


def staying(site: Site, *, replicas: int) -> tuple[Member, ...]:
    """Give the data nodes that a stack of so many replicas has: the first ones, by number."""
    return site.data_nodes[: replicas + 1]


def successor(
    staying: Sequence[Member], views: Sequence[NodeView], *, master: Address | None
) -> Member | None:
    """Choose who takes over from a master that leaves; None when it stays, or nobody can.

    `views` are of all data nodes.
    """
    if master is None or master in {member.address for member in staying}:
        return None
    fit = {view.address: view.offset for view in views if view.link_up}
    candidates = [member for member in staying if member.address in fit]
    return max(candidates, key=lambda member: fit[member.address], default=None)


def wait_until_forgotten(
    site: Site,
    lost: Sequence[Member],
    *,
    patience: float = PATIENCE,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Return when no sentinel lists those who left; raises Unreachable."""
    addresses = {member.address for member in lost}
    deadline = clock() + patience
    while addresses & (listed := _listed(site)):
        if clock() > deadline:
            still = ", ".join(m.name for m in lost if m.address in listed)
            raise Unreachable(
                operation="wait until the sentinels forget",
                subject=still,
                cause=f"still listed after {patience:.0f} s",
                hint="they forget when all of them answer and agree: `redis-ha ready`",
            )
        sleep(1.0)


def _listed(site: Site) -> set[Address]:
    ask = partial(_listed_by, site.operator)
    return set().union(*at_once(ask, site.operator.sentinels))


def _listed_by(access: Access, sentinel: Address) -> set[Address]:
    """Name whom one sentinel lists; one that doesn't answer is just being restarted."""
    name = access.master_name
    try:
        with access.connect(sentinel) as client:
            rows = [*client.sentinel_slaves(name)]
            rows += list(client.sentinel_sentinels(name))
    except (redis.RedisError, OSError):
        return set()
    return {Address(str(row["ip"]), int(row["port"])) for row in rows}
