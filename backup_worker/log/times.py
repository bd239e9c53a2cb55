"""Moments as the log counts and writes them."""

from datetime import UTC, datetime


def milliseconds(moment: datetime) -> int:
    """Return a moment as milliseconds since 1970."""
    return int(moment.timestamp() * 1000)


def rfc3339(ms: int) -> str:
    """Write milliseconds since 1970 as RFC 3339 in UTC."""
    moment = datetime.fromtimestamp(ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
