"""What the witness did so far, in a small file beside the health file: for metrics and people."""

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path


@dataclass
class Status:
    """Counts since the start, and what it does now.

    `verdicts`: deaths of a master seen; `asked`: failovers asked for; `accepted`: of those, taken
    up by a sentinel; `withdrawn`: deaths taken back because the master answered again; `fenced`:
    old masters kept from writing; `rejected`: messages that were no votes of a witness.
    """

    verdicts: int = 0
    asked: int = 0
    accepted: int = 0
    withdrawn: int = 0
    fenced: int = 0
    rejected: int = 0
    master: str = ""
    state: str = "starting"
    reason: str = ""
    unreachable: tuple[str, ...] = ()

    def write(self, path: Path) -> None:
        """Replace the file; readers see all of it or the one before."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        temporary = path.with_name(f".{path.name}.tmp")
        temporary.write_text(json.dumps({"time": now, **asdict(self)}) + "\n")
        temporary.replace(path)
