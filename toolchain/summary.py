"""What `make up` says at its end: what there is now and what to do with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


# Monitors by the name that they have in every stack, and what their pages are called.
PAGES = {"prometheus": "Prometheus", "alertmanager": "Alertmanager"}


@dataclass(frozen=True)
class Row:
    """A node as a reader wants to see it; `container` is its name in Docker."""

    name: str
    role: str
    address: str
    port: int
    container: str


def rows(nodes: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Read one of the stack's outputs `nodes`, `sentinels` and `monitoring`."""
    return [
        Row(
            name=node["name"],
            role=node["role"],
            address=node["address"],
            port=int(node["port"]),
            container=node["container"],
        )
        for node in nodes
    ]


def table(nodes: Sequence[Row]) -> str:
    """Lay the nodes out in columns."""
    head = ("NAME", "ROLE", "ADDRESS", "PORT")
    lines = [head, *((n.container, n.role, n.address, str(n.port)) for n in nodes)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  " + "  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def connect(node: Row) -> str:
    """Give the redis-cli line that works when pasted after sourcing the env file."""
    return (
        f"docker exec -it -e REDISCLI_AUTH {node.container} redis-cli --tls "
        f"--cacert /etc/redis-ha/tls/ca.crt -p {node.port} --user app"
    )


def connect_from_host(node: Row) -> str:
    """Give the same for a redis-cli on the host, through the published port."""
    return f'redis-cli --tls --cacert "$REDIS_TLS_CA" -h 127.0.0.1 -p {node.port} --user app'


def pages(monitors: Sequence[Row]) -> list[str]:
    """Give the pages for a browser on this host, one line each; the exporters have none to read."""
    shown = [node for node in monitors if node.name in PAGES]
    return [f"  {PAGES[node.name]:<14}http://127.0.0.1:{node.port}/" for node in shown]


def render(nodes: Sequence[Row], *, monitors: Sequence[Row] = (), snapshot: str | None) -> str:
    """Write the whole summary; without monitors nothing is said of them."""
    data = [node for node in nodes if node.role == "data"]
    lines = ["", "The cluster is up.", "", table(nodes), ""]
    lines += ["Settings, passwords and PATH for this shell:", "  source .redis-ha/env", ""]
    if data:
        lines += ["Connect:", f"  {connect(data[0])}"]
        lines += [f"  {connect_from_host(data[0])}", ""]
    state = f"snapshot {snapshot}" if snapshot else "no good snapshot yet"
    lines += [
        f"Backup ({state}):",
        "  backup-worker status",
        "  backup-worker snapshot",
        "  backup-worker list",
        "  backup-worker restore latest",
        "",
        "The key to all backups is .redis-ha/identity.txt: keep a copy elsewhere.",
    ]
    if shown := pages(monitors):
        lines += ["", "Monitoring, for this machine only:", *shown]
    lines += ["", "Tear down: make down", ""]
    return "\n".join(lines)
