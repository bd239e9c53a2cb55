"""All that the exporter knows, how each look adds to it, and what of it is worth a line. Pure.

Times are those of a clock that never goes back (s); `failover_at` alone is in seconds since 1970.
"""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from redis_ha.connection import Address
from redis_ha.environment import MAX_NODES
from redis_ha.explaining import meaning
from redis_ha.findings import State
from redis_ha.health import RoundTrip
from redis_ha.observing import Course, advance, sight
from redis_ha.readiness import is_ready, judge_readiness
from redis_ha.site import Member, Site
from redis_ha.survey import Survey
from redis_ha.witness.report import Report


@dataclass(frozen=True)
class Seen:
    """A survey that ended `at` and took `seconds`."""

    survey: Survey
    at: float
    seconds: float

    @property
    def answered(self) -> bool:
        """Say whether anybody answered."""
        return bool(self.survey.answering) or any(n.view.role for n in self.survey.nodes)


@dataclass(frozen=True)
class Trips:
    """Round trips as the application, counted; `last` None before the first that was tried.

    It ended `at`, and before the first the exporter began then.
    """

    ok: int = 0
    failed: int = 0
    last: RoundTrip | None = None
    at: float = 0.0


@dataclass(frozen=True)
class Picture:
    """`site` has the members known so far, of whose data nodes `configured` are in the settings.

    `look` is the last quick survey, `check` the last thorough one; `reports` are each witness's
    last, `expiries` each certificate's end (s since 1970), `quorum` the last that was told.
    `others` are the servers beside the cluster whose certificates are looked at too.
    """

    site: Site
    configured: int
    look: Seen
    check: Seen | None = None
    course: Course = field(default_factory=Course)
    failover_at: float | None = None
    trips: Trips = field(default_factory=Trips)
    quorum: int | None = None
    reports: tuple[Report, ...] = ()
    expiries: Mapping[Address, float] = field(default_factory=dict)
    others: tuple[Member, ...] = ()

    @property
    def certified(self) -> tuple[Member, ...]:
        """Return all whose certificates are looked at."""
        return (*self.site.data_nodes, *self.site.sentinels, *self.others)

    @property
    def configs(self) -> dict[Address, Mapping[str, str]]:
        """Return the data nodes' settings as the last thorough survey found them."""
        nodes = self.check.survey.nodes if self.check else ()
        return {node.address: node.config for node in nodes if node.config}

    def down_seconds(self, now: float) -> float | None:
        """Return for how long no master is available; None while one is."""
        since = self.course.down_since
        return None if since is None else now - since


@dataclass(frozen=True)
class Event:
    """Something that happened, for the log."""

    name: str
    level: int = logging.INFO
    fields: Mapping[str, object] = field(default_factory=dict)


def begin(site: Site, look: Seen, *, others: tuple[Member, ...] = ()) -> Picture:
    """Make the first picture; nothing is known of the time before it."""
    picture = Picture(site, len(site.data_nodes), look, trips=Trips(at=look.at), others=others)
    return replace(picture, course=advance(picture.course, sight(look.survey, look.at)))


def with_look(picture: Picture, look: Seen, *, wall: float) -> Picture:
    """Add a quick look, made at `wall` (s since 1970)."""
    course = advance(picture.course, sight(look.survey, look.at))
    more = course.failovers > picture.course.failovers
    return replace(
        picture, look=look, course=course, failover_at=wall if more else picture.failover_at
    )


def with_check(picture: Picture, check: Seen) -> Picture:
    """Add a thorough survey: with it come nodes that only the sentinels know."""
    survey = check.survey
    quorums = [sentinel.quorum for sentinel in survey.answering]
    told = {report.number: report for report in picture.reports}
    told |= {r.number: r for r in (survey.hearing.reports if survey.hearing else ())}
    # As many witnesses as sentinels: another number is nobody's.
    kept = [told[n] for n in sorted(told) if n <= len(picture.site.sentinels)]
    return replace(
        picture,
        site=_grown(picture, survey),
        check=check,
        quorum=max(quorums, default=picture.quorum),
        reports=tuple(kept),
    )


def with_trip(picture: Picture, trip: RoundTrip, *, at: float) -> Picture:
    """Count a round trip that ended `at`; one that was not tried is none."""
    if trip.skipped:
        return picture
    trips = picture.trips
    ok = trips.ok + (not trip.problem)
    return replace(picture, trips=Trips(ok, trips.failed + bool(trip.problem), trip, at))


def with_expiries(picture: Picture, ends: Mapping[Address, float]) -> Picture:
    """Add what the certificates say; of a node that didn't answer the last word stays."""
    known = {**picture.expiries, **ends}
    addresses = [member.address for member in picture.certified if member.address in known]
    return replace(picture, expiries={address: known[address] for address in addresses})


def _grown(picture: Picture, survey: Survey) -> Site:
    """Return the site with the nodes that sentinels list now, called by their address."""
    site, configured = picture.site, picture.site.data_nodes[: picture.configured]
    if not survey.answering:
        return site
    listed = {entry.address for s in survey.answering for entry in s.replicas if entry.address.port}
    listed |= {sentinel.view.master for sentinel in survey.answering if sentinel.view.master}
    others = sorted(listed - {member.address for member in configured})[:MAX_NODES]
    return replace(
        site,
        data_nodes=(*configured, *(Member(str(address), address) for address in others)),
        complete=bool(configured) and not others,
    )


def events(before: Picture, after: Picture) -> Iterator[Event]:
    """Say what happened between two pictures."""
    yield from _mastership(before, after)
    yield from _members(before.look.survey, after.look.survey)
    yield from _readiness(before.check, after.check)
    yield from _application(before.trips.last, after.trips.last)


def _mastership(before: Picture, after: Picture) -> Iterator[Event]:
    old, new = before.course, after.course
    fields: dict[str, object]
    if old.down_since is None and new.down_since is not None:
        fields = {"master": new.master, "sentinels_name": _name(after.look.survey)}
        yield Event("master-unavailable", logging.WARNING, fields)
    if old.down_since is not None and new.down_since is None:
        seconds = round(new.at - old.down_since, 3)
        yield Event("master-available", fields={"master": new.master, "seconds": seconds})
    if new.failovers > old.failovers and new.last is not None:
        seen, seconds = new.last, round(new.last.seconds, 3)
        fields = {"old": seen.old, "new": seen.new, "epoch": seen.epoch, "seconds": seconds}
        yield Event("failover-seen", logging.WARNING, fields)


def _name(survey: Survey) -> str:
    return survey.name(survey.master)


def silent(survey: Survey) -> dict[str, str]:
    """Map the names of those who gave no answer to the reason."""
    nodes = {n.address: n.view.problem for n in survey.nodes if n.view.role is None}
    sentinels = {s.address: s.view.problem for s in survey.sentinels if not s.answers}
    return {survey.name(a): meaning(text) for a, text in {**nodes, **sentinels}.items()}


def _members(before: Survey, after: Survey) -> Iterator[Event]:
    was, now = silent(before), silent(after)
    there = set(after.names.values())
    for name in sorted(now.keys() - was.keys()):
        yield Event("member-silent", logging.WARNING, {"member": name, "reason": now[name]})
    for name in sorted((was.keys() - now.keys()) & there):
        yield Event("member-answers", fields={"member": name})


def reasons(survey: Survey) -> tuple[str, ...]:
    """Say why a failover would not work now; empty when it would."""
    findings = judge_readiness(survey)
    bad = () if is_ready(findings) else [f for f in findings if f.state is State.BAD]
    return tuple(f"{f.subject}: {f.reason}" if f.subject else f.reason for f in bad)


def _readiness(before: Seen | None, after: Seen | None) -> Iterator[Event]:
    if after is None or after is before:
        return
    was = reasons(before.survey) if before else ()
    now = reasons(after.survey)
    if now and now != was:
        yield Event("not-ready", logging.WARNING, {"reasons": now})
    if was and not now:
        yield Event("ready")


def _application(before: RoundTrip | None, after: RoundTrip | None) -> Iterator[Event]:
    failed = before is not None and bool(before.problem)
    if after is None or after is before:
        return
    if after.problem and not failed:
        yield Event("round-trip-failed", logging.WARNING, {"reason": after.problem})
    if failed and not after.problem:
        yield Event("round-trip-works", fields={"by": after.by, "seconds": round(after.seconds, 4)})
