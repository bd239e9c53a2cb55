"""What a fault is, and which acknowledged writes it may cost. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from infra.prediction import FENCING_EXTRA

Kind = Literal[
    "crash",
    "oom",
    "hang",
    "stop",
    "rolling",
    "isolate",
    "deaf",
    "dumb",
    "loss",
    "slow network",
    "empty",
    "stale",
    "full disk",
    "slow disk",
    "stuck disk",
    "clock ahead",
    "clock behind",
    "misled",
]
MAX_LAG = 3
# The planner's bound for an isolated master, and for one that comes back beside its successor (s).
FENCED_WITHIN = MAX_LAG + FENCING_EXTRA
# What was acknowledged so shortly before an end may not have reached a replica (s).
UNREPLICATED = 1.0
# Redis puts off writing its log by so much at most when the disk is busy (s, appendfsync everysec).
UNWRITTEN = 2.0
# A master that lives beside its successor is fenced by a witness after so long (s, busy machine).
FENCED_BESIDE = 1.0
# How exactly the test knows when a fault took hold (s).
_SLACK = 1.0
_ENDS_AT_ONCE = frozenset({"crash", "oom", "empty", "stale"})
# Sentinel may fail over a master that answers again just then.
_LIVES_ON = frozenset({"hang", "full disk"})
_COSTS_NOTHING = frozenset(
    {"stop", "rolling", "full disk", "clock ahead", "clock behind", "misled"}
)
# Kinds for whose time a node is of no use to others.
_AWAY = _ENDS_AT_ONCE | {
    "stop",
    "rolling",
    "hang",
    "stuck disk",
    "isolate",
    "deaf",
    "dumb",
    "loss",
    "slow network",
    "clock ahead",
    "clock behind",
    "misled",
}


@dataclass(frozen=True)
class Fault:
    """One fault: who is hurt, when it begins (s into the scenario), and how long it lasts (s)."""

    kind: Kind
    part: str = "master"
    at: float = 0.0
    seconds: float = 6.0

    def __str__(self) -> str:
        return f"{self.kind} {self.part} at {self.at:.1f} for {self.seconds:.1f} s"


@dataclass(frozen=True)
class Happened:
    """A fault that was played (times in monotonic s), and whether it hit a master.

    `held` is when it had taken hold: the kernel takes its time to end a process.
    """

    fault: Fault
    begun: float
    held: float
    ended: float
    hit_master: bool

    def excuses(self, moment: float) -> bool:
        """Say whether a write that was acknowledged then may be lost by it.

        Only a master's acknowledgement can be lost, and only what hadn't left it: shortly before
        its end, until it is fenced when it is cut off, and likewise once it is back.
        """
        kind = self.fault.kind
        if not self.hit_master or kind in _COSTS_NOTHING:
            return False
        before = self.begun - UNREPLICATED - UNWRITTEN
        if kind in _ENDS_AT_ONCE or kind == "hang":
            return before <= moment <= self.held + _SLACK
        if kind in ("loss", "slow network", "slow disk"):
            return before <= moment <= self.ended + FENCED_WITHIN
        return before <= moment <= self.held + FENCED_WITHIN + _SLACK or self._is_just_over(moment)

    def lets_live_on(self, moment: float) -> bool:
        """Say whether it was a master then that lived on and may have got a successor."""
        lived = self.hit_master and self.fault.kind in _LIVES_ON
        return lived and self._is_just_over(moment)

    def _is_just_over(self, moment: float) -> bool:
        return self.ended - _SLACK <= moment <= self.ended + FENCED_WITHIN


def inexcusable(happened: Sequence[Happened], moments: Sequence[float]) -> list[float]:
    """Return, of the moments in which lost writes were acknowledged, those beyond the bound."""
    left = sorted(at for at in moments if not any(one.excuses(at) for one in happened))
    for one in happened:
        beside = [at for at in left if one.lets_live_on(at)]
        if beside and beside[-1] - beside[0] <= FENCED_BESIDE:
            left = [at for at in left if not one.lets_live_on(at)]
    return left


def may_tear_the_log(faults: Sequence[Fault]) -> bool:
    """Say whether the backup's log may have a gap, which the worker has to announce.

    A node that starts holds nothing of the stream from before. When it does while another one is
    away, nobody but the master may hold what is missing, and the worker doesn't burden that one.
    """
    hurt = [fault for fault in faults if "sentinel" not in fault.part]
    starts = [fault for fault in hurt if _starts_anew(fault)]
    if any(fault.part == "everything" and fault.kind != "rolling" for fault in starts):
        return True
    return bool(starts) and sum(one in starts or one.kind in _AWAY for one in hurt) > 1


def _starts_anew(fault: Fault) -> bool:
    """Say whether it ends a server; a replica that can't write its file ends itself."""
    if fault.kind == "full disk":
        return fault.part != "master"
    return fault.kind in _ENDS_AT_ONCE | {"stop", "rolling"}
