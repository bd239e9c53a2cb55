"""What user-data says of this machine: where its files are, never what is in them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from node.vm.errors import BootFailed


@dataclass(frozen=True)
class Limits:
    """What one unit may use: memory in bytes, seconds until a stop becomes a kill."""

    memory: int
    stop_seconds: int


@dataclass(frozen=True)
class Places:
    """One machine: its secrets' ids, its data volume's device, and each role's limits.

    `cluster`, `node` and `log_group` are how CloudWatch shall know it.
    `endpoint` replaces AWS's own addresses; empty for those.
    """

    region: str
    node_secret: str
    worker_secret: str
    device: Path
    limits: Mapping[str, Limits]
    open_files: int
    processes: int
    cluster: str
    node: str
    log_group: str
    endpoint: str = ""


def load_places(path: Path) -> Places:
    """Read boot.json; raises BootFailed."""
    try:
        return _parse(json.loads(path.read_text()))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BootFailed(
            operation="read the places",
            subject=str(path),
            cause=repr(error),
            hint="user-data writes this file: replace the instance with `pulumi up`",
        ) from error


def _parse(document: Mapping[str, Any]) -> Places:
    return Places(
        region=str(document["region"]),
        node_secret=str(document["node_secret"]),
        worker_secret=str(document["worker_secret"]),
        device=Path(document["device"]),
        limits={
            role: Limits(int(each["memory"]), int(each["stop_seconds"]))
            for role, each in document["limits"].items()
        },
        open_files=int(document["open_files"]),
        processes=int(document["processes"]),
        cluster=str(document["cluster"]),
        node=str(document["node"]),
        log_group=str(document["log_group"]),
        endpoint=str(document["endpoint"]),
    )
