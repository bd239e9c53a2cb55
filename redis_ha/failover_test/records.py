"""What a run of the test leaves behind. All times are seconds of this machine's monotonic clock."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from redis_ha.failover_test.deeds import Deeds, sentence

Fault = Literal[
    "crash",
    "crash-unseen",
    "hang",
    "partition",
    "asymmetric-partition",
    "switchover",
    "plain",
]
FAULTS: tuple[Fault, ...] = get_args(Fault)
# What stands beside a fault to be compared: a crash that the witnesses are kept from, and a
# SENTINEL FAILOVER without all that a switchover does for the writes.
PEERS: Mapping[Fault, Fault] = {"crash": "crash-unseen", "switchover": "plain"}
State = Literal["master", "refusing", "replica", "silent"]

# Moments of a run: what `RunRecord.marks` may hold.
BEGUN, DONE, PROMOTED = "fault begins", "fault done", "promoted"
HEALING, HEALED, HEALTHY = "healing begins", "healed", "healthy"


@dataclass(frozen=True)
class WriterRecord:
    """One writer: the numbers that were acknowledged, rising, and when each was."""

    numbers: tuple[int, ...]
    times: tuple[float, ...]


@dataclass(frozen=True)
class StaleRead:
    """A read that gave less than was acknowledged when it began: by how much it was out of date.

    `behind` is the time (s) since the first acknowledgement that it doesn't show.
    """

    at: float
    behind: float


@dataclass(frozen=True)
class ClientRecord:
    """All that clients of one kind saw. `longest_call` (s) is the longest that one call took."""

    kind: str
    writers: tuple[WriterRecord, ...]
    reads: tuple[float, ...] = ()
    stale: tuple[StaleRead, ...] = ()
    failed_writes: int = 0
    failed_reads: int = 0
    longest_call: float = 0.0
    # The distinct errors that the application saw, each with how often.
    errors: Mapping[str, int] = field(default_factory=dict)

    @property
    def acknowledged(self) -> int:
        return sum(len(writer.numbers) for writer in self.writers)


@dataclass(frozen=True)
class Sample:
    """One look at a data node; `writable` says that a write sent by the observer was accepted."""

    at: float
    role: Literal["master", "slave"] | None
    writable: bool = False
    problem: str = ""

    @property
    def state(self) -> State:
        if self.role is None:
            return "silent"
        if self.role == "slave":
            return "replica"
        return "master" if self.writable else "refusing"


@dataclass(frozen=True)
class SentinelSample:
    """One look at a sentinel: the node it names, by name, and the epoch of that."""

    at: float
    master: str
    epoch: int


@dataclass(frozen=True)
class LostWrite:
    """An acknowledged write that the final master doesn't hold."""

    kind: str
    writer: int
    number: int
    at: float


@dataclass(frozen=True)
class RunRecord:
    """One fault from the first write to the last check.

    `nodes` and `sentinels` map a name to its samples in order. `unequal` says how the data nodes
    differ at the end; "" when they hold the same. `unhealthy` likewise.
    """

    fault: Fault
    victim: str
    marks: Mapping[str, float]
    clients: tuple[ClientRecord, ...]
    nodes: Mapping[str, tuple[Sample, ...]]
    sentinels: Mapping[str, tuple[SentinelSample, ...]]
    lost: tuple[LostWrite, ...]
    # What a client on the victim's side of a partition could still write, if there was one.
    inside: ClientRecord | None = None
    unhealthy: str = ""
    unequal: str = ""
    evicted: int = 0
    # What the witnesses did; None when they were not asked.
    deeds: Deeds | None = None

    @property
    def witnesses_text(self) -> str:
        """Say in one sentence what the witnesses did; empty when they were not asked."""
        if self.deeds is None:
            return ""
        promoted = self.marks.get(PROMOTED)
        after = None if promoted is None else promoted - self.marks[BEGUN]
        return sentence(self.deeds, promoted_after=after)

    @property
    def start(self) -> float:
        return min(w.times[0] for c in self.clients for w in c.writers if w.times)

    @property
    def end(self) -> float:
        """The last acknowledgement, or the last mark: maybe no write was acknowledged any more."""
        written = (w.times[-1] for c in self.clients for w in c.writers if w.times)
        return max([*written, *self.marks.values()])
