"""`redis-ha plan`: what each fault is predicted to cost."""

import click

from redis_ha.cli import output
from redis_ha.cli.cluster import json_option, stack_option, the_site
from redis_ha.locating import nobody_answers
from redis_ha.prediction import predict
from redis_ha.surveying import take_survey


@click.command("plan", short_help="Say what each fault will cost: outage and loss.")
@stack_option
@json_option
def command(stack: str | None, as_json: bool) -> None:
    """Say for each fault the predicted outage and loss.

    With --stack the planner's own prediction, else one from the settings that are live.

    \b
    Examples:
      redis-ha plan --stack dev
      redis-ha plan --json | jq -r '.faults[] | select(.fault == "crash").outage'
    """
    site = the_site(stack)
    if site.plan is not None:
        source, faults = "the stack's planner", list(site.plan["faults"])
    else:
        survey = take_survey(site)
        source, faults = "the live settings", predict(survey)
        if not faults:
            raise nobody_answers(site, [sentinel.view for sentinel in survey.sentinels])
    if as_json:
        output.print_json({"source": source, "faults": faults})
        return
    rows = [(f["fault"], f["outage"], f["loss"], f["basis"]) for f in faults]
    output.print_table(("FAULT", "OUTAGE", "LOSS OF ACKNOWLEDGED WRITES", "BASIS"), rows)
    click.echo(f"predicted from {source}", err=True)
