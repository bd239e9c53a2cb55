"""`redis-ha events`: what happened to the cluster, and each failover with its figures."""

import os
import threading
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime

import click

from redis_ha.cli import output
from redis_ha.cli.cluster import json_option, stack_option
from redis_ha.cli.log_options import read_sources, read_window, time_options, without_controls
from redis_ha.eventlog import stamp
from redis_ha.events.figures import Cause, Failover
from redis_ha.events.names import Names
from redis_ha.events.sightings import Event
from redis_ha.events.timeline import Timeline, Watch, read_timeline
from redis_ha.logs.opening import open_entries
from redis_ha.logs.places import known_names

_USUAL, _USUAL_FOLLOWING = "24h", "1m"
_CAUSES: dict[Cause, str] = {
    "witness": "crash seen by the witnesses",
    "down-after": "silent for down-after",
    "handover": "the master was stopped and handed over",
    "guard": "asked for by the crashed master's guard",
    "switchover": "switchover by an operator",
    "forced": "forced by an operator",
    "unknown": "cause not in the logs",
}
_BAD = ("-failover-abort", "server-died", "log-gap", "snapshot-not-proven", "spool-full", "+tilt")
_WARNING = ("+sdown", "+odown", "death-seen", "round-failed", "no-handover", "restore", "lease-l")


@click.command("events", short_help="Tell what happened: failovers, deaths, snapshots, gaps.")
@time_options
@stack_option
@json_option
def command(
    *,
    since: str | None,
    until: str | None,
    follow: bool,
    files: tuple[str, ...],
    stack: str | None,
    as_json: bool,
) -> None:
    """Tell what the logs of all nodes say about the cluster, and draw failovers together.

    Each event stands once, with everybody who saw it. A failover has its cause, who led it, how
    long each part took and how it ended. Without --since the last 24 hours (files: all).
    In a pipe: time, number of the failover, event, node that it is about, who saw it, details; and
    before them, for each failover: time, number, "failover", from, to, what became of it. With
    --json {"failovers": [...], "events": [...]}; with --follow one object a line.

    \b
    Examples:
      redis-ha events --since 2h
      redis-ha events --json | jq '.failovers[] | {cause, from, to, seconds, phases}'
      redis-ha events --follow
      redis-ha events --file redis-1=/tmp/redis-1.log --file sentinel-1=/tmp/sentinel-1.log
    """
    usual = None if files else _USUAL_FOLLOWING if follow else _USUAL
    window = read_window(since, until, follow=follow, usual=usual)
    sources = read_sources(stack, files, ())
    names = Names({} if files else known_names(stack, os.environ))
    stop = threading.Event() if follow else None
    with closing(open_entries(sources, window, stop=stop)) as entries:
        if not follow:
            _show(read_timeline(entries, names), as_json=as_json)
            return
        watch = Watch(names)
        for entry in entries:
            _tell(*watch.feed(entry), as_json=as_json)


def _show(timeline: Timeline, *, as_json: bool) -> None:
    if as_json:
        failovers = [failover.described() for failover in timeline.failovers]
        events = [event.described() for event in timeline.events]
        output.print_json({"failovers": failovers, "events": events})
        return
    for failover in timeline.failovers:
        _print_failover(failover)
    output.print_table(("TIME", "FAILOVER", "EVENT", "ABOUT", "SEEN BY", "DETAILS"),
                       _rows(timeline.events), styles=_styles(timeline.events))  # fmt: skip
    if not timeline.events:
        click.echo("nothing happened in that time", err=True)


def _tell(event: Event | None, failover: Failover | None, *, as_json: bool) -> None:
    """Tell of one while following."""
    for told in (event, failover):
        if told is not None and as_json:
            click.echo(output.one_line_json(told.described()))
    if event is not None and not as_json:
        (row,) = _rows([event])
        click.echo(output.styled("\t".join(row), fg=_style(event.kind)))
    if failover is not None and not as_json:
        _print_failover(failover)
    output.flush()


def _print_failover(failover: Failover) -> None:
    cells = (failover.old or "?", failover.new or "nobody")
    if output.on_terminal():
        good = failover.outcome == "promoted"
        title = f"failover {failover.number}: {cells[0]} -> {cells[1]}"
        head = [
            (f"{_clock(failover.began)}  ", "dim"),
            (title, "bold green" if good else "bold red"),
        ]
        output.print_lines([[*head, (f", {summary(failover)}", "")], []])
    else:
        start = (stamp(failover.began), str(failover.number), "failover")
        click.echo("\t".join((*start, *cells, summary(failover))))


def summary(failover: Failover) -> str:
    """Say in a sentence why it came, how it ended, and how long its parts took."""
    words = [_CAUSES[failover.cause], failover.outcome]
    if failover.outcome == "promoted" and failover.seconds is not None:
        words[-1] += f" after {failover.seconds:.2f} s"
    if failover.leader:
        votes = f" with {failover.votes} votes" if failover.votes > 1 else ""
        words.append(f"led by {failover.leader}{votes}")
    if failover.phases:
        words.append(", ".join(f"{part} {took:.2f}" for part, took in failover.phases.items()))
    return "; ".join(words)


def _rows(events: Sequence[Event]) -> list[tuple[str, ...]]:
    clock = _clock if output.on_terminal() else stamp
    return [
        (
            clock(event.time),
            str(event.failover or "-"),
            event.kind,
            without_controls(event.about) or "-",
            ",".join(event.seen_by),
            without_controls(event.detail).replace("\n", " ").replace("\t", " ") or "-",
        )
        for event in events
    ]


def _styles(events: Sequence[Event]) -> dict[str, str]:
    return {event.kind: style for event in events if (style := _style(event.kind))}


def _style(kind: str) -> str:
    if kind.startswith(_BAD):
        return "red"
    if kind.startswith(_WARNING):
        return "yellow"
    return "green" if kind in ("+switch-master", "handed-over", "snapshot-taken") else ""


def _clock(moment: datetime) -> str:
    """Write a moment by the reader's clock."""
    return moment.astimezone().isoformat(sep=" ", timespec="milliseconds")[5:23]
