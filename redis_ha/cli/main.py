"""The command's front door: finds the subcommand, and turns every failure into an exit code.

0 ok, healthy, ready; 1 degraded, not ready, troubles found, or failed; 2 wrong use or setting,
and for `health` a cluster that is down; 3 no such stack or node; 6 cluster unreachable;
7 refused for safety; 130 interrupted, 143 terminated.
"""

import signal
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from types import FrameType

import click

from redis_ha.cli.stdout import OutputLost, give_up, telling
from redis_ha.errors import (
    BadSetting,
    ChangeRefused,
    HarmRefused,
    NoMaster,
    RedisHaError,
    StackUnavailable,
    SwitchoverRefused,
    SwitchoverUncertain,
    UnknownNode,
    Unreachable,
)

PROGRAM = "redis-ha"

# Name -> module: a command's dependencies are imported when it runs, not before.
COMMANDS = {
    "status": "redis_ha.cli.status",
    "health": "redis_ha.cli.health",
    "stats": "redis_ha.cli.stats",
    "monitor": "redis_ha.cli.monitor",
    "dashboard": "redis_ha.cli.dashboard",
    "exporter": "redis_ha.cli.exporter",
    "ready": "redis_ha.cli.ready",
    "failover": "redis_ha.cli.failover",
    "failover-test": "redis_ha.cli.failover_test",
    "doctor": "redis_ha.cli.doctor",
    "logs": "redis_ha.cli.logs",
    "events": "redis_ha.cli.events",
    "checklist": "redis_ha.cli.checklist",
    "maintenance": "redis_ha.cli.maintenance",
    "plan": "redis_ha.cli.plan",
    "compose": "redis_ha.cli.compose",
    "scale": "redis_ha.cli.scale",
    "upgrade": "redis_ha.cli.upgrade",
    "rotate": "redis_ha.cli.rotate",
    "adopt": "redis_ha.cli.adopt",
    "env": "redis_ha.cli.env",
}
# Of a kind that isn't named its base's counts.
EXIT_CODES: dict[type, int] = {
    BadSetting: 2,
    StackUnavailable: 3,
    UnknownNode: 3,
    Unreachable: 6,
    NoMaster: 6,
    SwitchoverRefused: 7,
    SwitchoverUncertain: 1,
    ChangeRefused: 7,
    HarmRefused: 7,
}


class Terminated(BaseException):
    """SIGTERM arrived. Like KeyboardInterrupt it passes every `except Exception`."""


class CommandTable(click.Group):
    """Loads a command's module when the command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002 - click passes it
        cmd_name: str,
    ) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(COMMANDS[cmd_name]).command
        return command


@click.group(
    cls=CommandTable,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option("--debug", is_flag=True, help="Show the traceback of an unexpected failure.")
def cli(debug: bool) -> None:
    """Run a Redis cluster with Sentinel: look at it, check it, hand the mastership over.

    The cluster is that of --stack NAME, else the one that the environment or .env.redis-ha names.

    \b
    Examples:
      redis-ha status
      redis-ha ready && redis-ha failover
      redis-ha failover --to redis-2
      redis-ha health --json --stack dev
      redis-ha monitor --interval 5 --duration 60

    \b
    Completion of commands and options in bash (zsh and fish alike):
      eval "$(_REDIS_HA_COMPLETE=bash_source redis-ha)"

    \b
    Exit codes: 0 ok, 1 degraded, not ready or failed, 2 wrong use (health: down),
    3 no such stack or node, 6 cluster unreachable, 7 refused for safety; of `adopt` also those of
    backup-worker: 4 corrupt, 5 store unreachable.
    """


def main() -> None:
    """Run the command line and exit."""
    sys.exit(execute(sys.argv[1:]))


def execute(args: Sequence[str]) -> int:
    """Run a command line and return its exit code."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        with telling():
            code = cli.main(list(args), prog_name=PROGRAM, standalone_mode=False)
    except BaseException as error:  # noqa: BLE001 - the last resort of a command line
        return report(error, debug="--debug" in args)
    return code if isinstance(code, int) else 0


def report(error: BaseException, *, debug: bool) -> int:
    """Say on standard error why a command ended early, in one line; return its exit code."""
    if isinstance(error, click.ClickException):
        error.show()
        return error.exit_code
    if isinstance(error, SystemExit):  # click's own quiet end when our reader is gone
        give_up()
        return error.code if isinstance(error.code, int) else 1
    if isinstance(error, OutputLost):
        give_up()
    message, code = _explain(error, debug=debug)
    if debug:
        click.echo("".join(traceback.format_exception(error)), err=True, nl=False)
    click.echo(f"{PROGRAM}: {message}", err=True)
    return code


def _explain(error: BaseException, *, debug: bool) -> tuple[str, int]:
    if isinstance(error, RedisHaError):
        kinds = type(error).__mro__
        return str(error), next((EXIT_CODES[kind] for kind in kinds if kind in EXIT_CODES), 1)
    if isinstance(error, click.Abort | KeyboardInterrupt):
        return "interrupted", 128 + signal.SIGINT
    if isinstance(error, Terminated):
        return "terminated", 128 + signal.SIGTERM
    if isinstance(error, OutputLost):
        return f"can't write the output: {error.strerror}", 1
    text = (str(error).splitlines() or [""])[0]
    hint = "" if debug else f"; for the traceback: `{PROGRAM} --debug ...`"
    return f"unexpected {type(error).__name__}: {text}{hint}", 1


def _terminate(_number: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Terminated
