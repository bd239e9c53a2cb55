"""`redis-ha failover`: hand the mastership to a replica, without loss or by force."""

import sys
import time
from dataclasses import dataclass
from typing import Any

import click

from redis_ha.cli import output
from redis_ha.cli.cluster import json_option, stack_option, the_site
from redis_ha.connection import Address
from redis_ha.discovery import ask_node, ask_sentinels, majority_master
from redis_ha.errors import RedisHaError, SwitchoverRefused
from redis_ha.findings import Finding, State
from redis_ha.forced_failover import force_failover
from redis_ha.locating import nobody_answers
from redis_ha.preference import preferred
from redis_ha.readiness import judge_readiness, promotable
from redis_ha.site import Member, Site
from redis_ha.survey import Survey
from redis_ha.surveying import take_survey
from redis_ha.switchover import OldMaster, Switchover, switch_over
from redis_ha.switchover_guard import Guard, guarded

# A sentinel that leads a failover is done a few seconds after the promotion.
_SETTLE_SECONDS = 6.0
# The other sentinels hear of it from the one that led, at its next hello two seconds later.
_AGREE_SECONDS = 10.0
# Half of it is for what passes by itself: a sentinel asks each replica for its role every 10 s.
_DEADLINE_SECONDS = 24.0


@dataclass(frozen=True)
class Outcome:
    """What was done; `gap` is for how long (s) no node took writes, None when not measured.

    `old` None: before a forced failover nobody knew who was master. `agreed` when every sentinel
    that answers names the new one in the end, and that still says it is master.
    """

    old: str | None
    new: str
    wanted: str | None
    lossless: bool
    seconds: float
    gap: float | None = None
    agreed: bool = True

    @property
    def as_wanted(self) -> bool:
        return self.wanted in (None, self.new)


@click.command("failover", short_help="Hand the mastership over without losing a write.")
@click.option("--to", "to", metavar="NODE", help="The replica to promote: redis-2 or host:port.")
@click.option("--force", is_flag=True, help="Plain SENTINEL FAILOVER: writes may be lost.")
@click.option("--yes", is_flag=True, help="Don't ask.")
@click.option("--dry-run", is_flag=True, help="Say what would be done and what is in the way.")
@stack_option
@json_option
def command(
    to: str | None, *, force: bool, yes: bool, dry_run: bool, stack: str | None, as_json: bool
) -> None:
    """Hand the mastership to a replica without losing an acknowledged write.

    Writes are paused, the replicas catch up to the last byte, one is promoted, the old master
    becomes its replica: about a second without writes, ten seconds more beforehand with --to.
    Killed in the middle, a guard process ends it in order. Refuses (exit code 7) when it could
    not be safe and says why. --force takes the way of a crash: until a witness fences it, the old
    master still takes writes that are thrown away.

    \b
    Examples:
      redis-ha failover --dry-run
      redis-ha failover --to redis-2 --yes
      redis-ha failover --force
    """
    if force and to is not None:
        raise click.UsageError("--to needs the lossless way: leave --force out.")
    site = the_site(stack)
    wanted = site.data_node(to) if to is not None else None
    survey = take_survey(site, rights=True)
    if not survey.answering:
        raise nobody_answers(site, [sentinel.view for sentinel in survey.sentinels])
    if dry_run:
        _say_what_would_happen(survey, wanted, force=force, as_json=as_json)
        return
    if not force:
        survey = _refuse_if_hopeless(site, survey, wanted)
    if not yes:
        _ask(survey, wanted, force=force)
    _show(_force(site, survey) if force else _hand_over(site, survey, wanted), as_json=as_json)


def _refuse_if_hopeless(site: Site, survey: Survey, wanted: Member | None) -> Survey:
    """Return the survey once nothing stands in the way; a failover may just be ending."""
    until = time.monotonic() + _SETTLE_SECONDS
    while text := hopeless(survey, wanted):
        already = wanted is not None and wanted.address == survey.master
        if already or time.monotonic() >= until:
            raise SwitchoverRefused(
                operation="switch over",
                subject=site.operator.master_name,
                cause=text,
                hint="nothing was changed; see `redis-ha ready` and `redis-ha status`",
            )
        time.sleep(0.5)
        survey = take_survey(site, rights=True)
    return survey


def hopeless(survey: Survey, wanted: Member | None) -> str:
    """Say what would make a promotion fail or be unsafe; empty when nothing is seen. Pure."""
    if survey.master is None:
        return "no majority of the sentinels answers and names one master"
    if wanted is not None and wanted.address == survey.master:
        return f"{wanted} is the master already"
    if survey.leader is not None:
        if wanted is not None and wanted.address not in _addresses(survey):
            return f"{wanted} is no replica that could be promoted now"
        rights = [f for f in judge_readiness(survey) if f.check == "node rights"]
        if lacking := [f for f in rights if f.state is State.BAD]:
            return f"{lacking[0].subject}: {lacking[0].reason}"
    # The rest is the switchover's own to say, after it has waited for it to pass.
    return ""


def _addresses(survey: Survey) -> list[Address]:
    return [node.address for node in promotable(survey)]


def _ask(survey: Survey, wanted: Member | None, *, force: bool) -> None:
    if not sys.stdin.isatty():
        raise click.UsageError("Nobody is there to confirm: give --yes.")
    if force:
        click.echo("With --force acknowledged writes may be lost.", err=True)
    click.confirm(_sentence(survey, wanted) + ". Go on?", abort=True, err=True)


def _sentence(survey: Survey, wanted: Member | None) -> str:
    target = str(wanted) if wanted else "the replica that the sentinels prefer"
    return f"{survey.name(survey.master)} hands the mastership to {target}"


def _say_what_would_happen(
    survey: Survey, wanted: Member | None, *, force: bool, as_json: bool
) -> None:
    findings = [f for f in judge_readiness(survey) if f.state > State.UNKNOWN]
    text = hopeless(survey, wanted)
    if text:
        findings.insert(0, Finding("refused", State.BAD, text))
    refused = bool(text) and not force
    sentence = _sentence(survey, wanted)
    if as_json:
        described = [finding.described() for finding in findings]
        would = None if refused else sentence
        output.print_json({"would": would, "refused": refused, "in_the_way": described})
    else:
        if not refused:
            click.echo(f"would: {sentence}" + (" by force, losing writes" if force else ""))
        if findings:
            output.print_findings(findings)
    raise click.exceptions.Exit(7 if refused else 0)


def _hand_over(site: Site, survey: Survey, wanted: Member | None) -> Outcome:
    began, old = time.monotonic(), survey.master
    assert old is not None  # noqa: S101 - without one it is hopeless
    others = tuple(node.address for node in site.data_nodes if node.address != old)
    try:
        with guarded(site.operator, old=old, others=others) as guard:
            done = _switch(site, guard, old, wanted)
    except RedisHaError:
        raise
    except BaseException:
        click.echo("broken off: its guard ends it in order within seconds", err=True)
        raise
    agreed = _await_agreement(site, done.new)
    return Outcome(
        site.name_of(done.old),
        site.name_of(done.new),
        wanted.name if wanted else None,
        lossless=True,
        seconds=time.monotonic() - began,
        gap=done.write_gap_seconds,
        agreed=agreed,
    )


def _switch(site: Site, guard: Guard, old: Address, wanted: Member | None) -> Switchover:
    options: dict[str, Any] = {
        "old_master": OldMaster.DEMOTE,
        "expected": old,
        "token": guard.token,
        "begin": guard.begin,
        "deadline_seconds": _DEADLINE_SECONDS,
    }
    if wanted is None:
        return switch_over(site.operator, **options)
    click.echo(f"telling the sentinels to prefer {wanted.name}: up to 10 s", err=True)
    with preferred(site.operator, wanted.address, promise=guard.promise):
        return switch_over(site.operator, chosen=wanted.address, **options)


def _force(site: Site, survey: Survey) -> Outcome:
    click.echo("by force: writes that the old master still takes may be lost", err=True)
    nodes = [node.address for node in site.data_nodes]
    done = force_failover(site.operator, nodes, expected=survey.master)
    agreed = _await_agreement(site, done.new)
    return Outcome(
        site.name_of(done.old) if done.old else None,
        site.name_of(done.new),
        None,
        lossless=False,
        seconds=done.seconds,
        agreed=agreed,
    )


def _await_agreement(site: Site, new: Address) -> bool:
    """Wait a little until every sentinel names the new master and is done with the failover.

    Silent sentinels don't count, but a majority must answer. False when that doesn't come, or the
    node is no longer master by then.
    """
    until = time.monotonic() + _AGREE_SECONDS
    while time.monotonic() < until:
        views = ask_sentinels(site.operator)
        answers = [view for view in views if view.master is not None]
        agreed = all(view.master == new and not view.failing_over for view in answers)
        if agreed and majority_master(views) == new:
            return ask_node(site.operator, new).role == "master"
        time.sleep(0.1)
    return False


def _old_one(outcome: Outcome) -> str:
    """Say what became of the old master: by force nobody made it a replica."""
    if outcome.old is None:
        return ""
    if outcome.lossless:
        return f", {outcome.old} its replica"
    return f" after {outcome.old}, which takes writes for another 10 s or so if it is alive"


def _show(outcome: Outcome, *, as_json: bool) -> None:
    if as_json:
        output.print_json(
            {
                "from": outcome.old,
                "to": outcome.new,
                "wanted": outcome.wanted,
                "lossless": outcome.lossless,
                "seconds": round(outcome.seconds, 3),
                "write_gap_seconds": None if outcome.gap is None else round(outcome.gap, 3),
            }
        )
    else:
        gap = "" if outcome.gap is None else f", {outcome.gap:.2f} s without writes"
        loss = "no write lost" if outcome.lossless else "writes may be lost"
        click.echo(f"{outcome.new} is master now{_old_one(outcome)}{gap}: {loss}")
    if not outcome.as_wanted:
        click.echo(f"the sentinels promoted another than {outcome.wanted}", err=True)
    if not outcome.agreed:
        text = f"the sentinels don't all name {outcome.new} yet: see `redis-ha status`"
        click.echo(text, err=True)
    if not (outcome.as_wanted and outcome.agreed):
        raise click.exceptions.Exit(1)
