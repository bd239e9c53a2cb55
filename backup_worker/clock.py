"""Time as the worker sees it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime


def steady_clock() -> float:
    """Seconds on a clock that never jumps and goes on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(frozen=True)
class Clocks:
    """A clock for intervals and one for dates."""

    steady: Callable[[], float] = steady_clock
    wall: Callable[[], datetime] = lambda: datetime.now(UTC)
