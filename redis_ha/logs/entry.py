"""One entry of a log, whoever wrote it: the schema of docs/LOGS.md."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from redis_ha.eventlog import LEVELS, stamp

# The event of a line that has no name of its own; its text is in `message`.
PLAIN = "message"


@dataclass(frozen=True)
class Entry:
    """What happened, when (UTC), on which node, and who says so.

    `component` is redis, sentinel, guard, witness, worker, ... ("" unknown); `message` is the text
    of a foreign line, "" in ours, whose `fields` say all.
    """

    time: datetime
    level: str
    event: str
    node: str
    component: str = ""
    message: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """What a person reads of it, beside time, node and component."""
        if self.event != PLAIN and not self.message:
            return " ".join([self.event, *(f"{k}={_shown(v)}" for k, v in self.fields.items())])
        return self.message if self.event == PLAIN else f"{self.event} {self.message}".rstrip()

    def described(self) -> dict[str, Any]:
        """Give plain values for JSON."""
        head = {"time": stamp(self.time), "level": self.level, "event": self.event}
        place = {"node": self.node, "component": self.component}
        said = {"message": self.message} if self.message else {}
        return {**head, **place, **said, **self.fields}


def weighs(level: str) -> int:
    """Give a level's place among LEVELS."""
    return LEVELS.index(level)


def _shown(value: object) -> str:
    text = str(value)
    return f'"{text}"' if " " in text and "\n" not in text else text
