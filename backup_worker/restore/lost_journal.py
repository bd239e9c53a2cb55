"""A restore whose journal is lost with its machine: a journal of what can still be known. Pure.

The settings from before stood in the lost one, so the operator says what they are to be. The data
stays what the master that the sentinels name holds now: nobody knows any more what was there.
"""

from datetime import datetime

from backup_worker.restore.conditions import foreign_traces
from backup_worker.restore.journal import Journal, NodeBefore, SentinelBefore, Stage
from backup_worker.restore.survey import NodeState, Seen
from redis_ha.connection import Address

NAME = "whose journal is lost"


def reasons_against(seen: Seen, master: Address) -> list[str]:
    """Name every reason not to take it back; empty when that may be done."""
    if not foreign_traces(seen):
        return ["none is open, here or elsewhere: no sentinel is held, no node led astray"]
    members = {node.address for node in seen.nodes}
    at_work = [
        f"{node.address} is replicating from {node.view.master}: that restore is still running"
        for node in seen.nodes
        if node.view.link_up and node.view.master not in {None, *members}
    ]
    others = [one for one in seen.sentinels if one.master not in {None, master}]
    disagreeing = [f"sentinel {one.address} names another master, {one.master}" for one in others]
    return [*at_work, *disagreeing, *_nothing_to_serve(seen, master)]


def journal_of(
    seen: Seen, master: Address, *, down_after: int, min_replicas: int, now: datetime
) -> Journal:
    """Return the journal by which an undo puts settings and nodes in order.

    `down_after` (ms) and `min_replicas` are what the stack sets.
    """
    answering = [node for node in seen.nodes if node.view.role is not None]
    told = [one for one in seen.sentinels if one.master is not None]
    return Journal(
        snapshot=NAME,
        safety_snapshot=None,
        started_at=now,
        stage=Stage.HOLD,
        master=master,
        nodes=tuple(
            NodeBefore(node.address, node.view.run_id, node.view.replid, min_replicas)
            for node in answering
        ),
        sentinels=tuple(SentinelBefore(one.address, down_after) for one in seen.sentinels),
        config_epoch=max(one.config_epoch for one in told),
        hold=max(one.down_after for one in told),
    )


def _nothing_to_serve(seen: Seen, master: Address) -> list[str]:
    """A master that was being filled may be empty while another node still has the data."""
    state = seen.node(master)
    if state.view.role is None:
        return [f"the master {master} does not answer ({state.view.problem})"]
    if state.view.loading:
        return [f"the master {master} is loading: wait until it has ended"]
    fuller = [one for one in seen.nodes if one.keys] if _is_emptied(state) else []
    return [
        f"the master {master} was attached to another server and is empty, {one.address} holds"
        f" {one.keys} keys: attach it to that one by hand first"
        for one in fuller[:1]
    ]


def _is_emptied(master: NodeState) -> bool:
    return master.view.role == "slave" and not master.keys
