"""`redis-ha failover-test`: hurt the cluster on purpose and see what it costs."""

import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import click

from redis_ha.cli import output
from redis_ha.cli.cluster import json_option, stack_option, the_site
from redis_ha.cli.seconds import Seconds
from redis_ha.failover_test.campaign import (
    Campaign,
    chosen,
    circumstances,
    clean_up,
    conduct,
    refuse_production,
)
from redis_ha.failover_test.clients import DESCRIPTIONS, KINDS
from redis_ha.failover_test.docker_hands import DockerHands
from redis_ha.failover_test.journal import journal_path
from redis_ha.failover_test.outcome import Outcome
from redis_ha.failover_test.records import Fault
from redis_ha.failover_test.report import Circumstances, render
from redis_ha.failover_test.run import Options
from redis_ha.failover_test.summary import client_rows, document, fault_rows
from redis_ha.site import Site
from redis_ha.upkeep.failover_tests import deeds_of
from redis_ha.upkeep.identity import ask_identity
from redis_ha.upkeep.record import note, read_record, record_path

_FAULTS = (
    *("crash", "crash-unseen", "hang", "partition", "asymmetric-partition"),
    *("switchover", "all"),
)
_HEADERS = (
    *("fault", "client", "runs", "outage (middle)", "worst", "allowed"),
    *("acknowledged", "lost", "verdict"),
)
_DONE = {
    "crash": "the master is killed",
    "crash-unseen": "the master is killed while the witnesses stand by",
    "hang": "the master is frozen, later woken",
    "partition": "the master is cut off from everybody, later connected again",
    "asymmetric-partition": "the master can't answer the sentinels for a while",
    "switchover": "the mastership is handed over",
    "plain": "plain SENTINEL FAILOVER, which loses writes",
}


def _in_a_folder(
    _context: click.Context, _parameter: click.Parameter, report: Path | None
) -> Path | None:
    """Refuse before anything is hurt what click looks at only where the file is there already."""
    if report is None or report.exists():
        return report
    if not report.parent.is_dir() or not os.access(report.parent, os.W_OK | os.X_OK):
        raise click.BadParameter(f"{report.parent} is no folder that can be written to.")
    return report


@click.command("failover-test", short_help="Hurt the cluster on purpose, prove what it costs.")
@click.option(
    "--fault",
    "faults",
    multiple=True,
    type=click.Choice(_FAULTS),
    default=("crash",),
    show_default=True,
    help="What happens to the master; may be given several times.",
)
@click.option(
    "--repeat", metavar="N", type=click.IntRange(1, 100), default=1, show_default=True,
    help="How often each fault.",
)  # fmt: skip
@click.option(
    "--compare", is_flag=True,
    help="Beside a crash one without witnesses, beside a switchover a plain SENTINEL FAILOVER.",
)  # fmt: skip
@click.option(
    "--report", metavar="FILE", type=click.Path(dir_okay=False, writable=True, path_type=Path),
    callback=_in_a_folder, help="Write an HTML page with pictures.",
)  # fmt: skip
@click.option(
    "--duration", metavar="SECONDS", type=Seconds(1, 600), default=3.0, show_default=True,
    help="For how long clients work before the fault, and after it.",
)  # fmt: skip
@click.option(
    "--writers", metavar="N", type=click.IntRange(1, 50), default=2, show_default=True,
    help="Writers of each kind of client.",
)  # fmt: skip
@click.option(
    "--rate", metavar="N", type=click.IntRange(10, 5000), default=250, show_default=True,
    help="Writes a second of each writer, at most.",
)  # fmt: skip
@click.option(
    "--client", "kinds", multiple=True, type=click.Choice(KINDS),
    help="Only this kind of client; may be given several times.",
)  # fmt: skip
@click.option("--yes", "-y", is_flag=True, help="Don't ask.")
@click.option("--yes-production", is_flag=True, help="Even when it is marked production.")
@stack_option
@json_option
def command(  # noqa: PLR0913 - one argument for each option
    *,
    faults: tuple[str, ...],
    repeat: int,
    compare: bool,
    report: Path | None,
    duration: float,
    writers: int,
    rate: int,
    kinds: tuple[str, ...],
    yes: bool,
    yes_production: bool,
    stack: str | None,
    as_json: bool,
) -> None:
    """Let clients write and read, hurt the master, and count what it cost them.

    Three kinds of client work side by side, each write kept in a ledger: our own client and
    redis-py's Sentinel with and without its retries. Then: how long each could not write, which
    acknowledged writes are gone, which reads were stale, whether two nodes took writes at once,
    and whether that is within what the settings allow. Passed is exit code 0, failed 1.

    How each fault ended is kept in the record of `redis-ha maintenance`, for `redis-ha checklist`;
    one that breaks off has failed. What was found until then is shown all the same.
    The cluster is left as it was: what was hurt is healed on every way out, and if this command
    is killed by the next one. Applications notice the faults. Needs the Docker engine of the
    nodes (switchover: does not).

    \b
    Examples:
      redis-ha failover-test --fault crash
      redis-ha failover-test --fault crash --compare --repeat 5 --report report.html
      redis-ha failover-test --fault all --repeat 5 --report report.html --yes
      redis-ha failover-test --fault switchover --compare --repeat 3
    """
    site = the_site(stack)
    if not yes_production:
        refuse_production(stack, site.settings)
    todo = chosen(faults, compare=compare)
    if not yes:
        _ask(site, todo, repeat)
    options = Options(kinds or KINDS, writers=writers, pace=1 / rate, seconds=duration)
    outcome = Outcome()
    _hurt(
        Campaign(site, todo, repeat, options), outcome, stack=stack, report=report, as_json=as_json
    )
    raise click.exceptions.Exit(0 if outcome.passed else 1)


def _hurt(
    campaign: Campaign, outcome: Outcome, *, stack: str | None, report: Path | None, as_json: bool
) -> None:
    """Find out all that may be in the way; then carry it out, and tell and note what it came to."""
    site, hands, home = campaign.site, DockerHands(), Path.home()
    record = record_path(site.operator, os.environ, home=home)
    # Nothing is hurt for a result that could not be noted, or of a cluster that can't be described.
    read_record(record)
    journal = journal_path(site.operator, os.environ, home=home)
    clean_up(site, hands, journal, say=_say)
    about, cluster = circumstances(site, stack), ask_identity(site.operator)
    with ExitStack() as ends:
        # The last first, and each whatever became of the others and of the campaign.
        ends.callback(_tell, outcome, about, report, as_json=as_json)
        ends.callback(_leave, outcome, about, report, record=record, cluster=cluster)
        conduct(campaign, hands, journal, outcome=outcome, say=_say)


def _leave(
    outcome: Outcome,
    about: Circumstances,
    report: Path | None,
    *,
    record: Path,
    cluster: tuple[str, ...],
) -> None:
    """Note how each fault ended, with the hash of the page if that could be written."""
    page: Path | None = None
    try:
        if report is not None and outcome.runs:
            text = render(outcome.runs, about, stopped=outcome.stopped)
            report.write_text(text, encoding="utf-8")
            page = report
    finally:
        note(record, *deeds_of(outcome, now=datetime.now(UTC), report=page, cluster=cluster))


def _tell(outcome: Outcome, about: Circumstances, report: Path | None, *, as_json: bool) -> None:
    if outcome.stopped and not outcome.runs:
        return
    if as_json:
        output.print_json(document(outcome.runs, about.settings, stopped=outcome.stopped))
    else:
        _show(outcome, report)


def _ask(site: Site, faults: Sequence[Fault], repeat: int) -> None:
    if sys.stdin is None or not sys.stdin.isatty():
        raise click.UsageError("Nobody is there to confirm: give --yes.")
    click.echo(
        f"The cluster {site.operator.master_name} will be hurt, {repeat} times each:", err=True
    )
    for fault in faults:
        click.echo(f"  {fault}: {_DONE[fault]}", err=True)
    click.confirm("Its applications will notice. Go on?", abort=True, err=True)


def _say(text: str) -> None:
    click.echo(text, err=True)


def _show(outcome: Outcome, report: Path | None) -> None:
    runs = outcome.runs
    rows = [
        (
            *(row.fault, row.kind, str(row.runs), _s(row.outage_middle), _s(row.outage_worst)),
            *(_s(row.outage_limit), str(row.acknowledged), str(row.lost)),
            "passed" if row.passed else "failed",
        )
        for row in client_rows(runs)
    ]
    output.print_table(_HEADERS, rows, styles={"passed": "green", "failed": "bold red"})
    if not output.on_terminal():
        return
    click.echo()
    for fault in fault_rows(runs):
        click.echo(
            f"{fault.fault}: {fault.passed} of {fault.runs} passed; two writable masters at worst "
            f"{_s(fault.overlap_worst)}, allowed {_s(fault.overlap_limit)}"
        )
    for kind, text in DESCRIPTIONS.items():
        click.echo(f"{kind}: {text}")
    if report is not None and runs:
        click.echo(f"the report: {report}")


def _s(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.2f} s"
