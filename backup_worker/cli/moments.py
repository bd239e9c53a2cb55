"""Points as they are written on the command line: a time, or an offset of a timeline."""

import re
from datetime import datetime

from backup_worker.errors import UsageError
from backup_worker.log.plan import AtOffset
from redis_ha.moments import read_moment

_OFFSET = re.compile(r"(?:([0-9a-zA-Z]{4,40}):)?(\d{1,18})")


def parse_moment(text: str, *, now: datetime) -> datetime:
    """Read RFC 3339, a date-time of this machine's time zone, or `10 minutes ago`, `1h 30m ago`.

    Raises UsageError.
    """
    try:
        return read_moment(text, now=now)
    except ValueError as error:
        raise UsageError(
            operation="read",
            subject=f"time {text!r}",
            cause="it is neither RFC 3339 nor a date and time nor so long ago",
            hint="write 2026-11-24T08:30:00Z, '2026-11-24 08:30' (local time) or '10 minutes ago'",
        ) from error


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
