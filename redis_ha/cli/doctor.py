"""`redis-ha doctor`: what is wrong, and what to do about it."""

import click

from redis_ha.cli import output
from redis_ha.cli.cluster import json_option, stack_option, the_site
from redis_ha.diagnosis import diagnose
from redis_ha.findings import State, worst
from redis_ha.surveying import take_survey


@click.command("doctor", short_help="Find what is wrong and say what to do.")
@click.option("--all", "show_all", is_flag=True, help="Show the checks that passed, too.")
@stack_option
@json_option
def command(stack: str | None, show_all: bool, as_json: bool) -> None:
    """Check for the known troubles and say what to do about each.

    Two masters, sentinels that disagree, entries of dead nodes, rights that peers lack, denials in
    ACL LOG, unreachable ports, clocks, certificates, memory, connections, replication buffers,
    persistence, latency, settings that make a failover slow or unsafe. Nothing is changed. Exit
    code 0 when all is well, 1 when there is something to do; 6 when no sentinel answers and the
    settings name no data node (REDIS_NODE_*) to look at.

    \b
    Examples:
      redis-ha doctor
      redis-ha doctor --all --stack dev
      redis-ha doctor --json | jq '.findings[] | select(.state != "ok")'
    """
    survey = take_survey(the_site(stack), rights=True, certificates=True, witnesses=True)
    findings = diagnose(survey)
    troubles = [finding for finding in findings if finding.state > State.UNKNOWN]
    if as_json:
        output.print_json({"healthy": not troubles, "findings": [f.described() for f in findings]})
    else:
        shown = findings if show_all or not output.on_terminal() else troubles
        if shown:
            output.print_findings(shown)
        passed = len({f.check for f in findings} - {f.check for f in troubles})
        click.echo(f"{len(troubles)} troubles, {passed} checks passed", err=True)
    raise click.exceptions.Exit(1 if worst(findings) > State.UNKNOWN else 0)
