"""`redis-ha adopt`: hands over to the backup worker's command, which has the server in between."""

import os
import sys
from importlib.util import find_spec

import click

from redis_ha.cli.cluster import stack_option
from redis_ha.errors import StackUnavailable
from redis_ha.locating import find_unasked

_WORKER = "backup_worker"


@click.command(
    "adopt",
    short_help="Take a live Redis over into the cluster.",
    add_help_option=False,
    context_settings={"ignore_unknown_options": True},
)
@stack_option
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def command(stack: str | None, words: tuple[str, ...]) -> None:
    """Run `backup-worker adopt` on this cluster; its --help says all."""
    if find_spec(_WORKER) is None:
        raise StackUnavailable(
            operation="run",
            subject="backup-worker adopt",
            cause="the backup worker's command is not installed here",
            hint="run it where this project is installed, or in the worker's container",
        )
    settings = {} if stack is None else find_unasked(stack, os.environ).settings
    program = [sys.executable, "-m", _WORKER, "adopt", *words]
    os.execve(sys.executable, program, {**os.environ, **settings})  # noqa: S606 - no shell
