"""`redis-ha rotate`: new passwords, certificates, CA or backup keys, while clients go on."""

import os
import sys
from typing import Any, cast

import click

from redis_ha.backup_report import ask_snapshots
from redis_ha.cli import output, stack_change
from redis_ha.cli.cluster import json_option
from redis_ha.errors import ChangeRefused
from redis_ha.rotation import (
    SETTINGS,
    Kind,
    Step,
    drops_backup_key,
    to_do,
    waiting_for,
    why_keep,
)
from redis_ha.stack import read_outputs, site_of

OPERATION = "rotate the secrets of stack"
# What the program refuses without: the recipients whose identity may go.
_ALLOWANCE = "allowBackupKeyLoss"


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
    is run again. The old backup key only goes once a snapshot is proven that the new one opens.

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
    commands = [
        stack_change.set_setting(stack, SETTINGS[kind], step.value),
        stack_change.up(stack),
    ]
    if drops_backup_key(kind, step):
        allowed = stack_change.set_setting(stack, _ALLOWANCE, _to_lose(stack, step))
        commands = [allowed, *commands, stack_change.remove_setting(stack, _ALLOWANCE)]
    stack_change.perform(commands, operation=OPERATION, stack=stack)
    stack_change.wait_for_nodes(stack)


def _to_lose(stack: str, step: Step) -> str:
    """Name the recipients whose identity goes; raises ChangeRefused while it is needed."""
    outputs = read_outputs(stack)
    recipients = outputs.get("backupRecipients", [])
    settings = site_of(stack, outputs, os.environ).settings
    cause = why_keep(ask_snapshots(settings, os.environ, in_bucket=True), recipients)
    if cause:
        raise ChangeRefused(
            operation="drop the old backup key of stack",
            subject=stack,
            cause=cause,
            hint="take one (`backup-worker snapshot`) or wait for its proof (`backup-worker "
            "status`), then run this again; the old identity is kept until then",
        )
    kept = outputs.get("backupKeys", {})
    return ",".join([kept[n] for n in kept if n != step.value] or recipients)


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
