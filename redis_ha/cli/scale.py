"""`redis-ha scale`: change the number of replicas or sentinels, by the stack."""

import shlex
import shutil
import subprocess

import click

from redis_ha.cli import output
from redis_ha.cli.cluster import json_option
from redis_ha.errors import StackUnavailable


@click.command("scale", short_help="Change the number of replicas or sentinels.")
@click.option("--replicas", type=click.IntRange(1, 8), help="Replicas beside the master.")
@click.option("--sentinels", type=click.IntRange(3, 9), help="Sentinels; an odd number.")
@click.option("--stack", metavar="NAME", default="dev", show_default=True,
              help="The Pulumi stack whose cluster it is.")  # fmt: skip
@click.option("--yes", is_flag=True, help="Run it, not only say it.")
@json_option
def command(
    replicas: int | None, sentinels: int | None, *, stack: str, yes: bool, as_json: bool
) -> None:
    """Say what has to be run to change the number of nodes; with --yes run it.

    The planner refuses unsafe numbers before anything is touched. After nodes were taken away, run
    `redis-ha doctor`: sentinels remember them until a SENTINEL RESET.

    \b
    Examples:
      redis-ha scale --replicas 3
      redis-ha scale --replicas 3 --stack dev --yes
    """
    if replicas is None and sentinels is None:
        raise click.UsageError("Say how many: --replicas N or --sentinels N.")
    if sentinels is not None and sentinels % 2 == 0:
        raise click.UsageError(
            f"{sentinels} sentinels survive no more losses than {sentinels - 1}: an odd number."
        )
    commands = steps(replicas, sentinels, stack=stack)
    if as_json:
        output.print_json({"commands": commands, "run": yes})
    else:
        for step in commands:
            click.echo(shlex.join(step))
    if yes:
        _run(commands, stack=stack)
    else:
        click.echo("nothing was run: give --yes, or run these yourself", err=True)


def steps(replicas: int | None, sentinels: int | None, *, stack: str) -> list[list[str]]:
    """Return the command lines, in their order. A quorum that isn't set would stay too small."""
    settings = {"replicas": replicas, "sentinels": sentinels}
    if sentinels is not None:
        settings["quorum"] = sentinels // 2 + 1
    chosen = [
        ["pulumi", "config", "set", "--stack", stack, name, str(value)]
        for name, value in settings.items()
        if value is not None
    ]
    return [*chosen, ["pulumi", "up", "--stack", stack, "--yes"]]


def _run(commands: list[list[str]], *, stack: str) -> None:
    if shutil.which("pulumi") is None:
        raise StackUnavailable(
            operation="scale the cluster of stack",
            subject=stack,
            cause="there is no pulumi command on the PATH",
            hint="run `source .redis-ha/env` after `make up`, or the commands above elsewhere",
        )
    for step in commands:
        # Its own output is the user's; with --json that belongs to standard error.
        done = subprocess.run(step, check=False, stdout=2)
        if done.returncode:
            raise StackUnavailable(
                operation="scale the cluster of stack",
                subject=stack,
                cause=f"`{shlex.join(step)}` failed",
                hint="see what it printed above",
            )
