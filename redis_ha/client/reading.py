"""Which replica serves a read: those fresh enough in turn, a failed one left alone for a while."""

import threading
import time
from collections import deque
from concurrent.futures import Future

from redis_ha.client.locator import Locator
from redis_ha.client.scout import Scout
from redis_ha.client.staleness import Ages, Mark, fresh_at
from redis_ha.connection import Address
from redis_ha.discovery import NodeView, SentinelView, at_once

REFRESH_SECONDS = 1.0
LEAVE_ALONE_SECONDS = 2.0
# Every so many refreshes a sentinel is asked for replicas that are new.
_LIST_EVERY = 10


class Readers:
    """The replicas of a client; looked at once a second while there are reads for them."""

    def __init__(self, locator: Locator, max_lag_seconds: float) -> None:
        self._locator = locator
        self._max_lag = max_lag_seconds
        self._scout = Scout(locator.access)
        self._marks: deque[Mark] = deque(maxlen=64)
        self._ages = Ages({})
        self._shunned: dict[Address, float] = {}
        self._lock = threading.Lock()
        self._refresh: Future[None] | None = None
        # As a sentinel listed them last; the locator's are all that there ever were.
        self._listed: frozenset[Address] = frozenset()
        self._turn = 0
        self._refreshes = 0

    def look(self) -> Future[None] | None:
        """Refresh what is known when it is due; return what to wait for when it is too old."""
        now = time.monotonic()
        if now < self._ages.looked_at + REFRESH_SECONDS:
            return None
        # Asked first: the refresh may be done before the next line.
        too_old = now > self._ages.looked_at + 2 * REFRESH_SECONDS
        refresh = self._begin_refresh()
        return refresh if too_old else None

    def next(self) -> Address | None:
        """Return the replica whose turn it is; None sends the read to the master."""
        now = time.monotonic()
        usable = [
            address
            for address in self._ages.usable(now, max_lag_seconds=self._max_lag)
            if self._shunned.get(address, 0.0) <= now
        ]
        self._turn += 1
        return usable[self._turn % len(usable)] if usable else None

    def is_silent(self, address: Address) -> bool:
        """Say whether a replica didn't answer when it was last looked at; look again when due."""
        self.look()
        return address in self._ages.silent

    def shun(self, address: Address) -> None:
        """Leave a replica that failed alone for a while."""
        self._shunned[address] = time.monotonic() + LEAVE_ALONE_SECONDS

    def _begin_refresh(self) -> Future[None]:
        with self._lock:
            if self._refresh is None or self._refresh.done():
                self._refresh = Future()
                threading.Thread(target=self._run, args=(self._refresh,), daemon=True).start()
            return self._refresh

    def _run(self, done: Future[None]) -> None:
        try:
            self._look_at_all()
            done.set_result(None)
        except Exception as error:  # noqa: BLE001 - whoever waits shall see it
            done.set_exception(error)

    def _look_at_all(self) -> None:
        if self._refreshes % _LIST_EVERY == 0:
            self._list()
        self._refreshes += 1
        master = self._locator.known.address if self._locator.known else None
        if master is not None:
            # Before the replicas: else they would always seem to be behind under load.
            view, at = self._ask(master), time.monotonic()
            if view.role == "master":
                self._marks.append(Mark(at, view.replid, view.offset))
        nodes = self._listed or self._locator.nodes
        # At once: else those that are lost hold up the news of the others, and reads wait for it.
        views = at_once(self._ask, [address for address in nodes if address != master])
        found = {view.address: fresh_at(view, self._marks) for view in views}
        fresh = {address: at for address, at in found.items() if at is not None}
        silent = frozenset(view.address for view in views if view.role is None)
        self._ages = Ages(fresh, silent, looked_at=time.monotonic())

    def _list(self) -> None:
        for sentinel in self._locator.access.sentinels:
            report = self._scout.ask_sentinel(sentinel)
            self._scout.close(sentinel)
            if isinstance(report.view, SentinelView) and report.view.master is not None:
                self._listed = frozenset((report.view.master, *report.replicas))
                self._locator.nodes |= self._listed
                return

    def _ask(self, address: Address) -> NodeView:
        view = self._scout.ask_node(address).view
        return view if isinstance(view, NodeView) else NodeView(address)

    def close(self) -> None:
        """Close the connections of its own."""
        for address in self._locator.nodes:
            self._scout.close(address)
