"""A cluster as the operator's commands see it: how to reach it, and what its nodes are called."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from redis_ha.connection import Address
from redis_ha.discovery import Access
from redis_ha.environment import MAX_NODES, port
from redis_ha.errors import UnknownNode


@dataclass(frozen=True)
class Member:
    """A data node or sentinel that is meant to be there; `container` None outside Docker."""

    name: str
    address: Address
    container: str | None = None

    def __str__(self) -> str:
        return f"{self.name} ({self.address})"


@dataclass(frozen=True)
class Site:
    """One cluster; `complete` when its members are known otherwise than from Sentinel.

    `settings` are KEY=VALUE as in the env file, `plan` the stack's output of that name.
    """

    operator: Access
    app: Access | None
    data_nodes: tuple[Member, ...]
    sentinels: tuple[Member, ...]
    complete: bool = False
    settings: Mapping[str, str] = field(default_factory=dict, repr=False)
    plan: Mapping[str, Any] | None = None

    @property
    def witness_set(self) -> bool | None:
        """Say whether the stack has witnesses; None where the settings don't say."""
        text = self.settings.get("REDIS_WITNESS", "").lower()
        return {"true": True, "false": False}.get(text)

    def name_of(self, address: Address | None) -> str:
        """Return a node's name, or its address when it has none."""
        members = (*self.data_nodes, *self.sentinels)
        return next((m.name for m in members if m.address == address), str(address))

    def data_node(self, text: str) -> Member:
        """Find a data node by name or host:port; raises UnknownNode."""
        for member in self.data_nodes:
            if text in (member.name, str(member.address), member.container):
                return member
        raise UnknownNode(
            operation="find node",
            subject=text,
            cause="no data node of this cluster is called that",
            hint="name one of " + ", ".join(map(str, self.data_nodes)),
        )


def declared(values: Mapping[str, str]) -> tuple[Member, ...]:
    """Read the data nodes that settings name, REDIS_NODE_NAME_1..; raises BadSetting."""
    return tuple(
        Member(
            values[f"REDIS_NODE_NAME_{n}"],
            Address(values[f"REDIS_NODE_HOST_{n}"], port(values, f"REDIS_NODE_PORT_{n}")),
            values.get(f"REDIS_NODE_CONTAINER_{n}"),
        )
        for n in range(1, MAX_NODES + 1)
        if values.get(f"REDIS_NODE_NAME_{n}") and values.get(f"REDIS_NODE_HOST_{n}")
    )


def numbered_sentinels(access: Access, values: Mapping[str, str]) -> tuple[Member, ...]:
    """Name the sentinels sentinel-1.. in the order of the settings, with their containers."""
    return tuple(
        replace(member, container=values.get(f"REDIS_SENTINEL_CONTAINER_{n}"))
        for n, member in enumerate(named(access.sentinels, "sentinel"), start=1)
    )


def named(addresses: Sequence[Address], prefix: str) -> tuple[Member, ...]:
    """Name nodes PREFIX-1, -2, ... in the order given."""
    return tuple(Member(f"{prefix}-{n}", a) for n, a in enumerate(addresses, start=1))
