"""The resource plugins in this checkout's PULUMI_HOME: official where they can be had."""

from __future__ import annotations

import enum
import os
from typing import TYPE_CHECKING

from toolchain import console, download_site, versions
from toolchain.files import exclusive, write_atomically
from toolchain.host import Task, perform

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from toolchain.layout import Layout
    from toolchain.pulumi_command import Cli

STEP = "plugins"
STAND_IN_MARK = "# stand-in for the official plugin"


class Plugin(enum.Enum):
    """What a plugin's folder holds, or shall hold."""

    MISSING = "missing"
    OFFICIAL = "official"
    STAND_IN = "stand-in"


def decide(present: Mapping[str, Plugin], can_download: Callable[[], bool]) -> dict[str, Plugin]:
    """Say what each plugin shall be; what is there stays, so a stack keeps its provider.

    One that is had on demand stays missing where Pulumi can fetch it by itself.
    """
    missing = {name for name, found in present.items() if found is Plugin.MISSING}
    wanted = dict(present)
    if missing - set(versions.PLUGINS_ON_DEMAND):
        better = Plugin.OFFICIAL if can_download() else Plugin.STAND_IN
        wanted.update(dict.fromkeys(missing - set(versions.PLUGINS_ON_DEMAND), better))
    if Plugin.STAND_IN in wanted.values():
        wanted.update(dict.fromkeys(missing & set(versions.PLUGINS_ON_DEMAND), Plugin.STAND_IN))
    return wanted


def stand_in(plugin: str, *, checkout: Path, python: Path) -> str:
    """Give the script that serves our plugin in place of the official one."""
    return (
        f"#!/bin/sh\n{STAND_IN_MARK}\n"
        f"export PYTHONPATH='{checkout}'\n"
        f"exec '{python}' -m toolchain.plugins.{plugin} \"$@\"\n"
    )


def ensure(layout: Layout, cli: Cli) -> bool:
    """Put every plugin into PULUMI_HOME; return whether stand-ins are among them.

    Errors: ToolchainError when a download fails.
    """
    requirements = layout.requirements.read_text()
    files = {
        name: _file(layout, name, requirements)
        for name in (*versions.PLUGINS, *versions.PLUGINS_ON_DEMAND)
    }
    with exclusive(layout.state / "plugins.lock"):
        present = {name: look(file) for name, file in files.items()}
        wanted = decide(present, download_site.reachable)
        for name, plugin in wanted.items():
            if plugin is Plugin.STAND_IN:
                text = stand_in(name, checkout=layout.checkout, python=layout.python)
                write_atomically(files[name], text, mode=0o755)
            elif plugin is Plugin.OFFICIAL and present[name] is Plugin.MISSING:
                _install(layout, cli, name, versions.pinned(requirements, f"pulumi-{name}"))
    ours = [name for name, plugin in wanted.items() if plugin is Plugin.STAND_IN]
    _say(ours, layout)
    return bool(ours)


def look(file: Path) -> Plugin:
    """Tell a stand-in from an official plugin by its first bytes."""
    if not file.is_file():
        return Plugin.MISSING
    with file.open("rb") as content:
        head = content.read(len(STAND_IN_MARK) + 20)
    return Plugin.STAND_IN if STAND_IN_MARK.encode() in head else Plugin.OFFICIAL


def _file(layout: Layout, name: str, requirements: str) -> Path:
    version = versions.pinned(requirements, f"pulumi-{name}")
    folder = layout.pulumi_home / "plugins" / f"resource-{name}-v{version}"
    return folder / f"pulumi-resource-{name}"


def _install(layout: Layout, cli: Cli, name: str, version: str) -> None:
    console.doing(STEP, f"downloading {name} {version}", why="this checkout has none yet")
    task = Task(
        operation="download",
        subject=f"the {name} plugin {version}",
        hint="run the command again, or with REDIS_HA_OFFLINE=1 to use our stand-in",
    )
    command = [str(cli.folder / "pulumi"), "plugin", "install", "resource", name, version]
    quiet = {"PULUMI_HOME": str(layout.pulumi_home), "PULUMI_SKIP_UPDATE_CHECK": "true"}
    perform(task, command, environment=quiet)


def _say(ours: list[str], layout: Layout) -> None:
    if not ours:
        console.satisfied(STEP, f"official ones in {layout.pulumi_home}")
        return
    again = os.path.relpath(layout.pulumi_home / "plugins", layout.checkout)
    console.satisfied(
        STEP,
        f"stand-ins for {', '.join(ours)}, as Pulumi's download site was not reachable "
        f"(`rm -r {again}` tries it again)",
    )
