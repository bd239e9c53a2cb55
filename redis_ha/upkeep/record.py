"""What was done to a cluster, in a small file (0600) that each deed is added to.

`{"version": 1, "deeds": [{"task", "at" (UTC, ISO 8601), "passed", "evidence", "cluster"}, ...]}`,
the oldest first; `cluster` lists the ids of its sentinels, where they are known.
"""

import fcntl
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from redis_ha.discovery import Access
from redis_ha.errors import BadSetting
from redis_ha.upkeep.place import cluster_file

VERSION = 1
# Of a daily task more than a year; one that fails each five minutes fills it in half a week.
KEPT = 1_000
# Two machines' clocks may differ by so much.
AHEAD = timedelta(minutes=5)


@dataclass(frozen=True)
class Deed:
    """Something that was done or looked at: when, whether all was well, and what shows it.

    `cluster` is to which, as `redis_ha.upkeep.identity` has it; () where that isn't known.
    """

    task: str
    at: datetime
    passed: bool
    evidence: str
    cluster: tuple[str, ...] = ()

    def described(self) -> dict[str, Any]:
        """Give plain values for JSON."""
        return {**vars(self), "at": self.at.isoformat(timespec="seconds")}


def record_path(access: Access, environ: Mapping[str, str], *, home: Path) -> Path:
    """Say where the record of a cluster is; each cluster has its own."""
    return cluster_file("record", access, environ, home=home)


def read_record(path: Path) -> tuple[Deed, ...]:
    """Give all deeds, oldest first; none before the first. Raises BadSetting."""
    try:
        return _parse(path.read_text()) if path.exists() else ()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadSetting(
            operation="read the record",
            subject=str(path),
            cause=f"{type(error).__name__}: {error}",
            hint="move it away: what is in it will be due again",
        ) from error


def note(path: Path, *deeds: Deed) -> None:
    """Add deeds, on disk when this returns; several may do so at once. Raises BadSetting."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            _write(path, kept((*read_record(path), *deeds)))
    except OSError as error:
        raise BadSetting(
            operation="add to the record",
            subject=str(path),
            cause=str(error.strerror or error),
            hint="make its folder one that you may write to, or set XDG_STATE_HOME to another",
        ) from error


def kept(deeds: Sequence[Deed]) -> tuple[Deed, ...]:
    """Give the last KEPT and, however old, the newest of each task that passed and that failed.

    A yearly task is not done again because a daily one was noted often. The last was noted now:
    what is dated later is nobody's newest.
    """
    by_time = sorted(
        range(len(deeds)),
        key=lambda place: (deeds[place].at <= deeds[-1].at + AHEAD, deeds[place].at),
    )
    newest = {(deeds[place].task, deeds[place].passed): place for place in by_time}
    last_ones = range(max(0, len(deeds) - KEPT), len(deeds))
    return tuple(deeds[place] for place in sorted({*newest.values(), *last_ones}))


def credible(deeds: Sequence[Deed], *, now: datetime, cluster: Sequence[str]) -> tuple[Deed, ...]:
    """Leave out what is dated in the future, and what was done to another cluster.

    One that doesn't say to which cluster counts: no sentinel answered then, or the record is old.
    """
    return tuple(deed for deed in deeds if deed.at <= now + AHEAD and _is_of(deed, cluster))


def dated_ahead(deeds: Sequence[Deed], *, now: datetime) -> tuple[Deed, ...]:
    """Give those that are dated in the future: a clock was wrong, nobody knows when they were."""
    return tuple(deed for deed in deeds if deed.at > now + AHEAD)


def _is_of(deed: Deed, cluster: Sequence[str]) -> bool:
    return not deed.cluster or not cluster or not set(deed.cluster).isdisjoint(cluster)


def last(deeds: Sequence[Deed], task: str, *, passed: bool | None = None) -> Deed | None:
    """Find the newest deed of a task; with `passed` the newest that ended so."""
    ended = (d for d in deeds if d.task == task and passed in (None, d.passed))
    return max(ended, key=lambda deed: deed.at, default=None)


def _parse(text: str) -> tuple[Deed, ...]:
    document = json.loads(text)
    if document["version"] != VERSION:
        raise ValueError(f"version {document['version']} is not known here")
    return tuple(_deed(fields) for fields in document["deeds"])


def _deed(fields: Mapping[str, Any]) -> Deed:
    at = datetime.fromisoformat(fields["at"])
    if at.tzinfo is None:
        raise ValueError(f"{fields['at']} names no time zone")
    cluster = tuple(map(str, fields.get("cluster", ())))
    return Deed(str(fields["task"]), at, bool(fields["passed"]), str(fields["evidence"]), cluster)


def _write(path: Path, deeds: Sequence[Deed]) -> None:
    document = {"version": VERSION, "deeds": [deed.described() for deed in deeds]}
    making = path.with_suffix(".new")
    making.unlink(missing_ok=True)
    descriptor = os.open(making, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(document, file, indent=1)
        file.flush()
        os.fsync(descriptor)
    making.replace(path)
