"""The log of every program of ours: one JSON object a line, in one schema (docs/LOGS.md).

    {"time": "2026-11-24T19:40:10.123Z", "level": "warning", "event": "death-seen",
     "node": "sentinel-1", "component": "witness", "reason": "...", ...}

Events are named in kebab-case, their fields in snake_case. A program that hands its log around
makes an EventLog; one that logs from everywhere calls `configure` once, and `emit`.
"""

import json
import logging
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TextIO

# Of rising weight.
LEVELS = ("debug", "info", "warning", "error")
_EMITTED = logging.getLogger("redis_ha.eventlog")


def stamp(moment: datetime) -> str:
    """Write a moment as our lines have it: ISO 8601, UTC, milliseconds, Z."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def written(
    event: str,
    *,
    moment: datetime,
    level: str,
    node: str,
    component: str = "",
    fields: Mapping[str, object] | None = None,
) -> str:
    """Write one line, without its end; what JSON doesn't know is written as its text."""
    head = {"time": stamp(moment), "level": level, "event": event, "node": node}
    part = {"component": component} if component else {}
    return json.dumps({**head, **part, **(fields or {})}, default=str)


class EventLog:
    """Writes the events of one program to standard output, beside the server's own lines."""

    def __init__(self, node: str, *, component: str) -> None:
        self._node = node
        self._component = component

    def info(self, event: str, **fields: Any) -> None:
        self._write("info", event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        self._write("warning", event, fields)

    def error(self, event: str, **fields: Any) -> None:
        self._write("error", event, fields)

    def _write(self, level: str, event: str, fields: dict[str, Any]) -> None:
        line = written(
            event,
            moment=datetime.now(UTC),
            level=level,
            node=self._node,
            component=self._component,
            fields=fields,
        )
        # In one piece: a server may write to the same pipe.
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


@dataclass(frozen=True)
class _Event:
    """What `emit` was given; as text it is what a person reads where nothing is configured."""

    name: str
    fields: Mapping[str, object]

    def __str__(self) -> str:
        told = ", ".join(f"{name}: {value}" for name, value in self.fields.items())
        return f"{self.name} ({told})" if told else self.name


class _JsonLines(logging.Formatter):
    """Formats what `emit` logged."""

    def __init__(self, node: str, component: str) -> None:
        super().__init__()
        self._node = node
        self._component = component

    def format(self, record: logging.LogRecord) -> str:
        event: Any = record.msg
        fields = dict(event.fields)
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return written(
            event.name,
            moment=datetime.fromtimestamp(record.created, UTC),
            level=record.levelname.lower(),
            node=self._node,
            component=self._component,
            fields=fields,
        )


def configure(node: str, *, component: str, stream: TextIO | None = None) -> None:
    """Send what is emitted, from INFO on, to `stream` (standard output) as JSON lines."""
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(_JsonLines(node, component))
    _EMITTED.handlers = [handler]
    _EMITTED.setLevel(logging.INFO)
    _EMITTED.propagate = False


def emit(event: str, *, level: int = logging.INFO, trace: bool = False, **fields: object) -> None:
    """Log one event; `trace` adds the traceback of the exception being handled."""
    _EMITTED.log(level, _Event(event, fields), exc_info=trace)
