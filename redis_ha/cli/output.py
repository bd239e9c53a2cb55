"""Where a command's results go: tables and colour on a terminal, tab-separated lines in a pipe."""

import json
import os
import sys
from collections.abc import Mapping, Sequence

import click

from redis_ha.findings import Finding, State, grouped

Line = Sequence[tuple[str, str]]

STATE_STYLES = {State.OK: "green", State.UNKNOWN: "dim", State.WARNING: "yellow", State.BAD: "red"}
_MARKS = {State.OK: "✓", State.UNKNOWN: "?", State.WARNING: "!", State.BAD: "✗"}
# Columns of a terminal on which most tables find no place, and those between two cells.
_NARROW, _GAP = 60, 2
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def on_terminal() -> bool:
    """Say whether a person reads standard output, which may be closed."""
    return sys.stdout is not None and sys.stdout.isatty()


def flush() -> None:
    """Let a reader of our pipe see what was printed; raises OSError."""
    if sys.stdout is not None:
        sys.stdout.flush()


def styled(text: str, *, fg: str | None = None, dim: bool = False) -> str:
    """Dress text for a terminal; not where NO_COLOR is set (no-color.org)."""
    if os.environ.get("NO_COLOR") or not (fg or dim):
        return text
    return click.style(text, fg=fg, dim=dim or None)


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

    `styles` colours a cell by its text, e.g. {"bad": "red"}. Nothing is cut: on a narrow terminal
    a row that has no place is a block of lines, one a cell.
    """
    if not on_terminal():
        for row in rows:
            click.echo("\t".join(row))
        return
    from rich.console import Console  # noqa: PLC0415

    console, styles = Console(), styles or {}
    if console.width < _NARROW and console.width < _least_width(headers, rows):
        _print_blocks(headers, rows, styles)
        return
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, header_style="bold", pad_edge=False)
    for number, header in enumerate(headers):
        longest = max((len(row[number]) for row in rows), default=0)
        whole = number == 0 and longest <= _NARROW // 2
        table.add_column(header, overflow="fold", no_wrap=whole)
    for row in rows:
        table.add_row(*(Text(cell, style=styles.get(cell, "")) for cell in row))
    console.print(table)


def _least_width(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    """Give the width of a table that breaks no word, nor the cells of its first column."""
    first, *others = zip(headers, *rows, strict=True)
    words = [max(len(word) for cell in column for word in (*cell.split(), "")) for column in others]
    return max(map(len, first)) + sum(_GAP + longest for longest in words)


def _print_blocks(
    headers: Sequence[str], rows: Sequence[Sequence[str]], styles: Mapping[str, str]
) -> None:
    for row in rows:
        first, *others = zip(headers, row, strict=True)
        lines: list[Line] = [[(first[1], "bold")]]
        lines += [[(f"  {name}: ", "dim"), (cell, styles.get(cell, ""))] for name, cell in others]
        print_lines(lines)


def print_findings(findings: Sequence[Finding]) -> None:
    """Print checks with their reasons, and on a terminal what to do about what isn't fine.

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
        if f.remedy and f.state is not State.OK:
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
