"""Who am I: node.json, parsed once."""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from node.errors import BadSettings
from redis_ha.connection import Address, Credentials
from redis_ha.discovery import Access

# A data node that answers nothing for so long is taken for absent; the guard asks again anyway.
ASK_TIMEOUT = 1.0


@dataclass(frozen=True)
class WitnessRole:
    """The witness beside a sentinel: its login, and the stack's down-after in seconds."""

    credentials: Credentials
    down_after: float


@dataclass(frozen=True)
class NodeSettings:
    """One node, its peers and where its files lie; times in seconds."""

    name: str
    address: Address
    master_name: str
    initial_master: str
    data_nodes: tuple[Address, ...]
    sentinels: tuple[Address, ...]
    credentials: Credentials
    ca: Path
    data_dir: Path
    config_dir: Path
    run_dir: Path
    engine: str = "redis-8"
    handover_seconds: float = 10.0
    stop_seconds: float = 15.0
    peer_wait_seconds: float = 5.0
    failover_retry_seconds: float = 10.0
    # None on data nodes, and where the stack runs without.
    witness: WitnessRole | None = None

    @property
    def access(self) -> Access:
        return Access(
            self.sentinels,
            self.master_name,
            self.credentials,
            self.ca,
            ASK_TIMEOUT,
            self.data_nodes,
        )

    @property
    def peers(self) -> tuple[Address, ...]:
        return tuple(address for address in self.data_nodes if address != self.address)

    @property
    def server(self) -> str:
        """Return the name of the server's program, which is the sentinel's too.

        The files may name the next engine already while this image still has the one before.
        """
        programs = ("redis-server", "valkey-server")
        wanted, other = reversed(programs) if self.engine.startswith("valkey") else programs
        return other if shutil.which(wanted) is None and shutil.which(other) else wanted

    @property
    def health_file(self) -> Path:
        return self.run_dir / "health"

    @property
    def witness_file(self) -> Path:
        return self.run_dir / "witness.json"

    @property
    def file(self) -> Path:
        """Return the file that these settings were read from."""
        return self.config_dir / "node.json"


def load_settings(path: Path) -> NodeSettings:
    """Read node.json; raises BadSettings."""
    try:
        return _parse(json.loads(path.read_text()))
    except (OSError, ValueError, KeyError, TypeError) as error:
        missing = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise BadSettings(
            operation="read the settings",
            subject=str(path),
            cause=missing,
            hint="the file is rendered with the stack: run `pulumi up`",
        ) from error


def _parse(document: Mapping[str, Any]) -> NodeSettings:
    optional = {
        name: float(document[name])
        for name in (
            "handover_seconds",
            "stop_seconds",
            "peer_wait_seconds",
            "failover_retry_seconds",
        )
        if name in document
    }
    return NodeSettings(
        name=str(document["name"]),
        address=_address(document),
        master_name=str(document["master_name"]),
        initial_master=str(document["initial_master"]),
        data_nodes=_addresses(document["data_nodes"]),
        sentinels=_addresses(document["sentinels"]),
        credentials=Credentials(str(document["username"]), str(document["password"])),
        ca=Path(document["tls"]["ca"]),
        data_dir=Path(document["data_dir"]),
        config_dir=Path(document["config_dir"]),
        run_dir=Path(document["run_dir"]),
        engine=str(document["engine"]),
        witness=_witness(document.get("witness")),
        **optional,
    )


def _witness(document: Mapping[str, Any] | None) -> WitnessRole | None:
    if document is None:
        return None
    return WitnessRole(
        Credentials(str(document["username"]), str(document["password"])),
        down_after=int(document["down_after_ms"]) / 1000,
    )


def _addresses(nodes: Sequence[Mapping[str, Any]]) -> tuple[Address, ...]:
    return tuple(_address(node) for node in nodes)


def _address(node: Mapping[str, Any]) -> Address:
    return Address(str(node["host"]), int(node["port"]))
