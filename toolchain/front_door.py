"""`make up` and `make down`: the toolchain is there, now the stack. Runs in the venv."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from toolchain import base_image, console, environment, first_snapshot, stack, summary
from toolchain.host import inspect_host, output_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from toolchain.environment import Environment
    from toolchain.layout import Layout


def up(layout: Layout, tools: Environment, *, settings: Sequence[str]) -> None:
    """Bring the stack up and say what there is now.

    Errors: ToolchainError when a step fails; what was done so far stays for the next try.
    """
    started = time.monotonic()
    config = stack.prepare(layout, settings)
    engine = str(config.get("redis-ha:engine", "redis-8"))
    base_image.ensure(layout, inspect_host(), base_image.suite_of(engine))
    env = tools.plus(environment.for_stack(layout))
    if not environment.env_file(layout).is_file():
        environment.save(layout, env)  # so that a first run that fails can be looked into
    outputs = stack.up(layout, env, config)
    env = stack.hand_out(layout, env, outputs)
    snapshot = None
    if _is_on(config, "backupEnabled"):
        snapshot = first_snapshot.wait(layout, env, proving=_is_on(config, "backupDrill"))
    nodes = summary.rows([*outputs["nodes"], *outputs["sentinels"]])
    monitors = summary.rows(outputs["monitoring"])
    print(summary.render(nodes, monitors=monitors, snapshot=snapshot))
    console.satisfied("up", f"done in {time.monotonic() - started:.0f} s")


def down(layout: Layout, tools: Environment) -> None:
    """Take the stack away, and say what was kept.

    Errors: ToolchainError when it fails.
    """
    if not stack.checkpoint(layout).is_file():
        console.satisfied("down", "this checkout has no stack")
        return
    stack.prepare(layout, [])
    env = tools.plus(environment.for_stack(layout))
    volume = _backup_volume(stack.outputs(layout, env).get("env") or {})
    stack.down(layout, env)
    if volume and output_of(["docker", "volume", "inspect", volume]):
        console.note("down", f"the backups were kept in the volume {volume} (and their keys in")
        console.note("down", f".redis-ha): `docker volume rm {volume}` removes them for ever")


def _is_on(config: Mapping[str, object], setting: str) -> bool:
    return str(config.get(f"redis-ha:{setting}", "true")).lower() == "true"


def _backup_volume(variables: Mapping[str, str]) -> str | None:
    """Ask the engine which volume the worker keeps its backups in; None for another store."""
    container = variables.get("REDIS_BACKUP_CONTAINER")
    if not container:
        return None
    kept = '{{range .Mounts}}{{if eq .Destination "/backup"}}{{.Name}}{{end}}{{end}}'
    return output_of(["docker", "inspect", "--format", kept, container]) or None
