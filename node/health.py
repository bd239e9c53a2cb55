"""How a node is, in one line of a file that a cheap check reads."""

from dataclasses import dataclass
from pathlib import Path

from node.files import write_atomically
from redis_ha.discovery import NodeView


@dataclass(frozen=True)
class Health:
    """Healthy or not, and what is to be said about it."""

    healthy: bool
    text: str

    def with_remark(self, remark: str) -> "Health":
        """Add what is worth a word, but no restart."""
        return Health(self.healthy, f"{self.text}{remark}")


def judge(view: NodeView) -> Health:
    """Judge a data node by its own answer: a master serves; a replica follows and is in sync."""
    if view.role is None:
        return Health(False, f"the server doesn't answer: {view.problem}")
    if view.loading:
        return Health(False, "the server is loading its data")
    if view.role == "master":
        return Health(True, f"master, {view.connected_replicas} replicas")
    if view.syncing:
        return Health(False, f"replica of {view.master}, syncing")
    if not view.link_up:
        return Health(False, f"replica of {view.master}, link down")
    return Health(True, f"replica of {view.master}, in sync")


def write_health(path: Path, health: Health) -> None:
    """Replace the health file: `ok TEXT` or the reason why not."""
    text = f"ok {health.text}" if health.healthy else health.text
    write_atomically(path, text + "\n", durable=False)
