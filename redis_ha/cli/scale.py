"""`redis-ha scale`: change the number of replicas or sentinels, by the stack."""

import os
import shlex
from collections.abc import Mapping

import click

from redis_ha.applied import wait_until_applied
from redis_ha.cli import output, stack_change
from redis_ha.cli.cluster import json_option
from redis_ha.discovery import ask_nodes, ask_sentinels, majority_master
from redis_ha.errors import SwitchoverRefused
from redis_ha.scaling import obstacle, staying, successor, wait_until_forgotten
from redis_ha.site import Member, Site
from redis_ha.stack import read_outputs, site_of

OPERATION = "scale the cluster of stack"


@click.command("scale", short_help="Change the number of replicas or sentinels.")
@click.argument("number", metavar="[REPLICAS]", required=False, type=click.IntRange(1, 8))
@click.option("--replicas", type=click.IntRange(1, 8), help="Replicas beside the master.")
@click.option("--sentinels", type=click.IntRange(3, 9), help="Sentinels; an odd number.")
@click.option("--stack", metavar="NAME", default="dev", show_default=True,
              help="The Pulumi stack whose cluster it is.")  # fmt: skip
@click.option("--yes", is_flag=True, help="Run it, not only say it.")
@json_option
def command(
    number: int | None,
    replicas: int | None,
    sentinels: int | None,
    *,
    stack: str,
    yes: bool,
    as_json: bool,
) -> None:
    """Say what has to be run to change the number of nodes; with --yes run it.

    The planner refuses unsafe numbers before anything is touched: exit code 7, and the settings are
    as before. The nodes with the highest numbers leave; a master among them hands over first,
    without a lost write, to one that stays. The sentinels then forget who left, one after the
    other, and none of them is blind meanwhile.

    \b
    Examples:
      redis-ha scale 3
      redis-ha scale --sentinels 5 --stack dev --yes
    """
    if number is not None and replicas is not None:
        raise click.UsageError("Say once how many replicas: as REPLICAS or by --replicas N.")
    if replicas is None:
        replicas = number
    if replicas is None and sentinels is None:
        raise click.UsageError("Say how many: --replicas N or --sentinels N.")
    if sentinels is not None and sentinels % 2 == 0:
        raise click.UsageError(
            f"{sentinels} sentinels survive no more losses than {sentinels - 1}: an odd number."
        )
    settings = settings_for(replicas, sentinels)
    commands = steps(settings, stack=stack)
    if as_json:
        output.print_json({"commands": commands, "run": yes})
    else:
        for step in commands:
            click.echo(shlex.join(step))
    if yes:
        _run(settings, replicas, stack=stack)
    else:
        click.echo("nothing was run: give --yes, or run these yourself", err=True)


def settings_for(replicas: int | None, sentinels: int | None) -> dict[str, str]:
    """Return what to set, in its order. A quorum that isn't set would stay too small."""
    settings = {"replicas": replicas, "sentinels": sentinels}
    if sentinels is not None:
        settings["quorum"] = sentinels // 2 + 1
    return {name: str(value) for name, value in settings.items() if value is not None}


def steps(settings: Mapping[str, str], *, stack: str) -> list[list[str]]:
    """Return the command lines, in their order."""
    chosen = [stack_change.set_setting(stack, name, value) for name, value in settings.items()]
    return [*chosen, stack_change.preview(stack), stack_change.up(stack)]


def _run(settings: Mapping[str, str], replicas: int | None, *, stack: str) -> None:
    before = read_outputs(stack)
    there = site_of(stack, before, os.environ) if before else None
    if there is not None:
        _heir(there, replicas, stack=stack)
    with stack_change.proposed(stack, settings, operation=OPERATION):
        if there is not None:
            _leave_the_mastership(there, replicas, stack=stack)
    stack_change.perform([stack_change.up(stack)], operation=OPERATION, stack=stack)
    after = read_outputs(stack)
    site = site_of(stack, after, os.environ)
    wait_until_applied(site, after.get("files", {}))
    lost = [] if there is None else _lost(there, site)
    if lost:
        click.echo(f"waiting until the sentinels forget {', '.join(map(str, lost))}", err=True)
        wait_until_forgotten(site, lost)


def _leave_the_mastership(site: Site, replicas: int | None, *, stack: str) -> None:
    """Have a master that leaves hand over to one that stays; it would else choose among all."""
    chosen = _heir(site, replicas, stack=stack)
    if chosen is None:
        return
    click.echo(f"the master leaves: {chosen.name} becomes master first", err=True)
    stack_change.hand_over(chosen.name, operation=OPERATION, stack=stack)


def _heir(site: Site, replicas: int | None, *, stack: str) -> Member | None:
    """Say who becomes master first; None where the master stays, or nobody leaves.

    Raises SwitchoverRefused when the data would leave with it.
    """
    remaining = site.data_nodes if replicas is None else staying(site, replicas=replicas)
    if len(remaining) == len(site.data_nodes):
        return None
    master = majority_master(ask_sentinels(site.operator))
    views = ask_nodes(site.operator, [member.address for member in site.data_nodes])
    cause = obstacle(remaining, views, master=master)
    if master is None or cause:
        raise SwitchoverRefused(
            operation=OPERATION,
            subject=stack,
            cause=cause,
            hint="nothing was changed: bring them back (`redis-ha status`), then scale again",
        )
    return successor(remaining, views, master=master)


def _lost(before: Site, after: Site) -> list[Member]:
    kept = {member.address for member in (*after.data_nodes, *after.sentinels)}
    return [m for m in (*before.data_nodes, *before.sentinels) if m.address not in kept]
