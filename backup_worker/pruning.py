"""Deletes what the retention's plan lets go, and says what the store does not let go."""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from backup_worker.catalog import Catalog
from backup_worker.errors import DeletionRefused
from backup_worker.eventlog import emit
from backup_worker.holdings import read_holdings
from backup_worker.retention import Verdict, plan_retention, snapshot_keys
from backup_worker.store.contract import Store

_AT_ONCE = 8


@dataclass(frozen=True)
class Pruned:
    """What was deleted, what the store refused to delete and why, and what wasn't tried after."""

    deleted: tuple[Verdict, ...] = ()
    refused: tuple[tuple[Verdict, str], ...] = ()
    untried: tuple[Verdict, ...] = ()


def prune(store: Store, verdicts: Sequence[Verdict]) -> Pruned:
    """Delete what is not to be kept, the oldest first, each one's objects in their order.

    A refusal stops no other, until a whole batch is refused: then the store lets nothing go.
    Raises StoreUnreachable, LeaseLost.
    """
    doomed = [verdict for verdict in reversed(verdicts) if not verdict.keep]
    deleted: list[Verdict] = []
    refused: list[tuple[Verdict, str]] = []
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for start in range(0, len(doomed), _AT_ONCE):
            batch = doomed[start : start + _AT_ONCE]
            causes = list(pool.map(lambda verdict: _delete(store, verdict), batch))
            deleted += [v for v, cause in zip(batch, causes, strict=True) if cause is None]
            refused += [(v, cause) for v, cause in zip(batch, causes, strict=True) if cause]
            if all(causes):
                return Pruned(tuple(deleted), tuple(refused), tuple(doomed[start + len(batch) :]))
    return Pruned(tuple(deleted), tuple(refused))


def discard(store: Store, snapshot: str) -> None:
    """Delete what is there of a snapshot that was not published."""
    for key in snapshot_keys(snapshot):
        store.delete(key)


@dataclass
class Pruning:
    """What the worker does after each snapshot; a store that keeps everything is told of once."""

    window: timedelta
    wall: Callable[[], datetime]
    _told: bool = field(default=False, init=False)

    def __call__(self, catalog: Catalog) -> None:
        """Prune. Raises StoreUnreachable, LeaseLost."""
        holdings = read_holdings(catalog)
        pruned = prune(catalog.store, plan_retention(holdings, now=self.wall(), window=self.window))
        if pruned.deleted:
            emit("pruned", deleted=_counts(pruned.deleted))
        if pruned.refused and not self._told:
            self._told = True
            emit(
                "the store deletes nothing for this worker: leave it to the store's own rules",
                level=logging.WARNING,
                first=pruned.refused[0][0].name,
                cause=pruned.refused[0][1],
            )


def _delete(store: Store, verdict: Verdict) -> str | None:
    """Delete one thing's objects; return why the store refused, None when it did not."""
    try:
        for key in verdict.keys:
            store.delete(key)
    except DeletionRefused as error:
        return error.cause or "refused"
    return None


def _counts(verdicts: Sequence[Verdict]) -> dict[str, int]:
    return dict(Counter(verdict.what.value for verdict in verdicts))
