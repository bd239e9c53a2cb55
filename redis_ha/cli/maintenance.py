"""`redis-ha maintenance`: what is due by the calendar, and a record of what was done."""

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from redis_ha.cli import output
from redis_ha.cli.cluster import json_option, say_which, stack_option
from redis_ha.locating import find_unasked
from redis_ha.upkeep.calendar import TASKS, Standing, Task, standings
from redis_ha.upkeep.identity import ask_identity
from redis_ha.upkeep.record import Deed, note, read_record, record_path

_HEADERS = ("TASK", "STATE", "LAST DONE", "EVERY", "WHAT")
_STYLES = {"due": "yellow", "failed": "bold red", "done": "green"}
_CHOICE = click.Choice([task.name for task in TASKS])


@click.command("maintenance", short_help="Say what is due; keep a record of what was done.")
@click.option("--run", "run", is_flag=True, help="Run what is due and changes nothing.")
@click.option("--done", metavar="TASK", type=_CHOICE, help="Note what a person did: with --note.")
@click.option("--note", "text", metavar="TEXT", help="What was found; for --done.")
@stack_option
@json_option
def command(
    *, run: bool, done: str | None, text: str | None, stack: str | None, as_json: bool
) -> None:
    """Say what of the maintenance calendar is due: exit code 1 while something is.

    Daily health, weekly logs, a monthly failover test, quarterly versions, a yearly review. With
    --run health and logs are run when they are due, and noted with how they ended and how many
    lines they printed. `redis-ha failover-test` notes itself; it is never run from here. --done is
    for what a person does: versions and review. The record is a file of yours (0600) below
    ~/.local/state/redis-ha, for each cluster its own: one that is made anew, at the same addresses
    too, begins at the beginning.

    \b
    Examples:
      redis-ha maintenance
      redis-ha maintenance --run
      redis-ha maintenance --done versions --note 'redis 8.0.2-3+deb13u1 on all nodes'
      redis-ha maintenance --json | jq -r '.tasks[] | select(.due).task'
    """
    _refuse(done, text)
    say_which(stack)
    access = find_unasked(stack, os.environ).operator
    path = record_path(access, os.environ, home=Path.home())
    cluster = ask_identity(access)
    if done is not None and text is not None:
        note(path, Deed(done, datetime.now(UTC), True, text, cluster))
    if run:
        for standing in standings(read_record(path), now=datetime.now(UTC), cluster=cluster):
            if standing.due and standing.task.harmless:
                note(path, _carry_out(standing.task, stack, cluster))
    found = standings(read_record(path), now=datetime.now(UTC), cluster=cluster)
    if as_json:
        output.print_json({"record": str(path), "tasks": [_described(one) for one in found]})
    else:
        _show(found)
    raise click.exceptions.Exit(1 if any(one.due for one in found) else 0)


def _refuse(done: str | None, text: str | None) -> None:
    """Refuse words that would have no effect: one without the other, or of what notes itself."""
    if (done is None) != (text is None):
        raise click.UsageError("--done TASK and --note TEXT belong together.")
    task = next((task for task in TASKS if task.name == done), None)
    if task is not None and task.notes_itself:
        how = "redis-ha maintenance --run" if task.harmless else _words(task.commands[0])
        own = ", ".join(other.name for other in TASKS if not other.notes_itself)
        raise click.UsageError(
            f"{task.name} notes itself: run `{how}`. --done is for what a person does: {own}."
        )


def _carry_out(task: Task, stack: str | None, cluster: tuple[str, ...]) -> Deed:
    """Run a task's commands, whose output is the user's to read, and say how they ended."""
    ends: list[str] = []
    passed = True
    for words in task.commands:
        click.echo(_words(words), err=True)
        which = ["--stack", stack] if stack else []
        command_line = [sys.executable, "-m", "redis_ha", *words, *which]
        done = subprocess.run(command_line, stdout=subprocess.PIPE, check=False)
        click.echo(done.stdout.decode(errors="replace"), err=True, nl=False)
        lines = len(done.stdout.splitlines())
        ends.append(f"{words[0]}: exit code {done.returncode}, {lines} lines")
        passed = passed and done.returncode == 0
    return Deed(task.name, datetime.now(UTC), passed, "; ".join(ends), cluster)


def _words(words: Sequence[str]) -> str:
    return shlex.join(("redis-ha", *words))


def _show(found: Sequence[Standing]) -> None:
    rows = [
        (
            one.task.name,
            _state(one),
            "never" if one.done is None else f"{one.done.at:%Y-%m-%d %H:%M} UTC",
            f"{one.task.every.days} d",
            one.task.what,
        )
        for one in found
    ]
    output.print_table(_HEADERS, rows, styles=_STYLES)
    for one in found:
        if one.ahead is not None:
            click.echo(
                f"warning: {one.task.name} is in the record with a date in the future, "
                f"{one.ahead.at:%Y-%m-%d %H:%M} UTC, and that doesn't count: a clock was wrong",
                err=True,
            )
        if one.due:
            _say_how(one)


def _say_how(one: Standing) -> None:
    if one.failed is not None:
        click.echo(
            f"{one.task.name} failed {one.failed.at:%Y-%m-%d}: {one.failed.evidence}", err=True
        )
    for words in one.task.commands:
        click.echo(f"{one.task.name}: {_words(words)}", err=True)
    if not one.task.commands:
        click.echo(
            f"{one.task.name}: then redis-ha maintenance --done {one.task.name} --note TEXT",
            err=True,
        )


def _state(one: Standing) -> str:
    if one.failed is not None:
        return "failed"
    return "due" if one.due else "done"


def _described(one: Standing) -> dict[str, Any]:
    return {
        "task": one.task.name,
        "state": _state(one),
        "due": one.due,
        "due_at": None if one.due_at is None else one.due_at.isoformat(timespec="seconds"),
        "every_days": one.task.every.days,
        "done": None if one.done is None else one.done.described(),
        "failed": None if one.failed is None else one.failed.described(),
        "ahead": None if one.ahead is None else one.ahead.described(),
        "commands": [_words(words) for words in one.task.commands],
    }
