"""`redis-ha upgrade`: another engine, node by node, with a proven snapshot as the way back."""

import os
import sys
from typing import Any

import click

from redis_ha.backup_report import Snapshot, ask_snapshots, take_snapshot
from redis_ha.cli import output, stack_change
from redis_ha.cli.cluster import json_option
from redis_ha.discovery import ask_sentinels, majority_master
from redis_ha.errors import ChangeRefused
from redis_ha.running import engines_of
from redis_ha.site import Site
from redis_ha.stack import read_outputs, site_of
from redis_ha.upgrade import (
    DOCUMENTED,
    ENGINES,
    SETTING,
    Seen,
    Step,
    loadable,
    obstacle,
    steps,
    successor,
    unfit,
    way_back,
)

OPERATION = "upgrade the engine of stack"


@click.command("upgrade", short_help="Change to a newer engine, with a way back.")
@click.argument("engine", type=click.Choice(list(ENGINES)))
@click.option("--stack", metavar="NAME", default="dev", show_default=True,
              help="The Pulumi stack whose engine it is.")  # fmt: skip
@click.option("--without-backup", is_flag=True,
              help="Take no snapshot first; you are asked to type the engine.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Only say the steps.")
@click.option("--yes", is_flag=True, help="Don't ask.")
@json_option
def command(
    engine: str, *, stack: str, without_backup: bool, dry_run: bool, yes: bool, as_json: bool
) -> None:
    """Upgrade every node to ENGINE, one at a time; the master hands over, nothing is lost.

    First the planner is asked, and the backup worker takes a snapshot and proves it: an older
    engine doesn't load a newer one's files, so that this snapshot is the way back. Without it
    nothing is touched (exit code 7). One that was interrupted is run again.

    \b
    Examples:
      redis-ha upgrade redis-8 --dry-run
      redis-ha upgrade valkey-8 --stack dev
    """
    outputs = read_outputs(stack)
    site = site_of(stack, outputs, os.environ)
    seen = _look(site, outputs, stack=stack)
    _require_possible(engine, seen, stack=stack)
    todo = steps(engine, seen, backup=not without_backup)
    if not as_json or not yes:
        _say(engine, todo, err=as_json)
    snapshot = None
    if todo and not dry_run:
        _ask(engine, yes=yes, without_backup=without_backup)
        stack_change.judge(stack, {SETTING: engine}, operation=OPERATION)
        if not without_backup:
            snapshot = _the_way_back(site, seen, stack=stack)
        if not seen.begun:
            _hand_over(site, stack=stack)
        _take(engine, stack=stack)
    _report(engine, seen, todo, snapshot, ran=bool(todo) and not dry_run, as_json=as_json)


def _look(site: Site, outputs: dict[str, Any], *, stack: str) -> Seen:
    deployed = str((outputs.get("plan") or {}).get(SETTING, ""))
    wanted = stack_change.setting_of(stack, SETTING, default=deployed)
    return Seen(wanted, deployed, engines_of(site))


def _require_possible(engine: str, seen: Seen, *, stack: str) -> None:
    if cause := obstacle(engine, seen):
        raise ChangeRefused(
            operation=OPERATION,
            subject=stack,
            cause=cause,
            hint=f"nothing was changed; with a snapshot ID that it wrote: {way_back(engine)}",
        )


def _ask(engine: str, *, yes: bool, without_backup: bool) -> None:
    if yes and not without_backup:
        return
    if sys.stdin is None or not sys.stdin.isatty():
        hint = "--without-backup wants it typed" if without_backup else "give --yes"
        raise click.UsageError(f"Nobody is there to confirm: {hint}.")
    if not without_backup:
        click.confirm("Go on?", abort=True, err=True)
    elif click.prompt(f"There will be no way back. Type {engine} to go on", err=True) != engine:
        raise click.Abort


def _the_way_back(site: Site, seen: Seen, *, stack: str) -> Snapshot:
    """Have a proven snapshot of the old engine's; raises ChangeRefused where there is none.

    Once a node runs the new one, a new snapshot may be its: one of before counts then.
    """
    found: Snapshot | str | None
    if seen.begun:
        listed = ask_snapshots(site.settings, os.environ)
        found = listed if isinstance(listed, str) else loadable(listed, by=seen.deployed)
    else:
        click.echo("the worker takes a snapshot and proves it", err=True)
        found = take_snapshot(site.settings, os.environ)
    cause = found if isinstance(found, str) else "there is no proven snapshot of before"
    if isinstance(found, Snapshot):
        cause = unfit(found, engine=seen.deployed)
    if cause or not isinstance(found, Snapshot):
        raise ChangeRefused(
            operation=OPERATION,
            subject=stack,
            cause=f"there would be no way back: {cause}",
            hint="nothing was changed; see `backup-worker status`, or do --without-backup",
        )
    click.echo(f"the snapshot {found.id} is proven", err=True)
    return found


def _hand_over(site: Site, *, stack: str) -> None:
    master = majority_master(ask_sentinels(site.operator))
    if master is None:
        raise ChangeRefused(
            operation=OPERATION,
            subject=stack,
            cause="no majority of the sentinels answers and names one master",
            hint="nothing was changed: see `redis-ha ready`, then run this again",
        )
    chosen = successor(site.data_nodes, master=master)
    if chosen is None:
        return
    click.echo(f"{chosen.name} is changed last and becomes master", err=True)
    stack_change.hand_over(chosen.name, operation=OPERATION, stack=stack)


def _take(engine: str, *, stack: str) -> None:
    """Set it, have every node changed, and wait until each has applied all of it."""
    setting = stack_change.set_setting(stack, SETTING, engine)
    stack_change.perform([setting, stack_change.up(stack)], operation=OPERATION, stack=stack)
    stack_change.wait_for_nodes(stack)


def _say(engine: str, todo: list[Step], *, err: bool) -> None:
    if not todo:
        click.echo(f"{engine}: nothing to do", err=err)
    for step in todo:
        click.echo(f"{step.name}: {step.does}", err=err)


def _report(
    engine: str,
    seen: Seen,
    todo: list[Step],
    snapshot: Snapshot | None,
    *,
    ran: bool,
    as_json: bool,
) -> None:
    back = way_back(seen.deployed, snapshot.id) if snapshot else ""
    if as_json:
        described = [{"step": step.name, "does": step.does} for step in todo]
        kept = snapshot.id if snapshot else None
        known = {"engine": engine, "from": seen.deployed, "steps": described, "run": ran}
        output.print_json({**known, "snapshot": kept, "way_back": back})
    elif ran:
        click.echo(f"the way back to {seen.deployed}: {back}" if back else f"see {DOCUMENTED}")
