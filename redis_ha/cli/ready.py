"""`redis-ha ready`: would a failover work now?"""

import click

from redis_ha.cli import output
from redis_ha.cli.cluster import json_option, stack_option, the_site
from redis_ha.locating import nobody_answers
from redis_ha.readiness import is_ready, judge_readiness
from redis_ha.surveying import take_survey
from redis_ha.witnessing import witnesses_described


@click.command("ready", short_help="Say whether a failover would work now, and if not why.")
@stack_option
@json_option
def command(stack: str | None, as_json: bool) -> None:
    """Say whether an automatic failover would work now.

    Checks what SENTINEL CKQUORUM does not: that the sentinels agree, know and reach each other and
    may vote, that a replica is near enough to be promoted, that no dead entry is counted, and by a
    dry run that the ACL users of sentinels and nodes have the right password and rights on each
    other. Witnesses that would not see a crash are a warning: a failover works without them, only
    later. Nothing is changed. Exit code 0 for yes, 1 for no, 6 when no sentinel answers.

    \b
    Examples:
      redis-ha ready
      redis-ha ready --json | jq '.checks[] | select(.state == "bad")'
    """
    site = the_site(stack)
    survey = take_survey(site, rights=True, witnesses=True)
    if not survey.answering:
        raise nobody_answers(site, [sentinel.view for sentinel in survey.sentinels])
    findings = judge_readiness(survey)
    ready = is_ready(findings)
    if as_json:
        checks = [finding.described() for finding in findings]
        witnesses = witnesses_described(survey)
        output.print_json({"ready": ready, "checks": checks, "witnesses": witnesses})
    else:
        output.print_findings(findings)
        text = "yes, a failover would work now" if ready else "no, a failover would not work now"
        if output.on_terminal():
            output.print_lines([[], [(text, "bold green" if ready else "bold red")]])
        else:
            click.echo(text)
    raise click.exceptions.Exit(0 if ready else 1)
