"""The journal of our units: read from where the last look ended, in the order it was written."""

import json
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

UNITS = "redis-ha-*"
# Without a place to go on from: what happened just before.
FIRST_LINES = 500


@dataclass(frozen=True)
class Entry:
    """One line of the journal: when (ms since 1970), what, and the place right after it."""

    time_ms: int
    text: str
    cursor: str


def read_journal(cursor: str, *, program: str = "journalctl") -> Iterator[Entry]:
    """Yield what was written after `cursor`; "" begins with the last lines.

    Errors: OSError without journalctl.
    """
    start = f"--after-cursor={cursor}" if cursor else f"--lines={FIRST_LINES}"
    command = [program, "--output=json", "--no-pager", f"--unit={UNITS}", start]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        if process.stdout is not None:
            yield from parse_entries(process.stdout)


def parse_entries(lines: Iterable[str]) -> Iterator[Entry]:
    """Read journalctl's JSON lines (systemd's Journal JSON Format)."""
    for line in lines:
        fields: dict[str, Any] = json.loads(line)
        yield Entry(
            time_ms=int(fields["__REALTIME_TIMESTAMP"]) // 1000,
            text=_text(fields),
            cursor=fields["__CURSOR"],
        )


def _text(fields: dict[str, Any]) -> str:
    """Give the message with its unit; one that is no UTF-8 comes as a list of bytes."""
    message = fields.get("MESSAGE") or ""
    if isinstance(message, list):
        message = bytes(message).decode(errors="replace")
    unit = str(fields.get("_SYSTEMD_UNIT", "")).removesuffix(".service")
    return f"{unit} {message}" if unit else str(message)
