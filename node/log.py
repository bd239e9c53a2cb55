"""Events as one JSON object a line on standard output, beside the server's own lines."""

import json
import sys
from datetime import UTC, datetime
from typing import Any


class Log:
    """Writes events of one node."""

    def __init__(self, node: str) -> None:
        self._node = node

    def info(self, event: str, **fields: Any) -> None:
        self._write("info", event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        self._write("warning", event, fields)

    def error(self, event: str, **fields: Any) -> None:
        self._write("error", event, fields)

    def _write(self, level: str, event: str, fields: dict[str, Any]) -> None:
        time = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = {"time": time, "level": level, "event": event, "node": self._node} | fields
        sys.stdout.write(json.dumps(line, default=str) + "\n")
        sys.stdout.flush()
