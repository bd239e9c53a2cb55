"""Where a command's results go: tables and colour on a terminal, tab-separated lines in a pipe."""

import json
import sys
from collections.abc import Mapping, Sequence

import click

from redis_ha.findings import Finding, State, grouped

Line = Sequence[tuple[str, str]]

STATE_STYLES = {State.OK: "green", State.UNKNOWN: "dim", State.WARNING: "yellow", State.BAD: "red"}
_MARKS = {State.OK: "✓", State.UNKNOWN: "?", State.WARNING: "!", State.BAD: "✗"}
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def on_terminal() -> bool:
    """Say whether a person reads standard output."""
    return sys.stdout.isatty()


def print_json(value: object) -> None:
    """Print one JSON document, on one line in a pipe."""
    click.echo(json.dumps(value, indent=2 if on_terminal() else None))


def one_line_json(value: object) -> str:
    """Write JSON for a stream of documents, one a line."""
    return json.dumps(value)


def print_lines(lines: Sequence[Line]) -> None:
    """Print lines of (text, style) pieces, unstyled when nobody looks."""
    from rich.console import Console  # noqa: PLC0415 - a pipe needs no rich
    from rich.text import Text  # noqa: PLC0415

    console = Console(highlight=False, soft_wrap=True)
    for line in lines:
        console.print(Text.assemble(*line))


def print_table(
    headers: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    styles: Mapping[str, str] | None = None,
) -> None:
    """Print a table; in a pipe one line a row, its cells separated by tabs, without the headers.

    `styles` colours a cell by its text, e.g. {"bad": "red"}.
    """
    if not on_terminal():
        for row in rows:
            click.echo("\t".join(row))
        return
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(*headers, box=None, header_style="bold", pad_edge=False)
    for row in rows:
        table.add_row(*(Text(cell, style=(styles or {}).get(cell, "")) for cell in row))
    Console().print(table)


def print_findings(findings: Sequence[Finding]) -> None:
    """Print checks with their reasons, and on a terminal what to do about the bad ones.

    In a pipe: check, state, subject, reason, remedy.
    """
    if not on_terminal():
        for f in findings:
            cells = (f.check, f.state.name.lower(), f.subject, f.reason, f.remedy)
            click.echo("\t".join(cells))
        return
    width = max(len(finding.check) for finding in findings) + 2
    lines: list[Line] = []
    for f in grouped(findings):
        subject = f"{f.subject}: " if f.subject else ""
        style = STATE_STYLES[f.state]
        lines.append([(f"{_MARKS[f.state]} ", style), (f"{f.check:<{width}}", "bold"),
                      (subject + f.reason, "")])  # fmt: skip
        if f.remedy and f.state > State.UNKNOWN:
            lines.append([(" " * (width + 2) + f"→ {f.remedy}", "dim")])
    print_lines(lines)


def human_size(count: float) -> str:
    """Write bytes as a person reads them: 763.1 MiB."""
    size, unit = float(count), 0
    while size >= 1024 and unit < len(_UNITS) - 1:
        size, unit = size / 1024, unit + 1
    return f"{size:.1f} {_UNITS[unit]}" if unit else f"{count:.0f} B"


def human_seconds(seconds: float) -> str:
    """Write a duration as a person reads it: 3 h 5 min."""
    whole = max(0, int(seconds))
    minutes, hours = whole // 60, whole // 3600
    if whole < 60:
        return f"{whole} s"
    if hours < 1:
        return f"{minutes} min"
    return f"{hours} h {minutes % 60} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"
