"""The picture as metrics. Pure: what isn't known is NaN, which no comparison of Prometheus matches.

Each configured node keeps its series whatever becomes of it; there are at most 9 nodes beside the
configured ones, 9 sentinels and a witness for each, so the number of series is bounded.
"""

from collections.abc import Iterator, Mapping
from itertools import groupby
from math import nan

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from redis_ha.exporter.picture import Picture, Seen, reasons, silent
from redis_ha.findings import State, worst
from redis_ha.health import RoundTrip, judge_health
from redis_ha.observing import sight, writable_masters
from redis_ha.readiness import is_ready, judge_readiness
from redis_ha.stats import replica_lags
from redis_ha.survey import NodeSurvey, Survey
from redis_ha.witness.hearing import Hearing
from redis_ha.witness.metrics import metric_rows

PREFIX = "redis_ha_"
_GRADES = {State.OK: 0.0, State.UNKNOWN: 0.0, State.WARNING: 1.0, State.BAD: 2.0}
_NOT_TRIED = RoundTrip(skipped=True, problem="not tried")
_HEALTH = "Health of a level: 0 healthy, 1 degraded, 2 down."


def families(picture: Picture, *, now: float) -> Iterator[Metric]:
    """Yield every metric; `now` by the picture's clock."""
    yield from _survey(picture, now)
    yield from _mastership(picture)
    yield from _readiness(picture)
    yield from _application(picture, now)
    yield from _sentinels(picture)
    yield from _nodes(picture.look.survey)
    yield from _replicas(picture.look.survey)
    yield from _certificates(picture)
    yield from _witnesses(picture)


def _survey(picture: Picture, now: float) -> Iterator[Metric]:
    look, check = picture.look, picture.check
    text = "1 when any node or sentinel answered the last quick survey (each second)."
    yield _gauge("survey_success", text, look.answered)
    yield _gauge("survey_seconds", "How long the last quick survey took.", look.seconds)
    yield _gauge("survey_age_seconds", "Age of the last quick survey.", now - look.at)
    text = "How long the last thorough survey took (readiness, health, witnesses)."
    yield _gauge("check_seconds", text, check.seconds if check else nan)
    yield _gauge(
        "check_age_seconds", "Age of the last thorough one.", now - check.at if check else nan
    )


def _mastership(picture: Picture) -> Iterator[Metric]:
    survey, course, last = picture.look.survey, picture.course, picture.course.last
    available = sight(survey, picture.look.at).master is not None
    text = "1 when there is exactly one writable master, named by a majority of the sentinels."
    yield _gauge("master_available", text, available)
    text = "Data nodes that say they are master and take writes."
    yield _gauge("writable_masters", text, len(writable_masters(survey)))
    text = "Failovers and switchovers since the exporter started."
    yield _counter("failovers", text, course.failovers)
    at = picture.failover_at
    yield _gauge(
        "last_failover_timestamp_seconds", "When the last was seen.", nan if at is None else at
    )
    text = "How long no master was available in it; 0 when shorter than from look to look."
    yield _gauge("last_failover_seconds", text, last.seconds if last else nan)
    text = "Seconds without an available master since the exporter started."
    yield _counter("outage_seconds", text, course.outage_seconds)


def _readiness(picture: Picture) -> Iterator[Metric]:
    why = reasons(picture.check.survey) if picture.check else None
    text = "1 when an automatic failover would work now, as `redis-ha ready` says."
    yield _gauge("ready", text, nan if why is None else not why)
    text = "What stands in a failover's way, counted."
    yield _gauge("not_ready_reasons", text, nan if why is None else len(why))
    text = "1 when that check of `redis-ha ready` finds nothing in a failover's way."
    yield _labelled("ready_check", text, _checks(picture.check), label="check")


def _checks(check: Seen | None) -> dict[str, bool]:
    found = judge_readiness(check.survey) if check else ()
    names = dict.fromkeys(finding.check for finding in found)
    return {name: is_ready(tuple(f for f in found if f.check == name)) for name in names}


def _application(picture: Picture, now: float) -> Iterator[Metric]:
    trips = picture.trips
    works = trips.last is not None and not trips.last.problem
    text = "How long the last write and reading back as the application took; NaN when it failed."
    yield _gauge("round_trip_seconds", text, trips.last.seconds if trips.last and works else nan)
    text = "Age of the last write and reading back that was tried, or since the exporter started."
    yield _gauge("round_trip_age_seconds", text, now - trips.at if picture.site.app else nan)
    text = "Writes and readings back as the application."
    family = CounterMetricFamily(f"{PREFIX}round_trips", text, labels=["result"])
    family.add_metric(["ok"], trips.ok)
    family.add_metric(["failed"], trips.failed)
    yield family
    yield _labelled("health", _HEALTH, _levels(picture), label="level")


def _levels(picture: Picture) -> dict[str, float]:
    trip, check = picture.trips.last, picture.check
    levels = {"container": _containers(picture.look)}
    if check is None:
        return levels | dict.fromkeys(("sentinel", "replication", "application"), nan)
    found = judge_health(check.survey, "not seen from here", trip or _NOT_TRIED)
    for level in ("sentinel", "replication", "application"):
        levels[level] = _GRADES[worst(f for f in found if f.check == level)]
    return levels if trip else levels | {"application": nan}


def _containers(look: Seen) -> float:
    """Grade the containers as far as the network shows them: by who answers."""
    if not look.answered:
        return 2.0
    return 1.0 if silent(look.survey) else 0.0


def _sentinels(picture: Picture) -> Iterator[Metric]:
    survey = picture.look.survey
    up = {survey.name(s.address): s.answers for s in survey.sentinels}
    agrees = {
        survey.name(s.address): survey.master is not None and s.view.master == survey.master
        for s in survey.sentinels
    }
    yield _labelled("sentinel_up", "1 when the sentinel answers.", up)
    text = "1 when the sentinel names the master that the majority names."
    yield _labelled("sentinel_agrees", text, agrees)
    epochs = {survey.name(s.address): s.epoch if s.answers else nan for s in survey.sentinels}
    text = "Configuration epoch of the master that the sentinel names; a failover raises it."
    yield _labelled("sentinel_config_epoch", text, epochs)
    yield from _votes(picture)
    yield _gauge("sentinels_expected", "Sentinels in the settings.", len(survey.sentinels))
    text = "Sentinels that must take the master for down before one fails over."
    yield _gauge("quorum", text, nan if picture.quorum is None else picture.quorum)
    text = "Data nodes in the settings, or without any there those that the sentinels list."
    yield _gauge("nodes_expected", text, picture.configured or len(survey.nodes))


def _votes(picture: Picture) -> Iterator[Metric]:
    """Yield who could take part in an election, as the last thorough survey found them."""
    asked = picture.check.survey.sentinels if picture.check else ()
    known = dict.fromkeys((member.name for member in picture.site.sentinels), nan)
    names = picture.look.survey
    votes = {names.name(s.address): float(s.answers and not s.tilt) for s in asked}
    text = "1 when the sentinel answers and isn't in TILT mode: it may vote for a leader."
    yield _labelled("sentinel_may_vote", text, known | votes)
    counts = {names.name(s.address): float(s.quorum_verdict.startswith("OK")) for s in asked}
    text = "1 when the sentinel itself counts enough others to authorize a failover (CKQUORUM)."
    yield _labelled("sentinel_quorum_ok", text, known | counts)


def _nodes(survey: Survey) -> Iterator[Metric]:
    up = {survey.name(n.address): n.view.role is not None for n in survey.nodes}
    master = {survey.name(n.address): n.view.role == "master" for n in survey.nodes}
    yield _labelled("node_up", "1 when the data node answers.", up)
    yield _labelled("node_is_master", "1 when the data node says it is master.", master)
    text = "Connections of the data node's clients, replicas included."
    clients = {survey.name(n.address): _clients(n) for n in survey.nodes}
    yield _labelled("connections", text, clients)
    text = "How many there may be (maxclients); Redis tells from 7 on."
    limits = {survey.name(n.address): float(n.info.get("maxclients", nan)) for n in survey.nodes}
    yield _labelled("connections_limit", text, limits)


def _clients(node: NodeSurvey) -> float:
    """Count as maxclients does: Redis leaves the replicas out of `connected_clients`."""
    if "connected_clients" not in node.info:
        return nan
    return node.number("connected_clients") + node.number("connected_slaves")


def _replicas(survey: Survey) -> Iterator[Metric]:
    """Yield the state of each data node but the one that the majority names as master."""
    nodes = {survey.name(n.address): n.view for n in survey.nodes if n.address != survey.master}
    links = {name: view.link_up for name, view in nodes.items()}
    yield _labelled("replica_link_up", "1 while the replica's link to its master is up.", links)
    lags = replica_lags(survey)
    text = "Bytes of the master's stream that the replica has not applied."
    behind = {lag.name: nan if lag.bytes is None else lag.bytes for lag in lags}
    yield _labelled("replica_lag_bytes", text, behind)
    text = "Seconds since the master heard from the replica last."
    heard = {lag.name: nan if lag.seconds is None else lag.seconds for lag in lags}
    yield _labelled("replica_lag_seconds", text, heard)


def _certificates(picture: Picture) -> Iterator[Metric]:
    ends = {m.name: picture.expiries.get(m.address, nan) for m in picture.certified}
    text = "Until when the certificate is valid that the node presented last, and its CA's."
    yield _labelled("certificate_expiry_timestamp_seconds", text, ends)


def _witnesses(picture: Picture) -> Iterator[Metric]:
    heard = picture.check.survey.hearing if picture.check else None
    if heard is None:
        return
    # A witness that is silent keeps what it said last.
    rows = metric_rows(Hearing(heard.listening, picture.reports))
    for name, group in groupby(sorted(rows, key=lambda row: row.name), key=lambda row: row.name):
        samples = list(group)
        first = samples[0]
        kind = CounterMetricFamily if first.kind == "counter" else GaugeMetricFamily
        family = kind(name, first.help, labels=list(first.labels))
        for row in samples:
            family.add_metric(list(row.labels.values()), row.value)
        yield family
    answered = {report.number for report in heard.reports}
    expected = range(1, len(picture.site.sentinels) + 1)
    text = "1 when the witness answered when it was asked last; numbered as its sentinel."
    up = {str(number): number in answered for number in expected}
    yield _labelled("witness_up", text, up, label="witness")


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(PREFIX + name, text, value=float(value))


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(PREFIX + name, text, value=float(value))


def _labelled(name: str, text: str, values: Mapping[str, float], *, label: str = "node") -> Metric:
    family = GaugeMetricFamily(PREFIX + name, text, labels=[label])
    for value, number in values.items():
        family.add_metric([value], float(number))
    return family
