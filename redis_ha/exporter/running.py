"""Holds the loops that look at the cluster, each at its own pace, and serves what they saw."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from logging import ERROR
from pathlib import Path
from typing import NoReturn

from prometheus_client import CollectorRegistry, Metric, ProcessCollector, make_wsgi_app
from prometheus_client.registry import Collector

from redis_ha.errors import BadSetting
from redis_ha.eventlog import emit
from redis_ha.exporter.families import families
from redis_ha.exporter.looking import ask_expiries, look_at
from redis_ha.exporter.picture import (
    Event,
    Picture,
    Seen,
    begin,
    events,
    with_check,
    with_expiries,
    with_look,
    with_trip,
)
from redis_ha.exporter.settings import ExporterSettings
from redis_ha.kept import keeping
from redis_ha.round_trip import write_and_read
from redis_ha.serving import own_end, served
from redis_ha.site import Member, Site
from redis_ha.survey import Survey
from redis_ha.surveying import take_survey

# What this exporter is called among those whose certificates are looked at.
OWN_NAME = "ha-exporter"
# From the begin of one look to the next (s); while no master is available more often, for the
# outage to be measured well, but not for hours.
LOOK_SECONDS, OUTAGE_LOOK_SECONDS, CLOSE_LOOK_SECONDS = 1.0, 0.2, 60.0
TRIP_SECONDS = 2.0
CHECK_SECONDS = 20.0
# A change is looked into at once, but thorough surveys cost too much to follow each other closely.
_CHECK_AGAIN_SECONDS = 3.0
CERTIFICATE_SECONDS = 60.0
_FAILED_SECONDS = 5.0
_BEAT_SECONDS = 3.0
# Looks older than this (s) mean that the loop stands still: one takes a little over a timeout.
_STALE_SECONDS = 15.0
_END_SECONDS = 2.0


class Loop:
    """Calls `act` again and again; it returns after how long (s), from its begin, it is due again.

    `soonest` (s) is how closely two calls may follow each other when somebody is in a hurry.
    """

    def __init__(self, name: str, act: Callable[[], float], *, soonest: float = 0.0) -> None:
        self.name = name
        self._act = act
        self._soonest = soonest
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._failing = ""

    def hurry(self) -> None:
        """Have the next call come as soon as it may."""
        self._wake.set()

    def stop(self) -> None:
        self._stopped.set()
        self._wake.set()

    def run(self) -> None:
        """Go on until stopped."""
        while not self._stopped.is_set():
            began = time.monotonic()
            pause = self._once()
            self._wake.wait(max(0.0, began + pause - time.monotonic()))
            self._wake.clear()
            self._stopped.wait(max(0.0, began + min(pause, self._soonest) - time.monotonic()))

    def _once(self) -> float:
        try:
            pause = self._act()
        except Exception as error:  # noqa: BLE001 - whatever a node says, the next look may do
            if self._failing != repr(error):
                emit("look-failed", level=ERROR, trace=True, look=self.name)
            self._failing = repr(error)
            return _FAILED_SECONDS
        self._failing = ""
        return pause


class Exporter(Collector):
    """The picture of a cluster as its loops keep it up to date; collects metrics from it."""

    def __init__(self, site: Site, settings: ExporterSettings) -> None:
        self._lock = threading.Lock()
        self._settings = settings
        others = (Member(OWN_NAME, settings.listen), *settings.beside)
        self._picture = begin(site, _timed(lambda: look_at(site, {})), others=others)
        self._check = Loop("check", self.check, soonest=_CHECK_AGAIN_SECONDS)
        self.loops = (
            Loop("cluster", self.look),
            Loop("application", self.trip),
            self._check,
            Loop("certificates", self.certificates),
        )

    @property
    def picture(self) -> Picture:
        return self._picture

    def collect(self) -> Iterator[Metric]:
        """Yield every metric, from what was seen last: nobody is asked."""
        return families(self._picture, now=time.monotonic())

    def look(self) -> float:
        """See who is master."""
        before = self._picture
        seen = _timed(lambda: look_at(before.site, before.configs))
        if self._change(lambda picture: with_look(picture, seen, wall=time.time())):
            self._check.hurry()
        down = self._picture.down_seconds(seen.at)
        close = down is not None and down < CLOSE_LOOK_SECONDS
        return OUTAGE_LOOK_SECONDS if close else LOOK_SECONDS

    def trip(self) -> float:
        """Write and read back as the application."""
        site = self._picture.site
        trip = write_and_read(site.app, name=site.name_of)
        at = time.monotonic()
        self._change(lambda picture: with_trip(picture, trip, at=at))
        return TRIP_SECONDS

    def check(self) -> float:
        """Ask everybody everything."""
        site = self._picture.site
        survey = _timed(lambda: _thorough(site))
        self._change(lambda picture: with_check(picture, survey))
        if self._picture.site.data_nodes != site.data_nodes:
            self._check.hurry()
        return CHECK_SECONDS

    def certificates(self) -> float:
        """Read when the certificates end: the cluster's, and of those who watch it."""
        own, access = self._settings, self._picture.site.operator
        asked = [m.address for m in self._picture.certified if m.address != own.listen]
        ends = ask_expiries(access, asked)
        with suppress(OSError, ValueError):
            ends[own.listen] = own_end(own.certificate, own.private_key, ca=access.ca)
        self._change(lambda picture: with_expiries(picture, ends))
        return CERTIFICATE_SECONDS

    def _change(self, change: Callable[[Picture], Picture]) -> list[Event]:
        """Put a new picture in the old one's place; return what happened, which the log has too."""
        with self._lock:
            before, after = self._picture, change(self._picture)
            self._picture = after
        happened = list(events(before, after))
        for event in happened:
            emit(event.name, level=event.level, trace=False, **event.fields)
        return happened


@contextmanager
def exporting(settings: ExporterSettings) -> Iterator[Exporter]:
    """Look at the cluster and serve what is seen during the block; raises BadSetting."""
    with ExitStack() as stack:
        exporter = Exporter(_keeping(settings.site, stack), settings)
        registry = CollectorRegistry()
        registry.register(exporter)
        ProcessCollector(registry=registry)
        serving = served(
            make_wsgi_app(registry),
            settings.listen,
            certificate=settings.certificate,
            private_key=settings.private_key,
        )
        try:
            port = stack.enter_context(serving)
        except OSError as error:
            raise BadSetting(
                operation="serve",
                subject=f"metrics on {settings.listen}",
                cause=": ".join(filter(None, (error.filename, error.strerror or str(error)))),
                hint="give a free address (--listen) and a certificate with its key, readable",
            ) from error
        stack.enter_context(_turning(exporter.loops))
        members = (*settings.site.data_nodes, *settings.site.sentinels)
        names = [member.name for member in members]
        emit("metrics-served", host=settings.listen.host, port=port, members=names)
        yield exporter


def stay(exporter: Exporter, health_file: Path | None) -> NoReturn:
    """Say again and again, for a check of the container, that the exporter works."""
    while True:
        age = time.monotonic() - exporter.picture.look.at
        if health_file is not None:
            _write(health_file, _health(age))
        time.sleep(_BEAT_SECONDS)


def _health(age: float) -> str:
    if age > _STALE_SECONDS:
        return f"no look at the cluster for {age:.0f} s\n"
    return f"ok looked at the cluster {age:.0f} s ago\n"


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text)
    temporary.replace(path)


@contextmanager
def _turning(loops: Sequence[Loop]) -> Iterator[None]:
    threads = [threading.Thread(target=loop.run, name=loop.name, daemon=True) for loop in loops]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for loop in loops:
            loop.stop()
        # One that waits for a silent node isn't waited for any longer.
        end = time.monotonic() + _END_SECONDS
        for thread in threads:
            thread.join(max(0.0, end - time.monotonic()))


def _keeping(site: Site, stack: ExitStack) -> Site:
    """Return the same site with connections that stay open."""
    app = None if site.app is None else stack.enter_context(keeping(site.app))
    return replace(site, operator=stack.enter_context(keeping(site.operator)), app=app)


def _timed(ask: Callable[[], Survey]) -> Seen:
    began = time.monotonic()
    survey = ask()
    ended = time.monotonic()
    return Seen(survey, ended, ended - began)


def _thorough(site: Site) -> Survey:
    return take_survey(site, rights=True, witnesses=True, peer_login=False)
