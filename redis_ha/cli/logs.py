"""`redis-ha logs`: the lines of all nodes in the order of their times."""

import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import cycle

import click

from redis_ha.cli import output
from redis_ha.cli.cluster import json_option, stack_option
from redis_ha.cli.log_options import read_sources, read_window, time_options, without_controls
from redis_ha.errors import BadSetting
from redis_ha.eventlog import LEVELS, stamp
from redis_ha.logs.entry import Entry, weighs
from redis_ha.logs.opening import open_entries

_USUAL, _USUAL_FOLLOWING = "1h", "1m"
# The second and further lines of a traceback.
_INDENT = " " * 20
_COLOURS = ("cyan", "green", "magenta", "blue", "bright_cyan", "bright_green", "bright_magenta")
_LEVEL_STYLES: dict[str, Callable[[str], str]] = {
    "debug": partial(output.styled, dim=True),
    "warning": partial(output.styled, fg="yellow"),
    "error": partial(output.styled, fg="red"),
}


@dataclass(frozen=True)
class Wanted:
    """Which entries are shown."""

    nodes: frozenset[str]
    level: str
    pattern: re.Pattern[str] | None

    def __call__(self, entry: Entry) -> bool:
        if self.nodes and entry.node not in self.nodes:
            return False
        if weighs(entry.level) < weighs(self.level):
            return False
        return self.pattern is None or self.pattern.search(entry.text) is not None


@click.command("logs", short_help="Show the logs of all nodes, merged by time.")
@click.option("--node", "nodes", multiple=True, metavar="NAME", help="Only this one; repeatable.")
@time_options
@click.option("--level", type=click.Choice(LEVELS), default="info", show_default=True,
              help="Leave out what weighs less.")  # fmt: skip
@click.option("--grep", metavar="REGEX", help="Only lines whose text this is found in.")
@stack_option
@json_option
def command(  # noqa: PLR0913 - click passes each option
    *,
    nodes: tuple[str, ...],
    since: str | None,
    until: str | None,
    follow: bool,
    files: tuple[str, ...],
    level: str,
    grep: str | None,
    stack: str | None,
    as_json: bool,
) -> None:
    """Show what Redis, Sentinel, guards, witnesses, worker and exporter say, in order.

    Of containers, of machines on AWS (CloudWatch Logs), or of files. Without --since the last
    hour, with --follow the last minute, and files whole. In a pipe: time, node, component, level
    and text, separated by tabs. With --json one object a line, in one schema (docs/LOGS.md).

    \b
    Examples:
      redis-ha logs --since 10m --node redis-1 --node sentinel-1
      redis-ha logs --follow --level warning
      redis-ha logs --since '2026-11-24 08:30' --until '2026-11-24 08:40' --grep sdown
      redis-ha logs --json | jq -c 'select(.component == "witness")'
      redis-ha logs --file redis-1=/var/log/redis/redis-server.log
    """
    usual = None if files else _USUAL_FOLLOWING if follow else _USUAL
    window = read_window(since, until, follow=follow, usual=usual)
    wanted = Wanted(frozenset(nodes), level, _pattern(grep))
    sources = read_sources(stack, files, nodes)
    names = sorted({node for source in sources for node in source.nodes})
    show = _shower(names, as_json=as_json)
    stop = threading.Event() if follow else None
    with closing(open_entries(sources, window, stop=stop)) as entries:
        _print(filter(wanted, entries), show, at_once=follow)


def _print(entries: Iterator[Entry], show: Callable[[Entry], str], *, at_once: bool) -> None:
    for entry in entries:
        click.echo(show(entry))
        if at_once:
            output.flush()


def _shower(names: Sequence[str], *, as_json: bool) -> Callable[[Entry], str]:
    if as_json:
        return lambda entry: output.one_line_json(entry.described())
    if not output.on_terminal():
        return _plain
    width = max(map(len, names))
    styles = {
        name: output.styled(f"{name:<{width}}", fg=c) for name, c in zip(names, cycle(_COLOURS))
    }
    return lambda entry: _coloured(entry, styles)


def _plain(entry: Entry) -> str:
    text = without_controls(entry.text).replace("\n", "\\n").replace("\t", " ")
    cells = (stamp(entry.time), entry.node, entry.component or "-", entry.level, text)
    return "\t".join(cells)


def _coloured(entry: Entry, nodes: Mapping[str, str]) -> str:
    """Give a line for a terminal, by the reader's clock; `nodes` are their names as shown."""
    clock = entry.time.astimezone().isoformat(sep=" ", timespec="milliseconds")[5:23]
    who = output.styled(f"{entry.component:<9}", dim=True)
    text = without_controls(entry.text).replace("\n", "\n" + _INDENT)
    styled = _LEVEL_STYLES.get(entry.level, str)(text)
    return f"{output.styled(clock, dim=True)}  {nodes[entry.node]}  {who} {styled}"


def _pattern(grep: str | None) -> re.Pattern[str] | None:
    try:
        return None if grep is None else re.compile(grep)
    except re.error as error:
        raise BadSetting(
            operation="read",
            subject=f"--grep {grep}",
            cause=f"it is no regular expression: {error}",
            hint="put a backslash before . * + ? ( ) [ ] { } | that stand for themselves",
        ) from error
