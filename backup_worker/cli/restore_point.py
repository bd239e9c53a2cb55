"""Which point `restore` was asked for: found in the history, and how it is shown."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import age
from backup_worker.cli.log_text import logged_line, match_fields
from backup_worker.cli.output import human_size
from backup_worker.cli.restore_request import Request
from backup_worker.errors import UsageError
from backup_worker.log.history import History
from backup_worker.log.plan import AtTime, Replay, Target
from backup_worker.log.reading import SegmentReader
from backup_worker.log.search import LogSearch, Match, Pattern
from backup_worker.log.times import rfc3339
from backup_worker.manifest import Manifest


@dataclass(frozen=True)
class Located:
    """A point and the way there.

    `exact` is False where no key was there to find the last boundary. `arrived_ms` is when the
    last byte had arrived; `match` what the point lies before, if that was asked for.
    """

    history: History
    replay: Replay
    exact: bool
    arrived_ms: int | None
    match: Match | None = None


def locate(
    history: History,
    request: Request,
    identities: Sequence[age.Identity],
    *,
    base: Manifest | None,
) -> Located:
    """Find the point; raises PointNotFound, SnapshotCorrupt, WrongKey, UsageError."""
    match = _search(history, request, identities)
    replay = history.plan(_target(request, match), base=base)
    if identities:
        replay = history.cut(replay, identities)
    return Located(history, replay, bool(identities), history.arrival(replay), match)


def point_fields(located: Located, *, values: bool) -> dict[str, Any]:
    """Return a point as JSON can carry it (from the container to the host)."""
    replay, match = located.replay, located.match
    return {
        "time": None if located.arrived_ms is None else rfc3339(located.arrived_ms),
        "timeline": replay.replid,
        "offset": replay.offset,
        "exact": located.exact,
        "log_bytes": replay.size,
        "segments": len(replay.pieces),
        "match": None if match is None else match_fields(match, values=values),
    }


def point_lines(fields: dict[str, Any]) -> dict[str, str]:
    """Return a point's fields for a person."""
    limit = "" if fields["exact"] else "at most "
    arrived = f", arrived by {fields['time']}" if fields["time"] else ""
    size = human_size(fields["log_bytes"])
    return {
        "point": f"{limit}offset {fields['offset']} of {fields['timeline'][:12]}{arrived}",
        "replays": f"{size} of the log in {fields['segments']} segments",
    }


def match_lines(fields: dict[str, Any]) -> list[str]:
    """Return a match between its neighbours; what is restored, and what is not."""
    match = fields["match"]
    if match is None:
        return []
    found = match["found"]
    rows = [*match["before"], found, *match["after"]]
    restored = [one["offset"] <= fields["offset"] for one in rows]
    lines = [
        f"{'>' if one is found else ' '} {'kept' if kept else 'gone'}\t{logged_line(one)}"
        for one, kept in zip(rows, restored, strict=True)
    ]
    return ["", "the last match (>), and what comes before and after it:", *lines, ""]


def _search(history: History, request: Request, identities: Sequence[age.Identity]) -> Match | None:
    if request.before_command is None:
        return None
    pattern = Pattern.parse(request.before_command)
    if not identities:
        raise UsageError(
            operation="find",
            subject=f"`{pattern}` in the log",
            cause="no identity was given, and only it opens the log",
            hint="add --identity FILE",
        )
    return LogSearch(history, SegmentReader(history.log.store, identities)).last(pattern)


def _target(request: Request, match: Match | None) -> Target:
    if match is not None:
        return match.target
    if request.at is not None:
        return AtTime(request.at)
    if request.offset is not None:
        return request.offset
    raise ValueError("no point was asked for")
