"""Looks at a cluster again and again, each kind of look at its own pace, for whoever asks.

However many ask, the cluster is looked at by these threads only, over connections that stay open.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial

from redis_ha import containers
from redis_ha.backup_report import ask_backup, ask_snapshots
from redis_ha.dashboard.known import (
    Backups,
    Known,
    Look,
    Thorough,
    with_backups,
    with_look,
    with_problem,
    with_thorough,
)
from redis_ha.kept import keeping
from redis_ha.round_trip import write_and_read
from redis_ha.site import Site
from redis_ha.surveying import take_survey

# Rights, witnesses and containers change seldom, and asking for them costs more (s).
_THOROUGH_SECONDS = 10.0
# Listing the store starts a process in the worker's container (s).
_BACKUP_SECONDS = 60.0
Change = Callable[[Known], Known]


class Watcher:
    """What is known of a cluster at any moment; `watching` keeps it up to date."""

    def __init__(self, site: Site, interval: float) -> None:
        self._site = site
        self._interval = interval
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._began = (time.time(), time.monotonic())
        self._known = Known(began=self.now())

    def now(self) -> float:
        """Return the time in seconds since 1970, which never goes back while we watch."""
        wall, monotonic = self._began
        return wall + time.monotonic() - monotonic

    def known(self) -> Known:
        """Return all that is known."""
        return self._known

    @contextmanager
    def watching(self) -> Iterator["Watcher"]:
        """Look from now to the end of the block."""
        with ExitStack() as stack:
            site = _keeping(self._site, stack)
            paces: tuple[tuple[str, float, Callable[[], Change]], ...] = (
                ("cluster", self._interval, lambda: partial(with_look, look=self._look(site))),
                ("rights", _THOROUGH_SECONDS, self._thorough),
                ("backups", _BACKUP_SECONDS, self._backups),
            )
            threads = [
                threading.Thread(target=self._repeat, args=pace, daemon=True) for pace in paces
            ]
            for thread in threads:
                thread.start()
            try:
                yield self
            finally:
                self._stop.set()
                # One that waits for a silent node isn't waited for: it ends with the process.
                threads[0].join(0.5)

    def _repeat(self, kind: str, seconds: float, look: Callable[[], Change]) -> None:
        due = time.monotonic()
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            due = time.monotonic() + seconds
            problem = ""
            change: Change = _no_change
            try:
                change = look()
            except Exception as error:  # noqa: BLE001 - the next look may do; the page says so
                problem = f"{type(error).__name__}: {error}"
            with self._lock:
                self._known = with_problem(change(self._known), kind, problem)

    def _look(self, site: Site) -> Look:
        began = self.now()
        trip = write_and_read(site.app, name=site.name_of)
        survey = take_survey(site)
        ended = self.now()
        return Look(ended, ended - began, survey, trip)

    def _thorough(self) -> Change:
        site = self._site
        names = [m.container for m in (*site.data_nodes, *site.sentinels) if m.container]
        survey = take_survey(site, rights=True, witnesses=True)
        thorough = Thorough(survey, containers.inspect(names))
        return partial(with_thorough, thorough=thorough)

    def _backups(self) -> Change:
        settings, environ = self._site.settings, os.environ
        report = ask_backup(settings, environ)
        snapshots = report.absent or ask_snapshots(settings, environ)
        return partial(with_backups, backups=Backups(self.now(), report, snapshots))


def _no_change(known: Known) -> Known:
    return known


def _keeping(site: Site, stack: ExitStack) -> Site:
    """Return the same site with connections that stay open."""
    app = None if site.app is None else stack.enter_context(keeping(site.app))
    return replace(site, operator=stack.enter_context(keeping(site.operator)), app=app)
