"""What a step says to the person in front of it: one line, what and why."""

from __future__ import annotations

import sys


def satisfied(step: str, what: str) -> None:
    """Say that a step has nothing to do."""
    _line("ok", step, what)


def doing(step: str, what: str, *, why: str) -> None:
    """Say what a step is about to do and why."""
    _line("..", step, f"{what} ({why})")


def note(step: str, what: str) -> None:
    """Say something that the reader should know but need not act on."""
    _line("--", step, what)


def _line(mark: str, step: str, what: str) -> None:
    print(f"{mark} {step:<12} {what}", file=sys.stderr, flush=True)
