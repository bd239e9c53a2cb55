"""What a smaller cluster loses, what forbids it, and when the sentinels have forgotten it."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import redis

from redis_ha.connection import Address
from redis_ha.discovery import Access, NodeView, at_once, one_line
from redis_ha.errors import Unreachable
from redis_ha.site import Member, Site

# Each sentinel forgets in its own slot of the clock (node.forgetting), once they call it down.
PATIENCE = 240.0


@dataclass(frozen=True)
class Listing:
    """Whom one sentinel lists beside itself and the master; `problem` when it gave no answer."""

    sentinel: Address
    members: frozenset[Address] = frozenset()
    problem: str = ""


def staying(site: Site, *, replicas: int) -> tuple[Member, ...]:
    """Give the data nodes that a stack of so many replicas has: the first ones, by number."""
    return site.data_nodes[: replicas + 1]


def obstacle(
    staying: Sequence[Member], views: Sequence[NodeView], *, master: Address | None
) -> str:
    """Say why no data node may leave now; empty when some may.

    Who leaves takes its volume along: the data must be with one that stays. `views` are of all
    data nodes, `master` is whom the sentinels' majority names.
    """
    if master is None:
        return "no majority of the sentinels answers and names one master"
    known = {view.address: view for view in views}
    if master in {member.address for member in staying}:
        unfit = _no_master(known.get(master))
        return f"{master} is named master, but {unfit}" if unfit else ""
    if successor(staying, views, master=master) is not None:
        return ""
    each = (f"{m.name} {_no_replica(known.get(m.address), master)}" for m in staying)
    return f"{master}, the master, leaves, and none that stays can take over: {'; '.join(each)}"


def successor(
    staying: Sequence[Member], views: Sequence[NodeView], *, master: Address
) -> Member | None:
    """Choose who takes over from a master that leaves; None when it stays.

    `views` are of all data nodes, and `obstacle` sees none in them.
    """
    if master in {member.address for member in staying}:
        return None
    fit = {view.address: view.offset for view in views if not _no_replica(view, master)}
    candidates = [member for member in staying if member.address in fit]
    return max(candidates, key=lambda member: fit[member.address], default=None)


def still_to_wait_for(
    site: Site, listings: Sequence[Listing], *, lost: Sequence[Member]
) -> list[str]:
    """Say what keeps the cluster from being without `lost`: listed still, or nobody knows."""
    listed = frozenset[Address]().union(*(listing.members for listing in listings))
    return [
        *(f"{member.name} is still listed" for member in lost if member.address in listed),
        *(f"{site.name_of(one.sentinel)}: {one.problem}" for one in listings if one.problem),
    ]


def wait_until_forgotten(
    site: Site,
    lost: Sequence[Member],
    *,
    patience: float = PATIENCE,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Return when every sentinel answers and none lists those who left; raises Unreachable.

    One that doesn't answer may just be restarted; whom it lists is known once it answers.
    """
    deadline = clock() + patience
    ask = partial(_listed_by, site.operator)
    while waiting := still_to_wait_for(site, at_once(ask, site.operator.sentinels), lost=lost):
        if clock() > deadline:
            raise Unreachable(
                operation="wait until the sentinels forget",
                subject=", ".join(member.name for member in lost),
                cause=f"after {patience:.0f} s: {'; '.join(waiting)}",
                hint="they forget when all of them answer and agree: `redis-ha ready`",
            )
        sleep(1.0)


def _no_master(view: NodeView | None) -> str:
    """Say why a node isn't the master that it is taken for; empty when it is."""
    if view is None or view.role is None:
        return _silent(view)
    return "" if view.role == "master" else "says it is a replica"


def _no_replica(view: NodeView | None, master: Address) -> str:
    """Say why a node doesn't hold what the master holds; empty when it does."""
    if view is None or view.role is None:
        return _silent(view)
    if view.loading:
        return "is loading its data"
    if view.syncing:
        return "is syncing"
    return "" if view.link_up and view.master == master else f"doesn't follow {master}"


def _silent(view: NodeView | None) -> str:
    return f"doesn't answer: {view.problem}" if view else "wasn't asked"


def _listed_by(access: Access, sentinel: Address) -> Listing:
    name = access.master_name
    try:
        with access.connect(sentinel) as client:
            rows = [*client.sentinel_slaves(name)]
            rows += list(client.sentinel_sentinels(name))
    except (redis.RedisError, OSError) as error:
        return Listing(sentinel, problem=one_line(error))
    return Listing(sentinel, frozenset(Address(str(row["ip"]), int(row["port"])) for row in rows))
