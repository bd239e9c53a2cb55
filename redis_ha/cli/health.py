"""`redis-ha health`: the four levels, each with its reason."""

import click

from redis_ha import containers
from redis_ha.cli import output
from redis_ha.cli.cluster import json_option, stack_option, the_site
from redis_ha.findings import Finding
from redis_ha.health import judge_health, overall
from redis_ha.round_trip import write_and_read
from redis_ha.site import Site
from redis_ha.survey import Survey
from redis_ha.surveying import take_survey
from redis_ha.witnessing import witnesses_described

_EXIT = {"healthy": 0, "degraded": 1, "down": 2}
_STYLE = {"healthy": "bold green", "degraded": "bold yellow", "down": "bold red"}


@click.command("health", short_help="Check container, sentinel, replication and application.")
@stack_option
@json_option
def command(stack: str | None, as_json: bool) -> None:
    """Check the four levels: container, sentinel, replication, application.

    The last is a real one: find the master by Sentinel, write a key as user app, read it back.
    Exit code 0 healthy, 1 degraded (it works, with less to spare), 2 down; 6 when no sentinel
    answers and the settings name no data node (REDIS_NODE_*) to look at.

    \b
    Examples:
      redis-ha health
      redis-ha health --stack dev --json | jq -r .health
    """
    survey, findings = check(the_site(stack))
    health = overall(findings)
    if as_json:
        levels = [finding.described() for finding in findings]
        witnesses = witnesses_described(survey)
        output.print_json({"health": health, "levels": levels, "witnesses": witnesses})
    else:
        output.print_findings(findings)
        if output.on_terminal():
            output.print_lines([[], [(health, _STYLE[health])]])
        else:
            click.echo(health)
    raise click.exceptions.Exit(_EXIT[health])


def check(site: Site, *, witnesses: bool = True) -> tuple[Survey, tuple[Finding, ...]]:
    """Ask all and judge; takes a few timeouts at most."""
    names = [m.container for m in (*site.data_nodes, *site.sentinels) if m.container]
    trip = write_and_read(site.app, name=site.name_of)
    survey = take_survey(site, witnesses=witnesses)
    return survey, judge_health(survey, containers.inspect(names), trip)
