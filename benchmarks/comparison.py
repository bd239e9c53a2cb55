"""Two sets of results held against each other: whether they may be, and what changed. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.figures import Figure, measured

# What must be the same, in `measured_on`, for a figure to say something about the code.
SAME = ("cpu", "cpus", "memory_gib", "kernel", "redis", "settings")


@dataclass(frozen=True)
class Change:
    """A figure in two results; `factor` above 1 is worse than before. `after` None: it is gone."""

    figure: Figure
    before: float
    after: float | None

    @property
    def factor(self) -> float:
        if self.after is None:
            return math.inf
        if self.before == self.after:
            return 1.0
        pair = (self.before, self.after)
        good, bad = pair if self.figure.better == "lower" else pair[::-1]
        return bad / good if good else math.inf

    def __str__(self) -> str:
        after = "gone" if self.after is None else self.after
        return f"{self.factor:6.2f}  {self.figure.name}: {self.before} -> {after}"


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """Compare the benchmarks that both ran, the worst figure first; a peer's only when gone."""
    found = [
        Change(figure, value, figure.of(after))
        for figure, value in measured(before)
        if figure.benchmark in after
    ]
    ours = [change for change in found if change.after is None or not change.figure.peer]
    return sorted(ours, key=lambda change: -change.factor)


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Say why the two may not be compared; "" when they may: the same machine and settings.

    What was not recorded, as in results of an older form, is not known to be the same.
    """
    for name in sorted(set(before) & set(after)):
        one, other = (each[name].get("measured_on", {}) for each in (before, after))
        for key in SAME:
            if key not in one or key not in other:
                return f"{name}: {key} was not recorded {'after' if key in one else 'before'}"
            if one[key] != other[key]:
                return f"{name}: {key} was {one[key]} and is {other[key]}"
    return ""
