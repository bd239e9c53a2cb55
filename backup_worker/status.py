"""What one worker knows of itself, and what is wrong with that; times in seconds.

The running worker writes it to a file; `status` and the metrics endpoint show it.
"""

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from backup_worker.schedule import overdue_after

FILE_NAME = "status.json"
# The worker writes it every few seconds.
STALE_SECONDS = 30.0
_RESTORE_NAME = "last-restore"
# A log that is further behind than this many sealing intervals is in trouble.
_LATE_SEALS = 6

Role = Literal["starting", "standing by", "working"]


@dataclass(frozen=True)
class LogState:
    """The continuous log: offsets in bytes, `spool_*` what waits for the store and what may.

    `behind_seconds` is how old the oldest byte is that the store does not hold yet, 0 when it
    holds all that the source has sent; `open_gap` says why a gap is not yet closed by a snapshot.
    """

    source: str
    timeline: str
    source_offset: int
    received: int
    sealed: int
    shipped: int
    behind_seconds: float
    spool_bytes: int
    spool_segments: int
    gaps: int
    open_gap: str
    problem: str
    spool_limit: int = 0

    @property
    def behind_bytes(self) -> int:
        """What the source has and the store has not."""
        return max(0, self.source_offset - self.shipped)


@dataclass(frozen=True)
class WorkerStatus:
    """One worker at one moment; ages count from then, None where there is nothing of that kind.

    `at` is the wall clock's time (s since 1970) at which it was written; `proving` says whether
    snapshots are meant to be proven, `proof_failed` whether the newest that was tried differs.
    `store_problem` is why the last request of the lease failed, empty while the store answers.
    """

    at: float
    worker: str
    role: Role
    term: int
    interval: float
    seal_seconds: float
    snapshot: str | None
    snapshot_age: float | None
    proof_age: float | None
    proving: bool
    snapshot_seconds: float | None
    drill_seconds: float | None
    restore_seconds: float | None
    log: LogState | None
    problem: str
    proof_failed: bool = False
    store_problem: str = ""
    store_failures: int = 0

    @property
    def age_limit(self) -> float:
        """How old the newest snapshot may be; a proof may be twice as old."""
        return overdue_after(
            self.interval, seconds=self.snapshot_seconds, drill_seconds=self.drill_seconds
        )

    @property
    def troubles(self) -> list[str]:
        """Name what an operator should look at; empty when all is well."""
        if self.role == "standing by":
            return [self.problem] if self.problem else []
        found = [*self._snapshot_troubles(), *self._log_troubles()]
        return [*found, self.problem] if self.problem else found

    def _snapshot_troubles(self) -> list[str]:
        if self.snapshot_age is None:
            return ["there is no snapshot yet"]
        found = []
        if self.snapshot_age > self.age_limit:
            found.append(f"the last snapshot is {self.snapshot_age:.0f} s old")
        if not self.proving:
            return found
        if self.proof_age is None:
            found.append("no snapshot is proven")
        elif self.proof_age > 2 * self.age_limit:
            found.append(f"the last proof is {self.proof_age:.0f} s old")
        return found

    def _log_troubles(self) -> list[str]:
        if self.log is None:
            return []
        found = []
        if self.log.open_gap:
            found.append(f"the log has a gap: {self.log.open_gap}")
        if self.log.problem:
            found.append(f"the log: {self.log.problem}")
        if self.log.behind_seconds > _LATE_SEALS * self.seal_seconds:
            found.append(f"the log is {self.log.behind_seconds:.0f} s behind")
        return found


def note_restore(state: Path, seconds: float) -> None:
    """Keep how long a restore took, for whoever shows the status; a lost note is no harm."""
    with suppress(OSError):
        (state / _RESTORE_NAME).write_text(f"{seconds:.3f}\n")


def last_restore(state: Path) -> float | None:
    """Return how long the last restore on a state directory took, None if there was none."""
    try:
        return float((state / _RESTORE_NAME).read_text())
    except (OSError, ValueError):
        return None


def encode(status: WorkerStatus) -> str:
    """Serialise as one JSON object, with what is derived from it."""
    fields = asdict(status) | {"troubles": status.troubles}
    if status.log is not None:
        fields["log"] |= {"behind_bytes": status.log.behind_bytes}
    return json.dumps(fields)


def decode(text: str) -> WorkerStatus:
    """Parse what `encode` wrote; ValueError, KeyError or TypeError for anything else."""
    fields: dict[str, Any] = json.loads(text)
    fields.pop("troubles")
    log = fields.pop("log")
    if log is not None:
        log.pop("behind_bytes")
    return WorkerStatus(log=None if log is None else LogState(**log), **fields)


def load(state: Path, *, now: float) -> WorkerStatus | None:
    """Return what the worker of a state directory last wrote; None if it does not run."""
    try:
        status = decode((state / FILE_NAME).read_text())
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return status if abs(now - status.at) <= STALE_SECONDS else None
