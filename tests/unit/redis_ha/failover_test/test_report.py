"""The page and its pictures, as text: complete, escaped, needing nothing from elsewhere."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

from redis_ha.failover_test.deeds import Deed, Deeds
from redis_ha.failover_test.expectation import LiveSettings
from redis_ha.failover_test.records import LostWrite, RunRecord, StaleRead
from redis_ha.failover_test.report import Circumstances, render
from redis_ha.failover_test.summary import client_rows, document, fault_rows, judged
from redis_ha.failover_test.timeline import draw, named_masters
from tests.unit.redis_ha.failover_test.runs import FAULT, crash, silenced

SETTINGS = LiveSettings(down_after=2.0, min_replicas=1, max_lag=1.0)
ABOUT = Circumstances(
    "<mymaster>", datetime(2026, 1, 2, 3, 4, tzinfo=UTC), SETTINGS, {"Redis": "8.0.2"}
)


def page(*runs: RunRecord) -> str:
    return render([judged(run, SETTINGS) for run in runs], ABOUT)


def values(picture: ET.Element, attribute: str) -> list[str]:
    return [e.attrib[attribute] for e in picture.iter() if attribute in e.attrib]


def test_the_page_needs_nothing_from_elsewhere() -> None:
    text = page(crash())
    assert not re.findall(r"""(?:src|href)=["'](?!data:)""", text)
    assert "<script" not in text
    assert "url(" not in text


def test_names_and_errors_are_escaped() -> None:
    run = crash()
    noisy = replace(run.clients[0], errors={"<b>&": 2})
    text = page(replace(run, clients=(noisy, run.clients[1])))
    assert "&lt;mymaster&gt;" in text
    assert "&lt;b&gt;&amp;" in text


def test_a_failed_run_is_named_before_everything_else() -> None:
    text = page(crash(), crash(back_after=4.0))
    assert text.index("What went wrong") < text.index("What each fault cost")
    assert "run 2, crash" in text


def test_the_picture_shows_states_gaps_marks_losses_and_stale_reads() -> None:
    run = crash(lost=[LostWrite("redis-py", 0, 1, FAULT - 0.1)])
    stale = replace(run.clients[0], stale=(StaleRead(103.0, 0.2),))
    picture = ET.fromstring(draw(replace(run, clients=(stale, run.clients[1]))))
    by = {
        kind: [e for e in picture.iter() if kind in e.attrib] for kind in ("data-mark", "data-gap")
    }
    assert [e.get("data-mark") for e in by["data-mark"]] == [
        *("fault begins", "promoted", "healed", "healthy")
    ]
    assert values(picture, "data-gap") == ["redis-ha", "redis-py"]
    states = {(e.get("data-node"), e.get("data-state")) for e in picture.iter("rect")}
    assert {("redis-1", "silent"), ("redis-1", "replica"), ("redis-2", "master")} <= states
    classes = [e.get("class") for e in picture.iter("line")]
    assert classes.count("lost") == 1
    assert classes.count("stale") == 1


def test_gaps_are_drawn_where_they_were() -> None:
    picture = ET.fromstring(draw(crash(back_after=2.2)))
    (gap,) = [e for e in picture.iter("rect") if e.get("data-gap") == "redis-ha"]
    (fault,) = [e for e in picture.iter("g") if e.get("data-mark") == "fault begins"]
    line = fault.find("line")
    assert line is not None
    assert abs(float(gap.attrib["x"]) - float(line.attrib["x1"])) < 2
    # 14 s (2 before the fault, 12 after it) share 854 units.
    assert abs(float(gap.attrib["width"]) - 2.2 / 14 * 854) < 2


def test_the_sentinels_majority_is_followed() -> None:
    assert [name for _, _, name in named_masters(crash())] == ["redis-1", "redis-2"]


def test_runs_are_summed_up_by_fault_and_kind() -> None:
    runs = [judged(crash(back_after=after), SETTINGS) for after in (2.1, 2.2, 2.4)]
    ours = client_rows(runs)[0]
    assert (ours.kind, ours.runs, round(ours.outage_middle, 1)) == ("redis-ha", 3, 2.2)
    assert round(ours.outage_worst, 1) == 2.4
    (row,) = fault_rows(runs)
    assert (row.passed, row.failovers) == (3, (1, 1, 1))


def three_bars() -> list[RunRecord]:
    return [
        *(crash(back_after=after) for after in (0.2, 0.3, 0.25)),
        *(crash(back_after=after, fault="crash-unseen") for after in (2.2, 2.4)),
    ]


def test_a_crash_with_and_without_witnesses_stand_side_by_side_on_one_scale() -> None:
    text = page(*three_bars())
    bars = dict(re.findall(r'data-bar="([^"]+)".*?width:([0-9.]+)%', text))
    assert list(bars) == [
        *("alone redis-py", "alone redis-ha", "witnessed redis-py", "witnessed redis-ha")
    ]
    longest = 3.0
    assert abs(float(bars["alone redis-ha"]) - 100 * 2.3 / longest) < 1
    assert abs(float(bars["witnessed redis-ha"]) - 100 * 0.25 / longest) < 1


def test_without_both_there_is_nothing_to_compare() -> None:
    assert "data-bar" not in page(crash())
    assert "data-bar" not in page(crash(fault="crash-unseen"))
    assert "data-bar" not in page(crash(), crash(fault="hang"))
    both = page(crash(), crash(fault="hang"), crash(fault="crash-unseen"))
    assert both.count("data-bar") == page(*three_bars()).count("data-bar") == 4


def test_each_run_says_what_the_witnesses_did() -> None:
    told = Deeds(3, (Deed("witness-1", 1, 1, asked_after=0.05, asked_of="<s3>"),))
    run = replace(crash(), deeds=told)
    assert (
        "1 of 3 witnesses saw the master die; witness-1 asked &lt;s3&gt; 0.05 s after the EOF; "
        "promoted 2.00 s after the fault."
    ) in page(run)
    found = document([judged(run, SETTINGS)], SETTINGS)["runs"][0]["witnesses"]
    assert found["each"][0]["asked_of"] == "<s3>"
    assert "witnesses" not in page(crash()).partition("<body>")[2].replace("no witnesses", "")


def test_clients_that_never_write_again_are_drawn_and_summed_up() -> None:
    text = page(silenced())
    assert "enough writes redis-ha" in text
    assert all(row.outage_worst > 10.0 for row in client_rows([judged(silenced(), SETTINGS)]))


def test_the_document_is_plain_values() -> None:
    found = document([judged(crash(), SETTINGS)], SETTINGS)
    assert found["passed"] is True
    assert found["runs"][0]["marks"]["promoted"] == 2.0
