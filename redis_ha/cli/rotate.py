"""`redis-ha rotate`: new passwords, certificates, CA or backup keys, while clients go on."""

import os
import sys
from typing import Any, cast

import click

from redis_ha.applied import wait_until_applied
from redis_ha.cli import output, stack_change
from redis_ha.cli.cluster import json_option
from redis_ha.rotation import SETTINGS, Kind, Step, to_do, waiting_for
from redis_ha.stack import read_outputs, site_of

OPERATION = "rotate the secrets of stack"


@click.command("rotate", short_help="Rotate passwords, certificates, the CA or the backup keys.")
@click.argument("kind", type=click.Choice(list(SETTINGS)))
@click.option("--stack", metavar="NAME", default="dev", show_default=True,
              help="The Pulumi stack whose secrets they are.")  # fmt: skip
@click.option("--finish", is_flag=True,
              help="What must be done outside is done: go on to the end.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Only say the steps.")
@click.option("--yes", is_flag=True, help="Don't ask.")
@json_option
def command(
    kind: str, *, stack: str, finish: bool, dry_run: bool, yes: bool, as_json: bool
) -> None:
    """Rotate in steps, each a `pulumi up` of the stack; no client is refused in between.

    The new is accepted before it is used, and the old until you say that nobody uses it any more:
    the command stops there, tells what to do, and goes on with --finish. One that was interrupted
    is run again.

    \b
    Examples:
      redis-ha rotate users --stack dev
      redis-ha rotate users --stack dev --finish
      redis-ha rotate certs --dry-run
    """
    chosen = cast("Kind", kind)
    now = stack_change.setting_of(stack, SETTINGS[chosen], default="1")
    deployed = str(read_outputs(stack).get("generations", {}).get(kind, "1"))
    todo = to_do(chosen, now, deployed=deployed, finish=finish)
    if not as_json or not yes:
        _say(chosen, todo, err=as_json)
    if todo and not dry_run:
        if not yes:
            _ask()
        for step in todo:
            _take(chosen, step, stack=stack)
        now = todo[-1].value
    pending = waiting_for(chosen, now)
    if as_json:
        output.print_json(_described(chosen, now, todo, pending))
    elif pending and not dry_run:
        click.echo(f"then: {pending}; then `redis-ha rotate {kind} --stack {stack} --finish`")


def _ask() -> None:
    if sys.stdin is None or not sys.stdin.isatty():
        raise click.UsageError("Nobody is there to confirm: give --yes.")
    click.confirm("Go on?", abort=True, err=True)


def _take(kind: Kind, step: Step, *, stack: str) -> None:
    """Take one step, and wait until every node has taken it."""
    click.echo(f"{SETTINGS[kind]} {step.value}: {step.does}", err=True)
    setting = stack_change.set_setting(stack, SETTINGS[kind], step.value)
    stack_change.perform([setting, stack_change.up(stack)], operation=OPERATION, stack=stack)
    outputs = read_outputs(stack)
    wait_until_applied(site_of(stack, outputs, os.environ), outputs.get("files", {}))


def _say(kind: Kind, todo: list[Step], *, err: bool) -> None:
    if not todo:
        click.echo(f"{kind}: nothing to do", err=err)
    for step in todo:
        click.echo(f"{SETTINGS[kind]} {step.value}: {step.does}", err=err)
        if step.gate:
            click.echo(f"  you say that this is done: {step.gate}", err=err)


def _described(kind: Kind, now: str, todo: list[Step], pending: str) -> dict[str, Any]:
    steps = [{"value": step.value, "does": step.does} for step in todo]
    return {"kind": kind, "setting": SETTINGS[kind], "value": now, "steps": steps, "then": pending}
