"""docker:index/volume:Volume. Every input replaces; the id is the name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from typing_extensions import override

from toolchain.plugins.base.resource import Made, Operation, ResourceType
from toolchain.plugins.base.schema import MAP, STRING, Schema, properties
from toolchain.plugins.docker import labels
from toolchain.plugins.docker.removal import remove_when_free

if TYPE_CHECKING:
    from toolchain.plugins.docker.daemon import Daemon

SCHEMA: Final = Schema(
    "docker:index/volume:Volume",
    inputs={
        "driver": STRING.but(computed=True),
        "driverOpts": MAP,
        "labels": labels.LABELS,
        "name": STRING,
    },
    outputs=properties("mountpoint"),
    unsupported=properties("cluster"),
    named=True,
)


class Volume(ResourceType):
    """A volume. One that exists already under the name is taken over with its data."""

    schema = SCHEMA

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    @override
    def create(self, inputs: dict[str, Any], operation: Operation) -> Made:
        """Create it."""
        with self._daemon.attempt("create", f"volume {inputs['name']}"):
            answer = self._daemon.api.create_volume(
                inputs["name"],
                inputs.get("driver"),
                inputs.get("driverOpts"),
                labels.to_map(inputs.get("labels")),
            )
        return Made(answer["Name"], {**inputs, **observed(answer)})

    @override
    def read(self, identity: str, state: dict[str, Any], operation: Operation) -> Made | None:
        """Read it from the daemon."""
        seen = self._daemon.find(self._daemon.api.inspect_volume, identity)
        return None if seen is None else Made(seen["Name"], {**state, **observed(seen)})

    @override
    def delete(self, identity: str, state: dict[str, Any], operation: Operation) -> None:
        """Remove it with its data, once no container uses it."""
        with self._daemon.attempt("remove", f"volume {identity}"):
            remove_when_free(
                lambda: self._daemon.api.remove_volume(identity, force=True),
                busy="volume is in use",
                lifetime=operation.lifetime,
            )


def observed(seen: dict[str, Any]) -> dict[str, Any]:
    """The state as the daemon tells it. Pure."""
    return {
        "name": seen["Name"],
        "driver": seen["Driver"],
        "driverOpts": seen.get("Options") or {},
        "labels": labels.to_list(seen.get("Labels")),
        "mountpoint": seen["Mountpoint"],
    }
