"""Deletes what the retention's plan lets go, or marks it where only the store's rules delete."""

import logging
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from backup_worker.catalog import Catalog
from backup_worker.errors import DeletionRefused
from backup_worker.holdings import read_holdings
from backup_worker.retention import Allowance, Verdict, What, plan_retention, snapshot_keys
from backup_worker.store.contract import Store
from redis_ha.eventlog import emit

_AT_ONCE = 8
# Snapshots that a round may let go beside those of earlier rounds. One comes a round; where the
# clock was wrong before the worker began, a history of days takes days to go.
_MORE = 3


class Fate(StrEnum):
    """What became of a thing that is not to be kept."""

    DELETED = "deleted"
    MARKED = "marked"
    REFUSED = "refused"


@dataclass(frozen=True)
class Pruned:
    """What was deleted, what was only marked for the store's own rules since this user may not
    delete, what the store refused even so and why, and what wasn't tried after that.
    """

    deleted: tuple[Verdict, ...] = ()
    marked: tuple[Verdict, ...] = ()
    refused: tuple[tuple[Verdict, str], ...] = ()
    untried: tuple[Verdict, ...] = ()


def prune(
    store: Store, verdicts: Sequence[Verdict], *, marked: Collection[str] = frozenset()
) -> Pruned:
    """Delete what is not to be kept, the oldest first, each one's objects in their order.

    What may not be deleted is marked, and left alone if its name is among `marked`. A refusal
    stops no other, until a whole batch is refused: then the store lets nothing go.
    Raises StoreUnreachable, LeaseLost.
    """
    doomed = [v for v in reversed(verdicts) if not v.keep and v.name not in marked]
    told: list[tuple[Verdict, Fate, str]] = []
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for start in range(0, len(doomed), _AT_ONCE):
            batch = doomed[start : start + _AT_ONCE]
            fates = list(pool.map(lambda verdict: _let_go(store, verdict), batch))
            told += [(v, fate, cause) for v, (fate, cause) in zip(batch, fates, strict=True)]
            if all(fate is Fate.REFUSED for fate, _ in fates):
                break
    return Pruned(
        deleted=tuple(v for v, fate, _ in told if fate is Fate.DELETED),
        marked=tuple(v for v, fate, _ in told if fate is Fate.MARKED),
        refused=tuple((v, cause) for v, fate, cause in told if fate is Fate.REFUSED),
        untried=tuple(doomed[len(told) :]),
    )


def discard(store: Store, snapshot: str) -> None:
    """Delete what is there of a snapshot that was not published."""
    for key in snapshot_keys(snapshot):
        store.delete(key)


@dataclass
class Pruning:
    """What the worker does after each snapshot; a store that keeps everything is told of once.

    What it has marked it remembers until the store has removed it, and marks it no second time.
    `date` should not follow a wall clock that leaps (calendar.py).
    """

    window: timedelta
    date: Callable[[], datetime]
    _told: bool = field(default=False, init=False)
    _marked: frozenset[str] = field(default=frozenset(), init=False)
    _doomed: frozenset[str] = field(default=frozenset(), init=False)

    def __call__(self, catalog: Catalog) -> int:
        """Prune; return how much was deleted. Raises StoreUnreachable, LeaseLost."""
        holdings = read_holdings(catalog)
        allowance = Allowance(_MORE, self._doomed)
        verdicts = plan_retention(
            holdings, now=self.date(), window=self.window, allowance=allowance
        )
        pruned = prune(catalog.store, verdicts, marked=self._marked)
        gone = [verdict for verdict in verdicts if not verdict.keep]
        self._doomed = frozenset(v.name for v in gone if v.what is What.SNAPSHOT)
        doomed = {verdict.name for verdict in gone}
        self._marked = self._marked & doomed | {verdict.name for verdict in pruned.marked}
        self._tell(pruned)
        return len(pruned.deleted)

    def _tell(self, pruned: Pruned) -> None:
        parts = {"deleted": _counts(pruned.deleted), "marked": _counts(pruned.marked)}
        told: dict[str, Any] = {name: counts for name, counts in parts.items() if counts}
        if told:
            emit("pruned", **told)
        if pruned.refused and not self._told:
            self._told = True
            emit(
                "pruning-refused",
                level=logging.WARNING,
                first=pruned.refused[0][0].name,
                cause=pruned.refused[0][1],
                hint="leave it to the store's own rules",
            )


def _let_go(store: Store, verdict: Verdict) -> tuple[Fate, str]:
    """Delete one thing's objects, or mark them; say what came of it, and why it was not deleted."""
    try:
        for key in verdict.keys:
            store.delete(key)
    except DeletionRefused as error:
        return _mark(store, verdict), error.cause or "refused"
    return Fate.DELETED, ""


def _mark(store: Store, verdict: Verdict) -> Fate:
    try:
        for key in verdict.keys:
            store.expire(key)
    except DeletionRefused:
        return Fate.REFUSED
    return Fate.MARKED


def _counts(verdicts: Sequence[Verdict]) -> dict[str, int]:
    return dict(Counter(verdict.what.value for verdict in verdicts))
