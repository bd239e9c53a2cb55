"""The environment in which pulumi and our commands run: for our own processes and for a shell."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toolchain import test_tools, unpacked_php
from toolchain.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from toolchain.layout import Layout
    from toolchain.pulumi_command import Cli

STACK = "dev"


@dataclass(frozen=True)
class Environment:
    """Folders that go first in PATH, and variables; values may be secret."""

    path: tuple[str, ...]
    variables: Mapping[str, str]

    def over(self, base: Mapping[str, str]) -> dict[str, str]:
        """Lay it over the environment of a process."""
        path = os.pathsep.join([*self.path, base.get("PATH", os.defpath)])
        return {**base, **self.variables, "PATH": path}

    def plus(self, variables: Mapping[str, str]) -> Environment:
        """Add variables; later ones win."""
        return Environment(self.path, {**self.variables, **variables})


def for_tools(layout: Layout, cli: Cli, *, stand_ins: bool) -> Environment:
    """Give what any pulumi run of this checkout needs, whatever its backend."""
    variables = {
        "PULUMI_HOME": str(layout.pulumi_home),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
    }
    if stand_ins:
        # Plugins that are not there cannot be fetched either: fail at once, not after five tries.
        variables["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"] = "true"
    folders = (
        cli.folder,
        layout.venv / "bin",
        test_tools.s3_folder(layout),
        unpacked_php.folder(layout),
    )
    return Environment(tuple(map(str, folders)), variables)


def for_stack(layout: Layout) -> dict[str, str]:
    """Give the variables of the embedded default: local state, passphrase, effective config."""
    return {
        "PULUMI_BACKEND_URL": f"file://{layout.state / 'state'}",
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(layout.state / "passphrase"),
        "PULUMI_OPTION_CONFIG_FILE": str(effective_config(layout)),
        # So that `pulumi config set` and its like need no --stack; one that is given goes first.
        "PULUMI_STACK": STACK,
    }


def effective_config(layout: Layout) -> Path:
    """Say where the stack's configuration as used lies; the committed file is never rewritten."""
    return layout.state / f"Pulumi.{STACK}.yaml"


def env_file(layout: Layout) -> Path:
    """Say which file a shell sources."""
    return layout.state / "env"


def render(environment: Environment) -> str:
    """Write it as lines that a POSIX shell sources."""
    lines = [
        f"export {name}={shlex.quote(value)}"
        for name, value in sorted(environment.variables.items())
    ]
    folders = shlex.quote(os.pathsep.join(environment.path))
    return "\n".join(["# Made by `make up`.", f'export PATH={folders}:"$PATH"', *lines, ""])


def save(layout: Layout, environment: Environment) -> None:
    """Write the file that a shell sources, readable by its owner alone."""
    write_atomically(env_file(layout), render(environment), mode=0o600)
