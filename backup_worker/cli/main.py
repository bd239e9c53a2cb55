"""The command's front door: finds the subcommand, and turns every failure into an exit code.

0 ok, 1 failed, 2 usage, 3 not found, 4 corrupt or wrong key, 5 store unreachable,
6 cluster unreachable, 7 refused for safety, 130 interrupted, 143 terminated.
"""

import signal
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module

import click

from backup_worker.cli.session import Session
from backup_worker.cli.signals import Terminated, raise_on_sigterm
from backup_worker.errors import BackupError
from redis_ha.errors import RedisHaError

PROGRAM = "backup-worker"
CLUSTER_UNREACHABLE = 6

# Name -> module: a command's dependencies are imported when it runs, not before.
COMMANDS = {
    "run": "backup_worker.cli.run",
    "snapshot": "backup_worker.cli.snapshot",
    "list": "backup_worker.cli.list",
    "show": "backup_worker.cli.show",
    "verify": "backup_worker.cli.verify",
    "restore": "backup_worker.cli.restore",
    "adopt": "backup_worker.cli.adopt",
    "log": "backup_worker.cli.log",
    "prune": "backup_worker.cli.prune",
    "status": "backup_worker.cli.status",
    "keygen": "backup_worker.cli.keygen",
}


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
@click.pass_context
def cli(ctx: click.Context, debug: bool) -> None:
    """Back up a Redis cluster, encrypted to your key, and put it back.

    Settings come from the environment, else from /etc/redis-ha/worker.env or .env.redis-ha.
    With REDIS_BACKUP_CONTAINER set, commands run in that container.

    \b
    Examples:
      backup-worker keygen -o key.txt
      backup-worker snapshot
      backup-worker list
      backup-worker restore latest --identity key.txt

    \b
    Completion of commands and options in bash (zsh and fish alike):
      eval "$(_BACKUP_WORKER_COMPLETE=bash_source backup-worker)"
    """


def main() -> None:
    """Run the command line and exit."""
    sys.exit(execute(sys.argv[1:]))


def execute(args: Sequence[str]) -> int:
    """Run a command line and return its exit code."""
    raise_on_sigterm()
    session = Session(tuple(word for word in args if word != "--debug"))
    try:
        code = cli.main(list(args), prog_name=PROGRAM, standalone_mode=False, obj=session)
    except BaseException as error:  # noqa: BLE001 - the last resort of a command line
        return report(error, debug="--debug" in args)
    return code if isinstance(code, int) else 0


def report(error: BaseException, *, debug: bool) -> int:
    """Say on standard error why a command ended early, in one line; return its exit code.

    The one place that knows all exit codes.
    """
    if isinstance(error, click.ClickException):
        error.show()
        return error.exit_code
    if isinstance(error, SystemExit):  # click's own quiet end when our reader is gone
        return error.code if isinstance(error.code, int) else 1
    message, code = _explain(error, debug=debug)
    if debug:
        click.echo("".join(traceback.format_exception(error)), err=True, nl=False)
    click.echo(f"{PROGRAM}: {message}", err=True)
    return code


def _explain(error: BaseException, *, debug: bool) -> tuple[str, int]:
    if isinstance(error, BackupError):
        return str(error), error.exit_code
    if isinstance(error, RedisHaError):
        return str(error), CLUSTER_UNREACHABLE
    if isinstance(error, click.Abort | KeyboardInterrupt):
        return "interrupted", 128 + signal.SIGINT
    if isinstance(error, Terminated):
        return "terminated", 128 + signal.SIGTERM
    text = (str(error).splitlines() or [""])[0]
    hint = "" if debug else f"; for the traceback: `{PROGRAM} --debug ...`"
    return f"unexpected {type(error).__name__}: {text}{hint}", 1
