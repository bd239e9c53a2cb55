"""How long work says where it stands; who shows it is the command line's business."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """A phase, how far it is (bytes, or percent of `total` 100) and what it waits for."""

    phase: str
    done: int = 0
    total: int | None = None
    note: str = ""


Report = Callable[[Progress], None]


def ignore(progress: Progress) -> None:
    """Show nothing."""
