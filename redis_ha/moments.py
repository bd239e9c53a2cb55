"""Moments as people write them: a time, or how long ago."""

import re
from datetime import UTC, datetime, timedelta

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_NAMES = r"s|secs?|seconds?|m|mins?|minutes?|h|hours?|d|days?|w|weeks?"
_PART = re.compile(rf"(\d{{1,9}})\s*({_NAMES})(?![a-z])")
_AGO = re.compile(rf"(?:{_PART.pattern}[\s,]*)+ago")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}([T ].+)?", re.IGNORECASE)


def read_moment(text: str, *, now: datetime) -> datetime:
    """Read RFC 3339, a date-time of this machine's time zone, `now`, or `1h 30m ago`; in UTC.

    Raises ValueError when it is none of them.
    """
    words = text.strip().lower()
    if words == "now":
        return now.astimezone(UTC)
    try:
        if _AGO.fullmatch(words):
            return (now - _duration(words)).astimezone(UTC)
        if _DATE.fullmatch(text.strip()):
            return datetime.fromisoformat(text.strip()).astimezone(UTC)
    except OverflowError as error:
        raise ValueError(text) from error
    raise ValueError(text)


def _duration(words: str) -> timedelta:
    total = timedelta()
    for count, unit in _PART.findall(words):
        total += timedelta(**{_UNITS[unit[0]]: int(count)})
    return total
