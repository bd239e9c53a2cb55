"""One JSON object a line for each event, its own and those of the libraries it uses."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, TextIO

_ROOT = logging.getLogger("backup_worker")


class JsonLines(logging.Formatter):
    """Formats a record as {"time", "level", "event", "node", ...}."""

    def __init__(self, node: str) -> None:
        super().__init__()
        self._node = node

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC)
        line: dict[str, Any] = {
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            "node": self._node,
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def configure(node: str, *, stream: TextIO | None = None) -> None:
    """Send this package's events, from INFO on, to `stream` (standard output) as JSON lines."""
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(JsonLines(node))
    _ROOT.handlers = [handler]
    _ROOT.setLevel(logging.INFO)
    _ROOT.propagate = False


def emit(event: str, *, level: int = logging.INFO, trace: bool = False, **fields: object) -> None:
    """Log one event; `trace` adds the traceback of the exception being handled."""
    _ROOT.log(level, event, extra={"fields": fields}, exc_info=trace)
