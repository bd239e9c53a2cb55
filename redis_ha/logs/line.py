"""Parses one line of a node's log: ours in JSON, or the server's own. No I/O.

A server writes `pid:role DD Mon YYYY HH:MM:SS.mmm level text` (serverLogRaw of Redis 7 and 8 and
of Valkey, whose `log-format legacy`, the default, is the same), in its local time. When it arrived
is known in UTC wherever somebody collects lines; from that the zone follows.
"""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from redis_ha.eventlog import LEVELS
from redis_ha.logs.entry import PLAIN, Entry

_SERVER = re.compile(
    r"(?P<pid>\d{1,10}):(?P<role>[XCSM]) (?P<day>\d{2}) (?P<month>[A-Z][a-z]{2}) (?P<year>\d{4})"
    r" (?P<clock>\d{2}:\d{2}:\d{2}\.\d{3}) (?P<mark>[.\-*#]) ?(?P<text>.*)",
    re.ASCII | re.DOTALL,
)
_EVENT = re.compile(r"([+-][a-z][a-z-]*)(?: (.*))?", re.DOTALL)
_MONTHS = {
    name: number
    for number, name in enumerate(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), 1
    )
}
_ROLES = {"X": "sentinel", "C": "child", "S": "replica", "M": "master"}
_LEVELS = {".": "debug", "-": "debug", "*": "info", "#": "warning"}
# What our schema has; a field of the same name can't hide it.
_HEAD = ("time", "level", "event", "node", "component")
# All zones that there are differ from UTC by a multiple of this.
_ZONE_STEP = timedelta(minutes=15)


@dataclass(frozen=True)
class Line:
    """A line as it was collected; `received` in UTC, None where nobody noted it.

    `unit` is the systemd unit that wrote it, "" where there is none.
    """

    text: str
    received: datetime | None = None
    unit: str = ""


def parse(line: Line, *, node: str) -> Entry | None:
    """Read a line of `node`; None when it is part of what was said before, e.g. a traceback."""
    if line.text.startswith("{"):
        return _ours(line, node)
    match = _SERVER.fullmatch(line.text)
    return _servers(match, line, node) if match else None


def _ours(line: Line, node: str) -> Entry | None:
    try:
        fields: Any = json.loads(line.text)
        time = datetime.fromisoformat(fields["time"])
        event, level = str(fields["event"]), str(fields["level"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return Entry(
        time=_in_utc(time, line.received),
        level=level if level in LEVELS else "error" if level == "critical" else "info",
        event=event,
        node=node,
        component=str(fields.get("component", "")),
        fields={name: value for name, value in fields.items() if name not in _HEAD},
    )


def _servers(match: re.Match[str], line: Line, node: str) -> Entry | None:
    try:
        day = f"{match['year']}-{_MONTHS[match['month']]:02}-{match['day']}"
        time = datetime.fromisoformat(f"{day} {match['clock']}")
    except (KeyError, ValueError):
        return None
    said = _EVENT.fullmatch(match["text"])
    return Entry(
        time=_in_utc(time, line.received),
        level=_LEVELS[match["mark"]],
        event=said[1] if said else PLAIN,
        node=node,
        component="sentinel" if match["role"] == "X" else "redis",
        message=(said[2] or "") if said else match["text"],
        fields={"pid": int(match["pid"]), "role": _ROLES[match["role"]]},
    )


def _in_utc(time: datetime, received: datetime | None) -> datetime:
    """Put a time of an unknown zone into UTC: by its arrival, else it is this machine's."""
    try:
        if time.tzinfo is not None or received is None:
            return time.astimezone(UTC)
        ahead = time.replace(tzinfo=UTC) - received
        return time.replace(tzinfo=UTC) - round(ahead / _ZONE_STEP) * _ZONE_STEP
    except OverflowError:
        return time.replace(tzinfo=UTC)
