"""What all nodes and sentinels say at one moment: the immutable ground of every check."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from redis_ha.connection import Address
from redis_ha.discovery import NodeView, SentinelView, majority_master
from redis_ha.witness.hearing import Hearing

_DOWN = frozenset({"s_down", "o_down", "disconnected"})
WITNESS = "witness"
# A witness that isn't let in tries again each second: an older refusal (s) is history.
_REFUSED_SECONDS = 15.0


@dataclass(frozen=True)
class Login:
    """As whom a node comes to the others; `secret` is the password's SHA-256, "" for none."""

    user: str
    secret: str = field(repr=False)


@dataclass(frozen=True)
class Denial:
    """An entry of a node's ACL LOG; `age` in seconds, `what` the command, key or user."""

    user: str
    reason: str
    what: str
    age: float
    count: int


@dataclass(frozen=True)
class Lack:
    """Something that a login needs on a node and doesn't have there."""

    user: str
    problem: str


@dataclass(frozen=True)
class ReplicaEntry:
    """A replica as one sentinel lists it; `role` is what it said it was, up to ten seconds ago."""

    address: Address
    flags: frozenset[str]
    priority: int = 100
    link_up: bool = True
    master: Address | None = None
    role: str = "slave"

    @property
    def down(self) -> bool:
        return bool(self.flags & _DOWN) or not self.address.port


@dataclass(frozen=True)
class PeerEntry:
    """A sentinel as another one lists it; `vote` is the run id it last voted for, "" for none."""

    address: Address
    run_id: str
    flags: frozenset[str]
    vote: str = ""
    vote_epoch: int = 0

    @property
    def down(self) -> bool:
        return bool(self.flags & _DOWN)


@dataclass(frozen=True)
class NodeSurvey:
    """A data node: its view of itself, INFO and CONFIG as it gives them, and what others need.

    `skew` (s) is its clock against this machine's; `spikes` are LATENCY LATEST's worst (ms);
    `sentinel_users` maps a sentinel's short id to the user it is connected as; `witnesses` is how
    many listen there for each other's votes.
    """

    view: NodeView
    info: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, str] = field(default_factory=dict)
    skew: float = 0.0
    spikes: Mapping[str, int] = field(default_factory=dict)
    denials: tuple[Denial, ...] = ()
    witnesses: int = 0
    sentinel_users: Mapping[str, str] = field(default_factory=dict)
    login: Login | None = None
    lacks: tuple[Lack, ...] = ()
    witness_lacks: tuple[Lack, ...] = ()

    @property
    def address(self) -> Address:
        return self.view.address

    @property
    def refused_witness(self) -> bool:
        """Say whether a witness tries to log in here with a wrong password."""
        return any(map(_is_a_witness, self.denials))

    def number(self, name: str, default: float = 0) -> float:
        """Return a number from INFO."""
        return float(self.info.get(name, default))


@dataclass(frozen=True)
class SentinelSurvey:
    """A sentinel: whom it names, whom it knows, and how it comes to the others.

    `quorum_verdict` is what SENTINEL CKQUORUM answers; `since_role` (s) is for how long it has
    seen the present master in that role; `epoch` counts failovers.
    """

    view: SentinelView
    run_id: str = ""
    epoch: int = 0
    quorum: int = 0
    since_role: float = 0.0
    quorum_verdict: str = ""
    tilt: bool = False
    replicas: tuple[ReplicaEntry, ...] = ()
    peers: tuple[PeerEntry, ...] = ()
    denials: tuple[Denial, ...] = ()
    login: Login | None = None
    lacks: tuple[Lack, ...] = ()
    witness_lacks: tuple[Lack, ...] = ()

    @property
    def address(self) -> Address:
        return self.view.sentinel

    @property
    def refused_witness(self) -> bool:
        """Say whether a witness tries to log in here with a wrong password."""
        return any(map(_is_a_witness, self.denials))

    @property
    def answers(self) -> bool:
        return self.view.master is not None

    @property
    def takes_for_down(self) -> tuple[Address, ...]:
        """Return the replicas and sentinels that it doesn't reach."""
        replicas = (entry.address for entry in self.replicas if entry.down)
        return (*replicas, *(peer.address for peer in self.peers if peer.down))


@dataclass(frozen=True)
class Survey:
    """All that was said; `names` gives each member's name by address."""

    nodes: tuple[NodeSurvey, ...]
    sentinels: tuple[SentinelSurvey, ...]
    names: Mapping[Address, str] = field(default_factory=dict)
    # Days that each address's certificate is still valid; a text when it can't be had.
    certificates: Mapping[Address, float | str] = field(default_factory=dict)
    # True when the nodes are known from the stack, not only from the sentinels' lists.
    complete: bool = False
    # Whether the stack has witnesses; None where its settings don't say.
    witness_set: bool | None = None
    # What they said; None when they were not asked.
    hearing: Hearing | None = None

    @property
    def master(self) -> Address | None:
        """Return the address that the sentinels' majority names."""
        return majority_master([s.view for s in self.sentinels])

    @property
    def leader(self) -> NodeSurvey | None:
        """Return the master's own survey, when it says that it is one."""
        return next((n for n in self.masters if n.address == self.master), None)

    @property
    def members(self) -> tuple[NodeSurvey | SentinelSurvey, ...]:
        return (*self.nodes, *self.sentinels)

    @property
    def masters(self) -> tuple[NodeSurvey, ...]:
        return tuple(node for node in self.nodes if node.view.role == "master")

    @property
    def answering(self) -> tuple[SentinelSurvey, ...]:
        return tuple(sentinel for sentinel in self.sentinels if sentinel.answers)

    @property
    def witnesses(self) -> int:
        """Return how many witnesses listen: those that a death of any other node leaves with."""
        return min((n.witnesses for n in self.nodes if n.view.role is not None), default=0)

    @property
    def witness_wanted(self) -> bool:
        """Say whether there should be witnesses: by the settings, else because some try to be."""
        if self.witness_set is not None:
            return self.witness_set
        refused = any(member.refused_witness for member in self.members)
        return refused or any(node.witnesses for node in self.nodes)

    @property
    def witnessed(self) -> bool:
        """Say whether a crash is seen: by a majority, one witness beside each sentinel."""
        return self.witnesses > len(self.sentinels) // 2

    def name(self, address: Address | None) -> str:
        """Return a member's name, or its address when it has none."""
        if address is None:
            return "nobody"
        return self.names.get(address, str(address))

    def lag(self, replica: NodeSurvey) -> tuple[int, float | None]:
        """Return how far a replica is behind its master: bytes, and seconds since its last ACK."""
        if self.leader is None:
            return 0, None
        rows = [row for key, row in self.leader.info.items() if _is_replica_row(key, row)]
        seconds = next((float(row["lag"]) for row in rows if _at(row) == replica.address), None)
        return max(0, self.leader.view.offset - replica.view.offset), seconds


def _is_a_witness(denial: Denial) -> bool:
    lately = denial.age <= _REFUSED_SECONDS
    return denial.user == WITNESS and denial.reason == "auth" and lately


def _is_replica_row(key: str, row: object) -> bool:
    return key.startswith("slave") and isinstance(row, Mapping) and "lag" in row


def _at(row: Mapping[str, Any]) -> Address:
    return Address(str(row["ip"]), int(row["port"]))
