"""What may be done to a node, and undone: by Docker, or in tests by signals to processes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from redis_ha.discovery import Access
from redis_ha.failover_test.records import ClientRecord, Fault
from redis_ha.site import Member


@dataclass(frozen=True)
class Injury:
    """All that is needed to heal a node, by this process or by one that comes after it."""

    fault: Fault
    node: str
    details: Mapping[str, str] = field(default_factory=dict)


class InsideClient(Protocol):
    """A client on the node's own side of a partition; it only writes to that node."""

    def stop(self) -> ClientRecord:
        """End it and return what it could write."""

    def kill(self) -> None:
        """End it, whatever it does; nothing when it has ended."""


class Hands(Protocol):
    """How nodes of one kind are hurt and healed."""

    faults: frozenset[Fault]

    def prepare(self, fault: Fault, victim: Member, *, sentinels: tuple[Member, ...]) -> Injury:
        """Find out what healing will need and change nothing; raises HarmRefused."""

    def inflict(self, injury: Injury) -> None:
        """Hurt the node; when it fails half way, `heal` still puts it right."""

    def heal(self, injury: Injury) -> None:
        """Undo an injury; does nothing where there is none any more."""

    def inside(self, victim: Member, access: Access, *, key: str) -> InsideClient | None:
        """Start a client beside the node; None where that can't be done."""
