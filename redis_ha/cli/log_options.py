"""The options that `logs` and `events` share: whose lines, and of which time."""

import os
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, TypeVar

import click

from redis_ha.cli.cluster import say_which
from redis_ha.errors import BadSetting
from redis_ha.logs.places import find_sources
from redis_ha.logs.source import Source, Window
from redis_ha.moments import read_moment

F = TypeVar("F", bound=Callable[..., Any])


def time_options(function: F) -> F:
    """Add --since, --until, --follow and --file."""
    options = (
        click.option("--since", metavar="TIME", help="10m, '2 hours ago' or a date and time."),
        click.option("--until", metavar="TIME", help="As --since; else until now."),
        click.option("-f", "--follow", is_flag=True, help="Wait for what comes, until ^C."),
        click.option(
            "--file",
            "files",
            multiple=True,
            metavar="NODE=PATH",
            help="Read a node's log file or folder instead of asking Docker or AWS; repeatable.",
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function


def read_window(since: str | None, until: str | None, *, follow: bool, usual: str | None) -> Window:
    """Read the bounds; `usual` stands for a --since that isn't given. Raises BadSetting."""
    if follow and until:
        raise _bad("--until", until, "--follow has no end", "leave one of them out")
    now = datetime.now(UTC)
    begin = since or usual
    window = Window(
        None if begin is None else _moment("--since", begin, now),
        None if until is None else _moment("--until", until, now),
    )
    if window.since and window.until and window.until < window.since:
        raise _bad("--until", until or "", "it is before --since", "exchange them")
    return window


def read_sources(stack: str | None, files: tuple[str, ...], nodes: tuple[str, ...]) -> list[Source]:
    """Find where the lines are, and say whose aren't there. Raises RedisHaError."""
    if not files:
        say_which(stack)
    sources, absent = find_sources(stack, os.environ, files=files, nodes=nodes, tell=_tell)
    if absent:
        click.echo(f"no container, so nothing of: {', '.join(absent)}", err=True)
    return sources


def without_controls(text: str) -> str:
    """Take the power over a terminal from what somebody wrote into a log."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else repr(c)[1:-1] for c in text)


def _tell(text: str) -> None:
    click.echo(text, err=True)


def _moment(option: str, text: str, now: datetime) -> datetime:
    for written in (text, f"{text} ago"):
        with suppress(ValueError):
            return read_moment(written, now=now)
    cause = "it is neither a date and time nor so long ago"
    raise _bad(option, text, cause, "write 10m, 2026-11-24T08:30:00Z or '2026-11-24 08:30'")


def _bad(option: str, text: str, cause: str, hint: str) -> BadSetting:
    return BadSetting(operation="read", subject=f"{option} {text}", cause=cause, hint=hint)
