"""A check's result with its reason and remedy: the shape that health, ready and doctor share."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from enum import IntEnum


class State(IntEnum):
    """How a check ended, the worse the higher; UNKNOWN is what can't be seen from here."""

    OK = 0
    UNKNOWN = 1
    WARNING = 2
    BAD = 3


@dataclass(frozen=True)
class Finding:
    """What one check found on one subject (a node's name, or "" for the cluster)."""

    check: str
    state: State
    reason: str
    remedy: str = ""
    subject: str = ""

    def described(self) -> dict[str, str]:
        """Give plain values for JSON."""
        return asdict(self) | {"state": self.state.name.lower()}


def ok(check: str, reason: str) -> Finding:
    """Build the finding of a check that passed."""
    return Finding(check, State.OK, reason)


def bad(check: str, reason: str, *, remedy: str) -> Finding:
    """Build the finding of a check of the whole cluster that failed."""
    return Finding(check, State.BAD, reason, remedy)


def worst(findings: Iterable[Finding]) -> State:
    """Return the worst state; OK when there are none."""
    return max((finding.state for finding in findings), default=State.OK)


def settle(check: str, troubles: Sequence[Finding], *, fine: str) -> tuple[Finding, ...]:
    """Return a check's troubles, or one finding that says what is fine."""
    return tuple(troubles) or (ok(check, fine),)


def grouped(findings: Sequence[Finding]) -> list[Finding]:
    """Merge those that say the same of several subjects; they stay where the first one stood."""
    merged: dict[Finding, list[str]] = {}
    for finding in findings:
        merged.setdefault(replace(finding, subject=""), []).append(finding.subject)
    return [
        replace(finding, subject=", ".join(filter(None, names)))
        for finding, names in merged.items()
    ]
