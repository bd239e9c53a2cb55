"""A cluster in memory that behaves as Redis does where a restore is concerned."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from backup_worker.restore.decision import (
    Attach,
    Follow,
    Freeze,
    Hold,
    Load,
    Promote,
    Release,
    Step,
    Wait,
)
from backup_worker.restore.journal import Journal, NodeBefore, SentinelBefore, Stage
from backup_worker.restore.survey import NodeState, ScratchState, Seen, SentinelState
from redis_ha.connection import Address
from redis_ha.discovery import NodeView

NODES = tuple(Address("127.0.0.1", port) for port in (6379, 6380, 6381))
SENTINELS = tuple(Address("127.0.0.1", port) for port in (26379, 26380, 26381))
MASTER = NODES[0]
SCRATCH = Address("127.0.0.1", 6390)
DOWN_AFTER, HOLD = 5000, 3_600_000
OLD_KEYS, NEW_KEYS = 100, 70


@dataclass
class Node:
    """One data node; `data` names the dataset it holds, `master` None for a master."""

    address: Address
    master: Address | None
    replid: str = "old"
    replid2: str = "none"
    data: str = "old"
    linked: bool = True
    min_replicas: int = 1

    @property
    def keys(self) -> int:
        return {"old": OLD_KEYS, "new": NEW_KEYS, "empty": 0}[self.data]

    def state(self, serving: int = 0) -> NodeState:
        role = "master" if self.master is None else "slave"
        view = NodeView(
            self.address,
            role,  # type: ignore[arg-type]
            offset=1000,
            replid=self.replid,
            replid2=self.replid2,
            master=self.master,
            link_down_seconds=None if self.linked and self.master else -1,
            run_id=f"run-{self.address.port}",
        )
        return NodeState(view, keys=self.keys, min_replicas=self.min_replicas, serving=serving)


@dataclass
class Model:
    """Three nodes, three sentinels, perhaps a scratch server; counts the histories made.

    Those that are `silent` answer nothing and do nothing that they are told.
    """

    nodes: dict[Address, Node] = field(
        default_factory=lambda: {
            address: Node(address, None if address == MASTER else MASTER) for address in NODES
        }
    )
    down_after: dict[Address, int] = field(
        default_factory=lambda: dict.fromkeys(SENTINELS, DOWN_AFTER)
    )
    scratch: str | None = None
    frozen: bool = False
    histories: int = 0
    silent: set[Address] = field(default_factory=set)

    def journal(self) -> Journal:
        """Return what a restore writes down before it begins."""
        return Journal(
            snapshot="20260101T000000Z-00000000",
            safety_snapshot="20260102T000000Z-00000000",
            started_at=datetime(2026, 1, 2, tzinfo=UTC),
            stage=Stage.HOLD,
            master=MASTER,
            nodes=tuple(
                NodeBefore(n.address, f"run-{n.address.port}", n.replid, n.min_replicas)
                for n in self.nodes.values()
            ),
            sentinels=tuple(SentinelBefore(one, DOWN_AFTER) for one in SENTINELS),
            config_epoch=3,
            hold=HOLD,
        )

    def seen(self) -> Seen:
        scratch = None
        if self.scratch is not None:
            scratch = ScratchState(SCRATCH, self.scratch, 1000, NEW_KEYS, 1, frozen=self.frozen)
        sentinels = tuple(
            SentinelState(one, problem="timed out")
            if one in self.silent
            else SentinelState(one, MASTER, self.down_after[one], config_epoch=3)
            for one in SENTINELS
        )
        nodes = tuple(
            NodeState(NodeView(node.address, problem="timed out"))
            if node.address in self.silent
            else node.state(self.followers(node))
            for node in self.nodes.values()
        )
        return Seen(nodes, sentinels, scratch)

    def followers(self, node: Node) -> int:
        return sum(n.master == node.address and n.linked for n in self.answering())

    def answering(self) -> list[Node]:
        return [node for node in self.nodes.values() if node.address not in self.silent]

    def apply(self, step: Step, journal: Journal, *, only: int = 99) -> Journal:
        """Do a step as the runner does, for the first `only` of the nodes it is about."""
        match step:
            case Hold():
                self.set(step.sentinels[:only], HOLD, step.nodes[:only], 0)
            case Release():
                self.set(step.sentinels[:only], DOWN_AFTER, step.nodes[:only], 1)
            case Load():
                self.scratch, self.frozen = self.new_history(), False
            case Attach():
                journal = self.attach(step.nodes[:only], journal)
            case Freeze():
                self.frozen = True
            case Promote():
                self.make_master(self.nodes[MASTER])
            case Follow():
                self.point(step.nodes[:only], MASTER)
            case Wait():
                self.synchronise(only)
        return journal

    def set(
        self,
        sentinels: tuple[Address, ...],
        down_after: int,
        nodes: tuple[Address, ...],
        min_replicas: int,
    ) -> None:
        self.down_after |= dict.fromkeys(set(sentinels) - self.silent, down_after)
        for address in set(nodes) - self.silent:
            self.nodes[address].min_replicas = min_replicas

    def attach(self, addresses: tuple[Address, ...], journal: Journal) -> Journal:
        assert self.scratch is not None
        if self.nodes[MASTER].master is None:
            journal = replace(journal, keys=self.nodes[MASTER].keys)
        known = (*journal.scratch_replids, self.scratch)
        self.point(addresses, SCRATCH)
        return replace(journal, scratch_replids=tuple(dict.fromkeys(known)))

    def new_history(self) -> str:
        self.histories += 1
        return f"history-{self.histories}"

    def point(self, addresses: tuple[Address, ...], source: Address) -> None:
        for address in set(addresses) - self.silent:
            self.nodes[address].master, self.nodes[address].linked = source, False

    def make_master(self, node: Node) -> None:
        if node.master is not None:
            node.master, node.replid2, node.replid = None, node.replid, self.new_history()

    def synchronise(self, only: int) -> None:
        """Let the first few unlinked replicas take over their master's data and history."""
        unlinked = [n for n in self.answering() if n.master is not None and not n.linked]
        for node in unlinked[:only]:
            if node.master == SCRATCH and self.scratch is not None:
                node.replid, node.replid2, node.data = self.scratch, "none", "new"
                node.linked = True
            elif node.master == MASTER and self.nodes[MASTER].master is None:
                source = self.nodes[MASTER]
                node.replid, node.replid2, node.data = source.replid, source.replid2, source.data
                node.linked = True

    def lose_scratch(self) -> None:
        """The worker was killed, and its scratch server with it."""
        self.scratch = None
        for node in self.nodes.values():
            if node.master == SCRATCH:
                node.linked = False

    def fail_load(self, address: Address) -> None:
        """A full synchronisation that emptied the node and then broke off."""
        node = self.nodes[address]
        if node.master is not None and not node.linked:
            node.data = "empty"

    @property
    def settings_are_back(self) -> bool:
        calm = set(self.down_after.values()) == {DOWN_AFTER}
        return calm and {node.min_replicas for node in self.nodes.values()} == {1}

    @property
    def shape(self) -> tuple[str, ...]:
        """Name what each node is and holds, e.g. ('master:old', 'replica:old', ...)."""
        return tuple(
            f"{'master' if n.master is None else 'replica'}:{n.data}" for n in self.nodes.values()
        )
