"""Which data node we attach to: a healthy replica, never the master."""

from collections.abc import Sequence
from dataclasses import dataclass

from backup_worker.errors import ClusterUnreachable
from redis_ha.connection import Address
from redis_ha.discovery import Access, NodeView, ask_nodes, named_master, replica_addresses
from redis_ha.errors import RedisHaError


@dataclass(frozen=True)
class Candidates:
    """The master and the replicas that can serve, best first, each as it described itself.

    `absent` counts the replicas that the sentinels know and that can't serve now.
    """

    master: NodeView
    replicas: tuple[NodeView, ...]
    absent: int = 0


def choose_sources(views: Sequence[NodeView], *, master: Address) -> list[NodeView]:
    """Order the replicas that can serve, least lag first, equal ones by address.

    A replica can serve when it is linked to `master` and neither loads nor syncs. The master
    itself never serves: Sentinel would list the link as a replica of it (FACTS, attach to a
    replica). Raises ClusterUnreachable, with what each node says, when none can.
    """
    able = [view for view in views if _unfit(view, master) is None]
    if able:
        return sorted(able, key=lambda view: (-view.offset, view.address))
    reasons = [f"{view.address}: {_unfit(view, master)}" for view in views]
    raise ClusterUnreachable(
        operation="choose a replica of",
        subject=str(master),
        cause="no replica can serve: " + ("; ".join(reasons) or "the sentinels know none"),
        hint="bring a replica back in sync; a snapshot is never taken from the master",
    )


def find_sources(access: Access) -> list[Address]:
    """Ask the cluster and return the replicas to try, best first; raises ClusterUnreachable."""
    return [view.address for view in find_candidates(access).replicas]


def find_candidates(access: Access) -> Candidates:
    """Ask the cluster which replicas can serve; raises ClusterUnreachable."""
    try:
        master = named_master(access)
        addresses = [a for a in replica_addresses(access) if a != master]
    except RedisHaError as error:
        raise ClusterUnreachable(
            operation=error.operation, subject=error.subject, cause=error.cause, hint=error.hint
        ) from error
    leader, views = settle(ask_nodes(access, [master, *addresses]))
    if leader.role != "master":
        raise ClusterUnreachable(
            operation="find the master of",
            subject=access.master_name,
            cause=f"the sentinels name {master}, which says: {leader.role or leader.problem}",
            hint="a failover may be under way: try again in a few seconds",
        )
    able = choose_sources(views, master=leader.address)
    return Candidates(leader, tuple(able), absent=len(views) - len(able))


def settle(views: Sequence[NodeView]) -> tuple[NodeView, list[NodeView]]:
    """Tell the master from the others; the first view is that of whom the sentinels name.

    After a failover most of them learn of it up to two seconds late. The old master knows, as a
    replica of the new one; where it is gone, another replica that is linked to the new one does.
    """
    named, *others = views
    witnesses = [named] if named.role is not None else [view for view in others if view.link_up]
    heirs = {view.master for view in witnesses if view.role == "slave"}
    for view in others:
        if view.role == "master" and view.address in heirs:
            return view, [named, *(other for other in others if other is not view)]
    return named, others


def _unfit(view: NodeView, master: Address) -> str | None:
    if view.role is None:
        return view.problem
    if view.role == "master" or view.address == master:
        return "says it is a master"
    if view.master != master:
        return f"follows {view.master}, not {master}"
    if view.loading or view.syncing:
        return "is loading or syncing"
    return None if view.promotable and view.link_up else "its link to the master is down"
