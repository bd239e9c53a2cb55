"""What a witness did so far: in a file beside the health file, and as its answer when asked."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

WATCHING, NOT_LET_IN, NO_MAJORITY = "watching", "not let in", "no majority of the sentinels"
# What a witness does while it has no death at hand, and what the core's decisions are called.
STATES = (
    *("starting", WATCHING, NO_MAJORITY, NOT_LET_IN, "death seen", "standing by"),
    *("asking for a failover", "withdrawn", "done"),
    *("leading a replica", "holding an old master", "fencing an old master"),
)
Counter = Literal["verdicts", "asked", "accepted", "withdrawn", "fenced", "rejected"]
COUNTERS: tuple[Counter, ...] = (
    *("verdicts", "asked", "accepted"),
    *("withdrawn", "fenced", "rejected"),
)
# What of a text is told: a status stays small, whatever a node says.
_MOST_CHARACTERS = 200
_MOST_ADDRESSES = 16


@dataclass(frozen=True)
class LastDeath:
    """The last death of a master that it saw: when its connection was closed, `at` (Unix time).

    `asked` names the sentinel that this witness asked, "" when it was another's turn; `_after` are
    seconds since `at`, None for what didn't happen. `outcome`: done, withdrawn, "" while open.
    """

    master: str
    at: float
    asked: str = ""
    asked_after: float | None = None
    ended_after: float | None = None
    outcome: str = ""


@dataclass(frozen=True)
class Status:
    """Counts since the start, and what it does now.

    `verdicts`: deaths of a master seen; `asked`: failovers asked for; `accepted`: of those, taken
    up by a sentinel; `withdrawn`: deaths taken back because the master answered again; `fenced`:
    old masters kept from writing; `rejected`: messages that were no votes and no questions.
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
    last: LastDeath | None = None

    def with_one_more(self, counter: Counter) -> "Status":
        """Count one thing."""
        counts: dict[str, Any] = {counter: getattr(self, counter) + 1}
        return replace(self, **counts)

    def fields(self) -> dict[str, Any]:
        """Give plain values for JSON; texts are cut to what a reader needs."""
        short = replace(
            self,
            reason=self.reason[:_MOST_CHARACTERS],
            unreachable=tuple(text[:_MOST_CHARACTERS] for text in self.unreachable)[
                :_MOST_ADDRESSES
            ],
        )
        return asdict(short)

    def write(self, path: Path) -> None:
        """Replace the file; readers see all of it or the one before."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        temporary = path.with_name(f".{path.name}.tmp")
        temporary.write_text(json.dumps({"time": now, **self.fields()}) + "\n")
        temporary.replace(path)


def at_rest(master: str, nodes: Mapping[str, str], sentinels: Mapping[str, str]) -> tuple[str, str]:
    """Say what a witness without a death at hand does, and why that isn't watching.

    `nodes` and `sentinels` map those that it isn't connected to to the reason, "" where it is.
    """
    refusing = [name for name, text in {**nodes, **sentinels}.items() if "WRONGPASS" in text]
    blind = not master or all("WRONGPASS" in text for text in nodes.values())
    if refusing and blind:
        return NOT_LET_IN, f"its password is wrong on {', '.join(refusing)}"
    return (WATCHING if master else NO_MAJORITY), ""


def load(path: Path) -> Status | None:
    """Read a status file; None when there is none, or none that can be read."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        return parse(json.loads(path.read_text()))
    return None


def parse(fields: Mapping[str, Any]) -> Status:
    """Read what `fields` gave; raises ValueError, KeyError or TypeError."""
    last = fields["last"]
    return Status(
        **{name: _count(fields[name]) for name in COUNTERS},
        master=str(fields["master"]),
        state=str(fields["state"]),
        reason=str(fields["reason"]),
        unreachable=tuple(map(str, fields["unreachable"])),
        last=None if last is None else _last(last),
    )


def _count(value: Any) -> int:
    if not isinstance(value, int) or value < 0:
        raise ValueError(f"{value!r} is no count")
    return value


def _last(fields: Mapping[str, Any]) -> LastDeath:
    return LastDeath(
        master=str(fields["master"]),
        at=float(fields["at"]),
        asked=str(fields["asked"]),
        asked_after=_seconds(fields["asked_after"]),
        ended_after=_seconds(fields["ended_after"]),
        outcome=str(fields["outcome"]),
    )


def _seconds(value: Any) -> float | None:
    return None if value is None else float(value)
