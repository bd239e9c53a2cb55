"""A throwaway Pulumi project whose plugins are this checkout's stand-ins."""

from __future__ import annotations

import os
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pulumi
from pulumi import automation

from toolchain.plugins_home import stand_in

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
CHECKOUT = Path(__file__).resolve().parents[3]
VERSIONS = {"aws": "7.51.1", "docker": "5.1.0", "random": "4.21.4", "tls": "5.6.2"}


def pulumi_folder() -> Path:
    """Where the real pulumi is; a machine without it cannot prove anything here."""
    found = os.environ.get("PULUMI_CLI") or shutil.which("pulumi")
    assert found, "no pulumi: put it on PATH or name it in PULUMI_CLI"
    return Path(found).parent


@dataclass
class Project:
    """One stack with its state below a folder of its own."""

    stack: automation.Stack
    folder: Path

    @classmethod
    def create(cls, folder: Path, program: Callable[[], None]) -> Project:
        """Make PULUMI_HOME with the stand-ins, and an empty stack."""
        home = folder / "home"
        for name, version in VERSIONS.items():
            plugin = home / "plugins" / f"resource-{name}-v{version}" / f"pulumi-resource-{name}"
            plugin.parent.mkdir(parents=True)
            plugin.write_text(stand_in(name, checkout=CHECKOUT, python=Path(sys.executable)))
            plugin.chmod(0o755)
        (folder / "state").mkdir()
        options = automation.LocalWorkspaceOptions(
            work_dir=str(folder),
            pulumi_home=str(home),
            env_vars={
                "PATH": f"{pulumi_folder()}:{os.environ['PATH']}",
                "PULUMI_BACKEND_URL": f"file://{folder / 'state'}",
                "PULUMI_CONFIG_PASSPHRASE": "test",
                "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
                "PULUMI_SKIP_UPDATE_CHECK": "true",
            },
        )
        stack = automation.create_stack(
            stack_name="test", project_name="plugins", program=program, opts=options
        )
        return cls(stack, folder)

    def run(self, program: Callable[[], None]) -> None:
        """Use another program from now on."""
        self.stack.workspace.program = program

    def up(self) -> dict[str, int]:
        """Run `pulumi up`; return how many resources were created, updated, replaced, kept.

        The stack itself is not counted.
        """
        result = self.stack.up(suppress_progress=True)
        changes = dict(result.summary.resource_changes or {})
        return _without_stack(changes)

    def refresh(self) -> dict[str, int]:
        """Run `pulumi refresh`."""
        result = self.stack.refresh()
        return dict(result.summary.resource_changes or {})

    def resources(self, kind: str) -> dict[str, dict[str, Any]]:
        """The stack's resources of one type, by name, as the state file has them."""
        deployment = self.stack.export_stack().deployment or {}
        return {
            entry["urn"].split("::")[-1]: entry
            for entry in deployment.get("resources", [])
            if entry["type"].endswith(f":{kind}")
        }

    def destroy(self) -> None:
        """Remove everything the stack has, whatever state it is in."""
        self.stack.cancel()
        self.stack.destroy()


def _without_stack(changes: dict[str, int]) -> dict[str, int]:
    for kind in ("same", "create"):
        if changes.get(kind):
            changes[kind] -= 1
            if not changes[kind]:
                del changes[kind]
            break
    return changes


def plugin_processes(project: Project) -> list[int]:
    """The running plugins that were started from a project's PULUMI_HOME."""
    home = str(project.folder / "home").encode()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            environment = (entry / "environ").read_bytes()
            command = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if home in environment and b"toolchain.plugins" in command:
            found.append(int(entry.name))
    return found


def pulumi_process(project: Project) -> int:
    """The running pulumi of a project; waits for it to appear."""
    home = str(project.folder / "home").encode()

    def find() -> int | None:
        for entry in Path("/proc").iterdir():
            try:
                if (entry / "comm").read_text() == "pulumi\n" and home in (
                    entry / "environ"
                ).read_bytes():
                    return int(entry.name)
            except (OSError, ValueError):
                continue
        return None

    return wait_for(find)


def wait_for(probe: Callable[[], T | None], *, seconds: float = 20) -> T:
    """Poll until the probe gives something."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = probe()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"nothing within {seconds} s")


def secret_config(project: Project, name: str, value: str) -> None:
    """Put a secret into the stack's configuration."""
    project.stack.set_config(name, automation.ConfigValue(value, secret=True))


def configured_secret(name: str) -> pulumi.Output[str]:
    """Read a secret from the configuration, inside a program."""
    return pulumi.Config().require_secret(name)


def void(_made: object) -> None:
    """Make a program of one expression."""
