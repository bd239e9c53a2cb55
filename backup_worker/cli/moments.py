"""Points as they are written on the command line: a time, or an offset of a timeline."""

import re
from datetime import UTC, datetime, timedelta

from backup_worker.errors import UsageError
from backup_worker.log.plan import AtOffset

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_NAMES = r"s|secs?|seconds?|m|mins?|minutes?|h|hours?|d|days?|w|weeks?"
_PART = re.compile(rf"(\d{{1,9}})\s*({_NAMES})(?![a-z])")
_AGO = re.compile(rf"(?:{_PART.pattern}[\s,]*)+ago")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}([T ].+)?", re.IGNORECASE)
_OFFSET = re.compile(r"(?:([0-9a-zA-Z]{4,40}):)?(\d{1,18})")


def parse_moment(text: str, *, now: datetime) -> datetime:
    """Read RFC 3339, a date-time of this machine's time zone, or `10 minutes ago`, `1h 30m ago`.

    Raises UsageError.
    """
    words = text.strip().lower()
    if words == "now":
        return now.astimezone(UTC)
    try:
        if _AGO.fullmatch(words):
            return (now - _duration(words)).astimezone(UTC)
        if _DATE.fullmatch(text.strip()):
            return datetime.fromisoformat(text.strip()).astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise UsageError(
        operation="read",
        subject=f"time {text!r}",
        cause="it is neither RFC 3339 nor a date and time nor so long ago",
        hint="write 2026-11-24T08:30:00Z, '2026-11-24 08:30' (local time) or '10 minutes ago'",
    )


def parse_offset(text: str) -> AtOffset:
    """Read `[REPLID:]N`; of REPLID the beginning is enough. Raises UsageError."""
    match = _OFFSET.fullmatch(text.strip())
    if match is None:
        raise UsageError(
            operation="read",
            subject=f"offset {text!r}",
            cause="it is no number of bytes, perhaps after a timeline's id and a colon",
            hint="write it as `backup-worker log` prints it: 3f2a9c1e:123456, or 123456",
        )
    return AtOffset(int(match[2]), match[1])


def _duration(words: str) -> timedelta:
    total = timedelta()
    for count, unit in _PART.findall(words):
        total += timedelta(**{_UNITS[unit[0]]: int(count)})
    return total
