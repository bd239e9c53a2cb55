"""Where a command's results go: colour and progress on a terminal, plain lines in a pipe."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import click

from backup_worker.progress import Progress, Report, ignore

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def print_json(value: object) -> None:
    """Print one JSON document."""
    click.echo(json.dumps(value, indent=2 if sys.stdout.isatty() else None))


def print_table(
    headers: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    styles: Mapping[str, str] | None = None,
) -> None:
    """Print a table on a terminal; in a pipe one line a row, its cells separated by tabs.

    `styles` colours a cell by its text, e.g. {"bad": "red"}.
    """
    if not sys.stdout.isatty():
        for row in rows:
            click.echo("\t".join(row))
        return
    from rich.console import Console  # noqa: PLC0415 - a pipe needs no rich
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(*headers, box=None, header_style="bold")
    for row in rows:
        table.add_row(*(Text(cell, style=(styles or {}).get(cell, "")) for cell in row))
    Console().print(table)


def print_fields(fields: Mapping[str, str]) -> None:
    """Print names and values, one a line, aligned on a terminal."""
    width = max(map(len, fields)) + 2 if sys.stdout.isatty() else 0
    for name, value in fields.items():
        click.echo(f"{name:<{width}}{value}" if width else f"{name}\t{value}")


@contextmanager
def progress() -> Iterator[Report]:
    """Give a function to report to; it draws a line a phase when stderr is a terminal."""
    if not sys.stderr.isatty():
        yield ignore
        return
    from rich import progress as rich  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415

    columns: list[Any] = [
        rich.SpinnerColumn(finished_text="[green]✓"),
        rich.TextColumn("{task.description:<10}"),
        rich.TextColumn("{task.fields[amount]:>10}"),
        rich.TransferSpeedColumn(),
        rich.TimeElapsedColumn(),
    ]
    with rich.Progress(*columns, console=Console(stderr=True)) as bars:
        tasks: dict[str, rich.TaskID] = {}

        def report(step: Progress) -> None:
            if step.phase not in tasks:
                tasks[step.phase] = bars.add_task(step.phase, total=None, amount="")
            bars.update(
                tasks[step.phase],
                total=step.total,
                completed=step.done,
                amount=f"{step.done} %" if step.total == 100 else human_size(step.done),
            )

        yield report


def human_size(count: int) -> str:
    """Write bytes as a person reads them: 763.1 MiB."""
    size, unit = float(count), 0
    while size >= 1024 and unit < len(_UNITS) - 1:
        size, unit = size / 1024, unit + 1
    return f"{size:.1f} {_UNITS[unit]}" if unit else f"{count} B"


def human_age(moment: datetime, *, now: datetime | None = None) -> str:
    """Write how long ago a moment was: 3 h 5 min."""
    seconds = int(((now or datetime.now(UTC)) - moment).total_seconds())
    if seconds < 60:
        return f"{max(seconds, 0)} s"
    minutes, hours = seconds // 60, seconds // 3600
    if hours < 1:
        return f"{minutes} min"
    return f"{hours} h {minutes % 60} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"
