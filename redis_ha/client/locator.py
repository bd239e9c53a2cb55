"""Finds the master: one search at a time for all threads and tasks of a client.

A search asks every sentinel and every known data node, each in a thread of its own, again every
50 ms, at first the nodes every 20 ms: they show a promotion first. It ends with the first answer
on which `decide` settles.
"""

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field

from redis_ha.client.call import denied
from redis_ha.client.mastership import Evidence, Known, decide
from redis_ha.client.scout import Report, Scout
from redis_ha.connection import Address
from redis_ha.discovery import Access, NodeView, SentinelView
from redis_ha.errors import NoMaster

ROUND_SECONDS = 0.05
# A switchover and a crash that the witnesses see are over in this time: it is worth asking more.
_HASTY_FOR_SECONDS, _HASTY_ROUND_SECONDS = 0.6, 0.02
# Between two looks (s) at a master whose replies are slow.
SUSPICION_SECONDS = 0.5


def round_seconds(elapsed: float) -> float:
    """Say how long (s) to wait before asking again, when the trouble is this old (s)."""
    return _HASTY_ROUND_SECONDS if elapsed < _HASTY_FOR_SECONDS else ROUND_SECONDS


@dataclass
class Locator:
    """What a client knows of its cluster; `known` is the master, `nodes` all data nodes."""

    access: Access
    on_master: Callable[[Known], object]
    known: Known | None = None
    nodes: frozenset[Address] = frozenset()
    reason: str = "nobody was asked yet"
    closed: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _search: "_Search | None" = None
    _suspected: float = 0.0

    def search(self, until: float) -> Future[Known]:
        """Return the search that is under way, or start one; it goes on to `until` (monotonic).

        Its result is set after `on_master` was told; NoMaster or AccessDenied otherwise.
        """
        # A little longer than anybody waits, so that who waits knows his own time to be over.
        return self._begin(until + 1.0, doubt_only=False)

    def suspect(self) -> None:
        """Look whether the master still is one, without holding anybody up."""
        now = time.monotonic()
        with self._lock:
            if now < self._suspected + SUSPICION_SECONDS:
                return
            self._suspected = now
        self._begin(now + 10 * SUSPICION_SECONDS, doubt_only=True)

    def close(self) -> None:
        """End the search that may be under way, and later ones after one look."""
        with self._lock:
            self.closed = True
            if self._search is not None:
                self._search.until = 0.0

    def _begin(self, until: float, *, doubt_only: bool) -> Future[Known]:
        with self._lock:
            search, until = self._search, 0.0 if self.closed else until
            if search is None or search.future.done():
                search = self._search = _Search(self, until, doubt_only)
                threading.Thread(target=search.run, name="redis-ha-search", daemon=True).start()
            search.until = max(search.until, until)
            return search.future

    def settle(self, known: Known, nodes: Iterable[Address]) -> None:
        """Keep what a search found."""
        self.nodes |= frozenset(nodes)
        self.known = known
        self.on_master(known)


class _Search:
    def __init__(self, locator: Locator, until: float, doubt_only: bool) -> None:
        self.future: Future[Known] = Future()
        self.until = until
        self._began = time.monotonic()
        self._locator = locator
        self._doubt_only = doubt_only
        self._scout = Scout(locator.access)
        self._board: dict[Address, Report] = {}
        self._watched: set[Address] = set()
        self._changed = threading.Condition()
        self._over = False

    def run(self) -> None:
        """Search, tell the locator, resolve the future."""
        try:
            known = self._confirm() if self._doubt_only else None
            known = known or self._find()
            self._locator.settle(known, self._nodes())
            self.future.set_result(known)
        except Exception as error:  # noqa: BLE001 - whoever waits shall see it
            self.future.set_exception(error)
        finally:
            self._over = True

    def _confirm(self) -> Known | None:
        """Ask the known master alone: most slow replies come from one that is well."""
        known = self._locator.known
        if known is None:
            return None
        try:
            view = self._scout.ask_node(known.address).view
        finally:
            self._scout.close(known.address)
        well = isinstance(view, NodeView) and view.role == "master" and view.replid == known.replid
        return known if well else None

    def _find(self) -> Known:
        access, known = self._locator.access, self._locator.known
        # After a switchover the nodes alone tell: their answers come sooner without the sentinels'.
        sentinels_from = self._began + (ROUND_SECONDS if known else 0.0)
        with self._changed:
            while True:
                self._watch(self._nodes(), self._scout.ask_node, self._round)
                if time.monotonic() >= sentinels_from:
                    self._watch(access.sentinels, self._scout.ask_sentinel, lambda: ROUND_SECONDS)
                self._refuse_if_denied()
                verdict = decide(known, self._evidence())
                if verdict.master is not None:
                    return verdict.master
                self._locator.reason = verdict.reason
                if time.monotonic() >= self.until:
                    raise self._not_found(verdict.reason)
                self._changed.wait(self._round())

    def _round(self) -> float:
        return round_seconds(time.monotonic() - self._began)

    def _nodes(self) -> set[Address]:
        """Return all data nodes that somebody named."""
        nodes = set(self._locator.nodes)
        for report in list(self._board.values()):
            nodes.update(report.replicas)
            if report.view.master is not None:
                nodes.add(report.view.master)
        return nodes

    def _watch(
        self,
        addresses: Iterable[Address],
        ask: Callable[[Address], Report],
        pause: Callable[[], float],
    ) -> None:
        for address in set(addresses) - self._watched:
            self._watched.add(address)
            arguments = (address, ask, pause)
            threading.Thread(
                target=self._keep_asking, name="redis-ha-asking", args=arguments, daemon=True
            ).start()

    def _keep_asking(
        self, address: Address, ask: Callable[[Address], Report], pause: Callable[[], float]
    ) -> None:
        answered = False
        while not self._over:
            report = ask(address)
            with self._changed:
                self._board[address] = report
                self._changed.notify_all()
            # A promotion ends all connections to the new master: that one is asked anew at once.
            lost = answered and bool(report.view.problem)
            answered = not report.view.problem
            if not lost:
                time.sleep(pause())
        self._scout.close(address)

    def _evidence(self) -> Evidence:
        sentinels = self._locator.access.sentinels
        heard = [self._board[s].view for s in sentinels if s in self._board]
        missing = [SentinelView(s, problem="not heard yet") for s in sentinels[len(heard) :]]
        views = (view for view in heard if isinstance(view, SentinelView))
        nodes = (r.view for r in self._board.values() if isinstance(r.view, NodeView))
        return Evidence((*views, *missing), tuple(nodes), complete=not missing)

    def _refuse_if_denied(self) -> None:
        """Raise AccessDenied once all sentinels, or all data nodes, that answered refuse us."""
        for group in (frozenset(self._locator.access.sentinels), self._nodes()):
            reports = [self._board[a] for a in group if a in self._board]
            errors = [report.denial for report in reports if report.denial]
            welcome = any(not report.view.problem for report in reports)
            if errors and len(reports) == len(group) and not welcome:
                raise denied("the cluster", errors[0]) from errors[0]

    def _not_found(self, reason: str) -> NoMaster:
        return NoMaster(
            operation="find the master of",
            subject=self._locator.access.master_name,
            cause=reason,
            hint="see `redis-ha status`; a failover may be under way",
        )
