"""Durations as Go writes them.

The daemon's answer comes back as Go prints it, so "60s" in a program is a change on every run
("1m0s"), with the official provider as here.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Final

_UNITS: Final = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(ns|us|ms|s|m|h)")


def parse(text: str) -> int:
    """Nanoseconds of "1m30s", "500ms", "0s" or ""; raises ValueError."""
    if text in ("", "0"):
        return 0
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is not a duration such as 500ms, 5s or 1m30s")
    return round(sum(Fraction(number) * _UNITS[unit] for number, unit in parts))


def show(nanoseconds: int) -> str:
    """Write a duration as Go's Duration.String does."""
    if nanoseconds == 0:
        return "0s"
    if nanoseconds < _UNITS["s"]:
        unit = next(u for u in ("ms", "us", "ns") if nanoseconds >= _UNITS[u])
        return f"{_number(nanoseconds / _UNITS[unit])}{'µs' if unit == 'us' else unit}"
    minutes, rest = divmod(nanoseconds, _UNITS["m"])
    hours, minutes = divmod(minutes, 60)
    seconds = f"{_number(rest / _UNITS['s'])}s"
    if hours:
        return f"{hours}h{minutes}m{seconds}"
    return f"{minutes}m{seconds}" if minutes else seconds


def fault(text: str) -> str | None:
    """What is wrong with a duration, or None: a rule for the schema."""
    try:
        parse(text)
    except ValueError as error:
        return str(error)
    return None


def _number(value: float) -> str:
    return f"{value:.9f}".rstrip("0").rstrip(".")
