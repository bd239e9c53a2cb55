"""What a fault may cost, computed from the settings that the cluster runs with: no I/O.

A plain SENTINEL FAILOVER is there to be compared with: its outage is reported, not judged.

The limits are the planner's predictions; those of our own client are its promise.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from redis_ha.failover_test.clients import OURS, STOCK, STOCK_RETRYING
from redis_ha.failover_test.records import BEGUN, DONE, HEALED, HEALING, PROMOTED, Fault
from redis_ha.prediction import ELECTION, FENCING_EXTRA, HANG_EXTRA, SILENCE_EXTRA, WITNESSED

# Seconds after down-after until the clients of a kind write again.
_ELECTION = {OURS: 0.5, STOCK: ELECTION}
_SWITCHOVER = {OURS: 0.3, STOCK: 1.5}
# How long before the fault a write may have been acknowledged and not yet have left the master.
_UNREPLICATED = 1.0
# After SENTINEL FAILOVER alone the old master stays writable for about this long.
_PLAIN_OVERLAP = 11.0
# A master looks so often (s) whether it still has its replicas.
_LOOK = 1.0
# Between a write's effect and the moment that its client noted: a busy machine's scheduling.
_SLACK = 0.25


@dataclass(frozen=True)
class LiveSettings:
    """What the running cluster is set to: `down_after` and `max_lag` in seconds.

    `witnessed`: a majority of witnesses listens.
    """

    down_after: float
    min_replicas: int
    max_lag: float
    witnessed: bool = False

    @property
    def fencing(self) -> float | None:
        """For how long (s) a master without replicas takes writes; None for ever."""
        return self.max_lag + FENCING_EXTRA if self.min_replicas else None


@dataclass(frozen=True)
class Window:
    """A span of time (s) between two marks of the run, wider by `before` and `after`."""

    begin: str
    end: str
    before: float = 0.0
    after: float = 0.0

    def span(self, marks: Mapping[str, float]) -> tuple[float, float] | None:
        """Return it in the run's time; None when the run has not got that far."""
        if self.begin not in marks or self.end not in marks:
            return None
        return marks[self.begin] - self.before, marks[self.end] + self.after


@dataclass(frozen=True)
class Expectation:
    """The limits of one fault. An outage (s) of None is reported and not judged.

    `at_risk` are the spans whose acknowledged writes may be lost; `overlap` (s) is for how long
    two nodes may accept writes, None without a limit; `stale` (s) how old a kind's reads may be.
    """

    outage: Mapping[str, float | None]
    at_risk: tuple[Window, ...]
    overlap: float | None
    stale: Mapping[str, float | None]
    failovers: int = 1


def expect(fault: Fault, settings: LiveSettings) -> Expectation:
    """Say what a fault may cost with these settings."""
    fencing = settings.fencing
    return Expectation(
        outage=_outage(fault, settings) | {STOCK_RETRYING: None},
        at_risk=_at_risk(fault, fencing),
        overlap=_overlap(fault, settings),
        # A cut-off master is fenced for writes alone: redis-py goes on reading what it holds.
        stale={OURS: fencing},
    )


def _outage(fault: Fault, settings: LiveSettings) -> dict[str, float | None]:
    if fault == "plain":
        return dict.fromkeys(_SWITCHOVER)
    if fault == "switchover":
        return dict(_SWITCHOVER)
    if fault == "crash" and settings.witnessed:
        return dict(zip((OURS, STOCK), WITNESSED, strict=True))
    if fault in ("crash-unseen", "partition"):
        # An address falls silent: what the planner predicts at most, whoever the client is.
        return dict.fromkeys(_ELECTION, settings.down_after + ELECTION + SILENCE_EXTRA)
    if fault == "asymmetric-partition":
        # The old master still answers: that it refuses writes does not make redis-py leave it.
        return {OURS: settings.down_after + settings.max_lag + _ELECTION[OURS], STOCK: None}
    extra = settings.down_after + (HANG_EXTRA if fault == "hang" else 0.0)
    return {kind: extra + election for kind, election in _ELECTION.items()}


def _at_risk(fault: Fault, fencing: float | None) -> tuple[Window, ...]:
    until_fenced = float("inf") if fencing is None else fencing
    at_once = Window(BEGUN, DONE, before=_UNREPLICATED, after=_SLACK)
    match fault:
        case "switchover":
            return ()
        case "crash" | "crash-unseen":
            return (at_once,)
        case "hang":
            # It wakes as a master, and sees only at its next look that its replicas are gone.
            return (at_once, Window(HEALING, HEALED, after=_LOOK + _SLACK))
        case "partition":
            return (Window(BEGUN, DONE, before=_UNREPLICATED, after=until_fenced),)
        case "asymmetric-partition":
            return (Window(BEGUN, PROMOTED, before=_UNREPLICATED, after=until_fenced),)
        case "plain":
            return (Window(BEGUN, PROMOTED, before=_UNREPLICATED, after=_PLAIN_OVERLAP),)


def _overlap(fault: Fault, settings: LiveSettings) -> float | None:
    fencing = settings.fencing
    if fault in ("crash", "crash-unseen", "switchover"):
        return 0.0
    if fault == "plain":
        return _PLAIN_OVERLAP
    if fault == "hang":
        return _LOOK + _SLACK if fencing is not None else None
    if fencing is None:
        return None
    # The other side promotes after down-after at the earliest; a cut-off master is fenced before.
    begin = 0.0 if fault == "asymmetric-partition" else settings.down_after
    return max(0.0, fencing - begin)
