"""Whether a container that is waited for has become healthy. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Health:
    """`ready`: healthy. `hopeless`: why waiting longer is no use. `detail`: what it last said."""

    ready: bool
    hopeless: str | None
    detail: str


def judge(seen: dict[str, Any]) -> Health:
    """Judge ContainerInspect's answer; an unhealthy container may still recover."""
    state = seen["State"]
    health = state.get("Health")
    detail = _last_output(health)
    if not state["Running"] and not state["Restarting"]:
        return Health(False, f"it exited with code {state['ExitCode']}", detail)
    if health is None:
        return Health(False, "it has no health check, so `wait` can never end", detail)
    return Health(health["Status"] == "healthy", None, detail)


def _last_output(health: dict[str, Any] | None) -> str:
    log = (health or {}).get("Log") or []
    if not log:
        return "no health check has finished yet"
    last = log[-1]
    output = last["Output"].strip() or "(no output)"
    return f"last health check exited with code {last['ExitCode']}: {output}"
