"""docs/METRICS.md and the code agree: no metric without a row, no row without a metric."""

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import Metric

from backup_worker.metrics import StatusCollector
from monitoring.dashboards.files import written
from redis_ha.connection import Address, Credentials
from redis_ha.discovery import Access, NodeView, SentinelView
from redis_ha.environment import MAX_NODES, MAX_SENTINELS
from redis_ha.exporter.families import families
from redis_ha.exporter.picture import Picture, Seen, begin, with_check, with_look
from redis_ha.site import Member, Site
from redis_ha.survey import NodeSurvey, ReplicaEntry, SentinelSurvey, Survey
from redis_ha.witness.hearing import Hearing
from redis_ha.witness.report import Report
from redis_ha.witness.status import Status
from tests.unit.backup_worker.test_status import WELL

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs" / "METRICS.md").read_text()
RULES = sorted((ROOT / "monitoring" / "prometheus" / "rules").glob("*.yml"))
# A metric's name in an expression; not a label that is grouped by or shown.
OTHERS = re.compile(r"(?<!by \()(?<!\{\{)\bredis_[a-z_]+\b(?!:)")
Row = tuple[str, str, frozenset[str]]


def watched(nodes: int, sentinels: int, *, strangers: int = 0) -> Picture:
    """Give the picture of a cluster with witnesses, of which everything is known."""
    data = [Address("10.0.0.1", port) for port in range(1, nodes + 1)]
    voters = [Address("10.0.1.1", port) for port in range(1, sentinels + 1)]
    others = [Address("10.0.2.1", port) for port in range(1, strangers + 1)]
    site = Site(
        Access(tuple(voters), "mymaster", Credentials("exporter", "x"), Path("ca")),
        None,
        tuple(Member(f"redis-{a.port}", a) for a in data),
        tuple(Member(f"sentinel-{a.port}", a) for a in voters),
    )
    listed = tuple(ReplicaEntry(address, frozenset({"slave"})) for address in data[1:] + others)
    survey = Survey(
        nodes=tuple(NodeSurvey(NodeView(a, "slave", master=data[0])) for a in data + others),
        sentinels=tuple(SentinelSurvey(SentinelView(a, data[0]), replicas=listed) for a in voters),
        names={m.address: m.name for m in (*site.data_nodes, *site.sentinels)},
        hearing=Hearing(sentinels, tuple(Report(n + 1, Status()) for n in range(sentinels))),
    )
    seen = Seen(survey, 0.0, 0.01)
    beside = (Member("ha-exporter", Address("h", 1)), Member("redis-exporter", Address("h", 2)))
    return with_check(begin(site, seen, others=beside), seen)


def crowded() -> Picture:
    """Give the most there can be; without a majority each data node may be a replica."""
    full = watched(MAX_NODES, MAX_SENTINELS, strangers=MAX_NODES)
    silent = [SentinelSurvey(SentinelView(s.address)) for s in full.look.survey.sentinels]
    survey = replace(full.look.survey, sentinels=tuple(silent))
    return with_look(full, Seen(survey, 1.0, 0.01), wall=1.0)


def exporter(picture: Picture) -> list[Metric]:
    return list(families(picture, now=0.0))


def worker() -> list[Metric]:
    return list(StatusCollector(lambda: replace(WELL, restore_seconds=1.0), lambda: 2e9).collect())


def shown(found: Iterable[Metric]) -> set[Row]:
    """Give name, type and labels; a counter's name as it is scraped."""
    return {
        (sample.name, family.type, frozenset(sample.labels))
        for family in found
        for sample in family.samples
    }


def documented(heading: str) -> set[Row]:
    section = TEXT.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|([^|]*)\|", section, re.MULTILINE)
    assert len(rows) == len({name for name, *_ in rows}), "a metric stands there twice"
    return {(name, kind, frozenset(re.findall(r"`(\w+)`", text))) for name, kind, text in rows}


def test_each_metric_of_the_exporter_and_the_witnesses_is_documented() -> None:
    assert documented("The exporter") | documented("The witnesses") == shown(
        exporter(watched(3, 3))
    )


def test_each_metric_of_the_worker_is_documented() -> None:
    assert documented("The backup worker") == shown(worker())


def stated(who: str) -> tuple[int, int]:
    """Read the usual and the greatest number of series."""
    (found,) = re.findall(rf"^\| {who} \| (\d+) \| (\d+) \|", TEXT, re.MULTILINE)
    return int(found[0]), int(found[1])


def count(found: Iterable[Metric]) -> int:
    return sum(len(family.samples) for family in found)


def test_the_number_of_series_is_bounded_as_stated() -> None:
    usual, most = count(exporter(watched(3, 3))), count(exporter(crowded()))
    assert stated("`redis-ha exporter`") == (usual, most)
    assert stated("`backup-worker`") == (count(worker()), count(worker()))


def test_the_number_follows_from_nodes_and_sentinels_as_stated() -> None:
    ((base, each_node, each_sentinel),) = re.findall(r"(\d+) \+ (\d+)\*d\* \+ (\d+)\*s\*", TEXT)
    for nodes, sentinels in ((3, 3), (9, 3), (4, 9)):
        expected = int(base) + int(each_node) * nodes + int(each_sentinel) * sentinels
        assert count(exporter(watched(nodes, sentinels))) == expected - 3


def test_more_strangers_bring_no_more_series() -> None:
    many = watched(MAX_NODES, MAX_SENTINELS, strangers=500)
    assert len(many.site.data_nodes) == 2 * MAX_NODES


@pytest.fixture(scope="module")
def relied_on() -> set[str]:
    """Give the metrics of others that dashboards and rules ask for."""
    texts = [*written().values(), *(path.read_text() for path in RULES)]
    own = {name for name, *_ in shown([*exporter(watched(3, 3)), *worker()])}
    found = {name for text in texts for name in re.findall(OTHERS, text)}
    recorded = {name for text in texts for name in re.findall(r"\b(redis_[a-z]+):", text)}
    return found - own - recorded


def test_the_stock_exporters_metrics_that_we_rely_on_are_documented(relied_on: set[str]) -> None:
    section = TEXT.partition("\n## The stock exporter\n")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == relied_on
