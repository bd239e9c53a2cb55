"""How the members' containers are, asked of `docker inspect`; unknown where there are none."""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_SECONDS = 10


@dataclass(frozen=True)
class ContainerView:
    """One container; `health` is Docker's word, "" without a health check."""

    name: str
    running: bool
    status: str = ""
    health: str = ""
    restarts: int = 0
    detail: str = ""

    @property
    def trouble(self) -> str:
        """Say what is wrong with it; empty when nothing is."""
        if not self.running:
            return f"is {self.status or 'gone'}"
        if self.health not in ("", "healthy"):
            return f"is {self.health}: {self.detail}" if self.detail else f"is {self.health}"
        # A healthy sentinel whose witness lacks something says so after its own state.
        return self.detail.partition("; ")[2]


def inspect(names: Sequence[str]) -> dict[str, ContainerView] | str:
    """Ask Docker for containers by name; a text says why it can't be asked."""
    if not names:
        return "no container is named: give --stack"
    try:
        done = subprocess.run(
            ["docker", "container", "inspect", *names],
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except FileNotFoundError:
        return "there is no docker command here"
    except subprocess.TimeoutExpired:
        return f"the Docker daemon did not answer within {_SECONDS} s"
    if done.returncode and "o such container" not in done.stderr:
        return (done.stderr.strip().splitlines() or ["docker inspect failed"])[-1]
    return parse(names, json.loads(done.stdout or "[]"))


def parse(names: Sequence[str], documents: Sequence[Any]) -> dict[str, ContainerView]:
    """Read what `docker container inspect` printed; one that isn't in it is gone."""
    found = {document["Name"].removeprefix("/"): document for document in documents}
    return {
        name: _view(name, found[name]) if name in found else ContainerView(name, running=False)
        for name in names
    }


def _view(name: str, document: Any) -> ContainerView:
    state = document["State"]
    health = state.get("Health") or {}
    log = health.get("Log") or [{}]
    return ContainerView(
        name,
        running=bool(state["Running"]) and not state.get("Paused", False),
        status=str(state["Status"]),
        health=str(health.get("Status", "")),
        restarts=int(document.get("RestartCount", 0)),
        detail=str(log[-1].get("Output", "")).strip(),
    )
