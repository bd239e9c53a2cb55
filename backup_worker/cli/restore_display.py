"""How a restore's progress is shown: bars on a terminal, plain lines in a pipe; always stderr."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from backup_worker.cli.output import human_size
from backup_worker.progress import Progress, Report

_SECONDS_BETWEEN_LINES = 5.0


@contextmanager
def display() -> Iterator[Report]:
    """Give the function that shows each Progress, in the way that fits stderr."""
    if not sys.stderr.isatty():
        yield PlainLines()
        return
    with _bars() as report:
        yield report


class PlainLines:
    """One line when a phase begins and one each few seconds while it lasts."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._phase = ""
        self._told = 0.0

    def __call__(self, progress: Progress) -> None:
        now = self._clock()
        if progress.phase == self._phase and now - self._told < _SECONDS_BETWEEN_LINES:
            return
        first = progress.phase != self._phase
        self._phase, self._told = progress.phase, now
        detail = "" if first else " ".join(filter(None, (_amount(progress), progress.note)))
        click.echo(f"{progress.phase} ... {detail}".rstrip(), err=True)


def _amount(progress: Progress) -> str:
    if progress.total == 100:
        return f"{progress.done} %"
    if not progress.done:
        return ""
    of = f" of {human_size(progress.total)}" if progress.total else ""
    return f"{human_size(progress.done)}{of}"


@contextmanager
def _bars() -> Iterator[Report]:
    from rich import progress as rich  # noqa: PLC0415 - a pipe needs no rich
    from rich.console import Console  # noqa: PLC0415

    columns: list[Any] = [
        rich.SpinnerColumn(finished_text="[green]✓"),
        rich.TextColumn("{task.description:<16}"),
        rich.BarColumn(bar_width=30),
        rich.TextColumn("{task.fields[amount]}"),
        rich.TimeElapsedColumn(),
        rich.TextColumn("[dim]{task.fields[note]}"),
    ]
    with rich.Progress(*columns, console=Console(stderr=True)) as bars:
        tasks: dict[str, rich.TaskID] = {}

        def finish() -> None:
            for task in tasks.values():
                bars.update(task, total=1, completed=1, note="")

        def report(progress: Progress) -> None:
            if progress.phase not in tasks:
                finish()
                tasks[progress.phase] = bars.add_task(progress.phase, amount="", note="")
            bars.update(
                tasks[progress.phase],
                total=progress.total,
                completed=progress.done,
                amount=_amount(progress),
                note=progress.note,
            )

        yield report
        finish()
