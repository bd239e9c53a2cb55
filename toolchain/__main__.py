"""The front door: python3 -m toolchain COMMAND. The only place that prints errors and exits."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from toolchain import (
    base_image,
    console,
    docker_engine,
    environment,
    layout,
    node_packages,
    plugins_home,
    pulumi_command,
    python_env,
    test_tools,
)
from toolchain.errors import ToolchainError
from toolchain.host import inspect_host

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from toolchain.environment import Environment
    from toolchain.layout import Layout

_WITHOUT_AGENT = "--without-agent"


def ensure(where: Layout) -> Environment:
    """Make everything that Pulumi needs here available; return the environment to run it in."""
    host = inspect_host()
    python_env.ensure(where, host)
    console.satisfied(python_env.STEP, f"{where.venv} holds what the pinned files say")
    docker_engine.ensure(where, host)
    cli = pulumi_command.ensure(where, host)
    stand_ins = plugins_home.ensure(where, cli)
    return environment.for_tools(where, cli, stand_ins=stand_ins)


def _ensure(where: Layout, operands: Sequence[str]) -> int:
    ensure(where)
    for engine in operands or ("redis-8",):
        base_image.ensure(where, inspect_host(), base_image.suite_of(engine))
    return 0


def _python(where: Layout, _: Sequence[str]) -> int:
    python_env.ensure(where, inspect_host())
    return 0


def _test_tools(where: Layout, _: Sequence[str]) -> int:
    test_tools.ensure(where, inspect_host())
    return 0


def _linters(where: Layout, _: Sequence[str]) -> int:
    test_tools.ensure_linters(where, inspect_host())
    return 0


def _packages(where: Layout, operands: Sequence[str]) -> int:
    engine, architecture, *more = operands
    node_packages.make(
        where,
        engine=engine,
        architecture=architecture,
        added=[Path(name) for name in more if name != _WITHOUT_AGENT],
        without_agent=_WITHOUT_AGENT in more,
    )
    return 0


def _up(where: Layout, settings: Sequence[str]) -> int:
    _continue_in_venv(where)
    from toolchain import front_door  # noqa: PLC0415  needs what only the venv has

    front_door.up(where, ensure(where), settings=settings)
    return 0


def _down(where: Layout, _: Sequence[str]) -> int:
    _continue_in_venv(where)
    from toolchain import front_door  # noqa: PLC0415  needs what only the venv has

    front_door.down(where, ensure(where))
    return 0


def _run(where: Layout, command: Sequence[str]) -> int:
    """Become the given command, with our tools first on its PATH."""
    variables = ensure(where).over(os.environ)
    os.execvpe(command[0], list(command), variables)  # noqa: S606


def _env(where: Layout, _: Sequence[str]) -> int:
    file = environment.env_file(where)
    if not file.is_file():
        raise ToolchainError(
            operation="find", subject=str(file), cause="there is no stack yet", hint="run make up"
        )
    print(f"source {file}")
    return 0


def _continue_in_venv(where: Layout) -> None:
    """Make the virtual environment and go on as its interpreter."""
    python_env.ensure(where, inspect_host())
    if Path(sys.prefix) != where.venv:
        python = str(where.python)
        os.execv(python, [python, "-m", "toolchain", *sys.argv[1:]])  # noqa: S606


COMMANDS: dict[str, tuple[Callable[[Layout, Sequence[str]], int], str]] = {
    "ensure": (_ensure, "Docker, Pulumi, plugins and base image (of the engines named)"),
    "python": (_python, "only the virtual environment"),
    "test-tools": (_test_tools, "what the tests start besides: Redis, age, an S3 server"),
    "linters": (_linters, "what `make lint` needs besides Python packages"),
    "packages": (
        _packages,
        f"what nodes on AWS install: ENGINE ARCHITECTURE [{_WITHOUT_AGENT}] [FILE.deb ...]",
    ),
    "up": (_up, "the stack dev, with name=value settings for this checkout"),
    "down": (_down, "take the stack dev away; backups stay"),
    "env": (_env, "say what to source"),
    "run": (_run, "a command with our tools first on its PATH"),
}

# What a command can't do without.
NEEDED = {"packages": ("ENGINE", "ARCHITECTURE"), "run": ("COMMAND",)}


def main() -> int:
    """Run one command; 0 done, 1 failed with one clear sentence, 2 usage, 130 interrupted."""
    listing = "\n".join(f"  {name:<12}{text}" for name, (_, text) in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="python3 -m toolchain",
        epilog=f"commands:\n{listing}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND")
    parser.add_argument("operands", nargs=argparse.REMAINDER, metavar="...")
    arguments = parser.parse_args()
    needed = NEEDED.get(arguments.command, ())
    if len(arguments.operands) < len(needed):
        parser.error(f"{arguments.command} needs {' '.join(needed)}")
    act, _ = COMMANDS[arguments.command]
    try:
        return act(layout.locate(os.environ, home=Path.home()), arguments.operands)
    except ToolchainError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
