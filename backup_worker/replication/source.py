"""Which data node we attach to: a healthy replica, never the master."""

from collections.abc import Sequence
from dataclasses import dataclass

from backup_worker.errors import ClusterUnreachable
from redis_ha.connection import Address
from redis_ha.discovery import Access, NodeView, ask_nodes, find_master, replica_addresses
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
        master = find_master(access)
        addresses = [a for a in replica_addresses(access) if a != master]
    except RedisHaError as error:
        raise ClusterUnreachable(
            operation=error.operation, subject=error.subject, cause=error.cause, hint=error.hint
        ) from error
    leader, *views = ask_nodes(access, [master, *addresses])
    able = choose_sources(views, master=master)
    return Candidates(leader, tuple(able), absent=len(views) - len(able))


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
