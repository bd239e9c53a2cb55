"""docker:index/network:Network. Every input replaces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from typing_extensions import override

from toolchain.plugins.base.resource import Made, Operation, ResourceType
from toolchain.plugins.base.schema import BOOLEAN, MAP, STRING, Schema, blocks, properties
from toolchain.plugins.docker import labels
from toolchain.plugins.docker.removal import remove_when_free

if TYPE_CHECKING:
    from toolchain.plugins.docker.daemon import Daemon

SCHEMA: Final = Schema(
    "docker:index/network:Network",
    inputs={
        "attachable": BOOLEAN,
        "driver": STRING.but(computed=True),
        "ingress": BOOLEAN,
        "internal": BOOLEAN.but(computed=True),
        "ipamConfigs": blocks(
            {"auxAddress": MAP, "gateway": STRING, "ipRange": STRING, "subnet": STRING}
        ).but(computed=True),
        "ipamDriver": STRING.but(default="default"),
        "ipamOptions": MAP.but(computed=True),
        "ipv6": BOOLEAN,
        "labels": labels.LABELS,
        "name": STRING,
        "options": MAP.but(computed=True),
    },
    outputs=properties("scope"),
    named=True,
    undo_unclaimed=True,
)


class Network(ResourceType):
    """A network; its id is Docker's."""

    schema = SCHEMA

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    @override
    def create(self, inputs: dict[str, Any], operation: Operation) -> Made:
        """Create it; a second network of the same name is refused."""
        subject = f"network {inputs['name']}"
        hint = "choose another subnet or name, or remove the network that has it"
        with self._daemon.attempt("create", subject, hint=hint):
            answer = self._daemon.api.create_network(**creation(inputs))
        made = self.read(answer["Id"], inputs, operation)
        return made or Made(answer["Id"], inputs)

    @override
    def read(self, identity: str, state: dict[str, Any], operation: Operation) -> Made | None:
        """Read it from the daemon."""
        seen = self._daemon.find(self._daemon.api.inspect_network, identity)
        return None if seen is None else Made(seen["Id"], {**state, **observed(seen)})

    @override
    def delete(self, identity: str, state: dict[str, Any], operation: Operation) -> None:
        """Remove it, once the last container has left it."""
        with self._daemon.attempt("remove", f"network {state.get('name', identity)}"):
            remove_when_free(
                lambda: self._daemon.api.remove_network(identity),
                busy="has active endpoints",
                lifetime=operation.lifetime,
            )


def creation(inputs: dict[str, Any]) -> dict[str, Any]:
    """What the SDK's create_network takes. Pure."""
    pools = [
        {
            "Subnet": pool.get("subnet"),
            "IPRange": pool.get("ipRange"),
            "Gateway": pool.get("gateway"),
            "AuxiliaryAddresses": pool.get("auxAddress"),
        }
        for pool in inputs.get("ipamConfigs", [])
    ]
    ipam = {"Driver": inputs["ipamDriver"], "Config": pools, "Options": inputs.get("ipamOptions")}
    return {
        "name": inputs["name"],
        "driver": inputs.get("driver"),
        "options": inputs.get("options"),
        "ipam": ipam,
        "check_duplicate": True,
        "internal": inputs.get("internal", False),
        "labels": labels.to_map(inputs.get("labels")),
        "enable_ipv6": inputs.get("ipv6", False),
        "attachable": inputs.get("attachable"),
        "ingress": inputs.get("ingress"),
    }


def observed(seen: dict[str, Any]) -> dict[str, Any]:
    """The state as the daemon tells it. Pure."""
    pools = [
        {
            "subnet": pool.get("Subnet", ""),
            "ipRange": pool.get("IPRange", ""),
            "gateway": pool.get("Gateway", ""),
            "auxAddress": pool.get("AuxiliaryAddresses") or {},
        }
        for pool in seen["IPAM"].get("Config") or []
    ]
    return {
        "name": seen["Name"],
        "attachable": seen["Attachable"],
        "driver": seen["Driver"],
        "ingress": seen["Ingress"],
        "internal": seen["Internal"],
        "ipamConfigs": pools,
        "ipamDriver": seen["IPAM"]["Driver"],
        "ipv6": seen["EnableIPv6"],
        "labels": labels.to_list(seen.get("Labels")),
        "options": seen.get("Options") or {},
        "scope": seen["Scope"],
    }
