"""The `docker` provider: its configuration and its types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from toolchain.plugins.base.resource import Plugin, ResourceType
from toolchain.plugins.base.rules import matching
from toolchain.plugins.base.schema import STRING, Schema, properties
from toolchain.plugins.docker.container.resource import Container
from toolchain.plugins.docker.daemon import Daemon
from toolchain.plugins.docker.image import RemoteImage
from toolchain.plugins.docker.network import Network
from toolchain.plugins.docker.volume import Volume

if TYPE_CHECKING:
    from collections.abc import Mapping

_CONFIG: Final = Schema(
    "docker",
    inputs={
        "host": STRING.but(
            rule=matching("(unix|tcp|http)://.+", say="unix:///path or tcp://host:port")
        )
    },
    unsupported=properties(
        "caMaterial certMaterial certPath context disableDockerDaemonCheck keyMaterial "
        "registryAuth sshOpts"
    ),
)


def _connect(config: Mapping[str, Any]) -> Mapping[str, ResourceType]:
    daemon = Daemon(config.get("host"))
    types: list[ResourceType] = [
        Network(daemon),
        Volume(daemon),
        RemoteImage(daemon),
        Container(daemon),
    ]
    return {kind.schema.token: kind for kind in types}


PLUGIN: Final = Plugin("docker", "5.1.0", _CONFIG, _connect)
