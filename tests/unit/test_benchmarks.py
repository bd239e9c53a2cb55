"""What is told of the benchmarks' results is what they say, and a loss of speed is found."""

import copy
import math
import os
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from benchmarks import follow, machine, protections, report, restore, snapshot
from benchmarks.__main__ import BENCHMARKS, DOCS, RESULTS, compare, keep, load, main
from benchmarks.by_hand import Run
from benchmarks.comparison import SAME, changes, difference
from benchmarks.figures import FIGURES, PEERS, Figure, measured
from redis_ha.failover_test.clients import KINDS

MACHINE: dict[str, Any] = {
    "date": "2026-11-24",
    "cpu": "Some CPU",
    "cpus": 2,
    "memory_gib": 7.7,
    "kernel": "6.1",
    "load_before": 0.1,
    "python": "3",
    "redis": "7.0.15",
    "settings": {"megabytes": 700},
}
LOWER = next(figure for figure in FIGURES if figure.benchmark == "snapshot")
HIGHER = next(figure for figure in FIGURES if figure.better == "higher")
LOST = next(figure for figure in FIGURES if figure.name == "failover switchover lost")
PEER = next(figure for figure in FIGURES if figure.peer)


def result(figure: Figure, value: float, **machine: object) -> dict[str, Any]:
    inner: Any = value
    for key in reversed(figure.path):
        inner = {key: inner}
    return {figure.benchmark: {**inner, "measured_on": MACHINE | machine}}


def row(page: str, figure: Figure) -> str:
    (line,) = (line for line in page.splitlines() if line.startswith(f"| {figure.text} |"))
    return line


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder that `results` and `docs` go to."""
    for name, place in (("RESULTS", "results"), ("DOCS", "docs")):
        (tmp_path / place).mkdir()
        monkeypatch.setattr(f"benchmarks.__main__.{name}", tmp_path / place)
    return tmp_path


def test_the_document_is_made_of_the_committed_results() -> None:
    results = load(RESULTS)
    assert (DOCS / "BENCHMARKS.md").read_text() == report.document(results)
    assert (DOCS / report.PICTURE).read_text() == report.picture(results)


def test_the_picture_has_a_bar_for_each_goal() -> None:
    results = load(RESULTS)
    root = ET.fromstring(report.picture(results))  # our own text
    bars = [rect for rect in root.iter("{http://www.w3.org/2000/svg}rect") if rect.get("height")]
    with_goals = [figure for figure, _ in measured(results) if figure.goal]
    assert len(bars) - 1 == len(with_goals) > 0


@pytest.mark.parametrize(
    ("figure", "before", "after", "factor"),
    [
        (LOWER, 1.0, 1.5, 1.5),
        (LOWER, 1.5, 1.0, 2 / 3),
        (HIGHER, 0.9, 0.45, 2.0),
        (LOST, 0.0, 5.0, math.inf),
        (LOST, 5.0, 0.0, 0.0),
        (LOST, 0.0, 0.0, 1.0),
        (HIGHER, 0.9, 0.0, math.inf),
        (HIGHER, 0.0, 0.9, 0.0),
    ],
)
def test_what_got_worse_is_above_one(
    figure: Figure, before: float, after: float, factor: float
) -> None:
    (change,) = changes(result(figure, before), result(figure, after))
    assert change.factor == pytest.approx(factor)


@pytest.mark.parametrize(("after", "code"), [(1.1, 0), (1.3, 1)])
def test_a_loss_beyond_the_limit_fails(
    after: float, code: int, folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep("snapshot", result(LOWER, after)["snapshot"])
    monkeypatch.setattr("benchmarks.__main__.RESULTS", folders / "before")
    keep("snapshot", result(LOWER, 1.0)["snapshot"])
    monkeypatch.setattr("benchmarks.__main__.RESULTS", folders / "results")
    assert compare(folders / "before", limit=1.15) == code


def test_a_figure_that_vanished_fails(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keep("snapshot", {"measured_on": MACHINE, "file": {"command_ratio": 1.0}})
    (folders / "results").rename(folders / "before")
    keep("snapshot", {"measured_on": MACHINE, "s3": {"command_ratio": 1.0}})
    assert compare(folders / "before", limit=1.15) == 1
    assert "snapshot file command_ratio: 1.0 -> gone" in capsys.readouterr().out


def test_what_only_one_side_measured_is_told_and_does_not_fail(
    folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keep("snapshot", result(LOWER, 1.0)["snapshot"])
    keep("failover", result(LOST, 0.0)["failover"])
    (folders / "results").rename(folders / "before")
    keep("snapshot", result(LOWER, 1.0)["snapshot"])
    assert compare(folders / "before", limit=1.15) == 0
    assert "measured them: failover" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["missing", "empty", "results"])
def test_nothing_to_compare_is_no_success(name: str, folders: Path) -> None:
    (folders / "empty").mkdir()
    keep("snapshot", result(LOWER, 1.0)["snapshot"])
    with pytest.raises(SystemExit, match=name):
        compare(folders / name, limit=1.15)


def test_a_peer_that_got_slower_is_not_our_loss() -> None:
    before, after = result(PEER, 1.0), result(PEER, 9.0)
    assert changes(before, after) == []
    (gone,) = changes(before, {PEER.benchmark: {}})
    assert gone.factor == math.inf


@pytest.mark.parametrize("key", SAME)
def test_another_machine_or_size_is_no_measure(key: str) -> None:
    before = result(LOWER, 1.0)
    after = result(LOWER, 1.0, **{key: "other"})
    assert difference(before, before) == ""
    assert difference(before, after) == f"snapshot: {key} was {MACHINE[key]} and is other"


@pytest.mark.parametrize("key", SAME)
def test_what_was_not_recorded_is_not_the_same(key: str) -> None:
    old = copy.deepcopy(result(LOWER, 1.0))
    del old["snapshot"]["measured_on"][key]
    new = result(LOWER, 1.0)
    assert difference(old, new) == f"snapshot: {key} was not recorded before"
    assert difference(new, old) == f"snapshot: {key} was not recorded after"
    assert difference(old, old) != ""


def test_a_quick_run_keeps_nothing(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran(["snapshot", "--quick"], monkeypatch)
    assert list((folders / "results").iterdir()) == list((folders / "docs").iterdir()) == []


def test_a_run_says_its_settings_and_ends_with_the_page(
    folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran(["snapshot", "--megabytes", "9"], monkeypatch)
    kept = load(folders / "results")["snapshot"]["measured_on"]
    assert set(SAME) < set(kept)
    assert kept["settings"] == {"megabytes": 9, "pairs": 5}
    assert "1.234 x" in row((folders / "docs" / "BENCHMARKS.md").read_text(), LOWER)
    assert (folders / "docs" / report.PICTURE).exists()


def ran(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the command with a benchmark that is one in form only."""

    def measure(*, megabytes: int, pairs: int) -> dict[str, Any]:
        assert (megabytes, pairs) in {(50, 1), (9, 5)}
        return {"file": {"transfer_ratio": 1.234}}

    monkeypatch.setattr("benchmarks.__main__.BENCHMARKS", {"snapshot": measure})
    monkeypatch.setattr(machine, "rested", lambda: 0.1)
    monkeypatch.setattr(
        machine, "describe", lambda load, settings: MACHINE | {"settings": settings}
    )
    monkeypatch.setattr(sys, "argv", ["benchmarks", *words])
    main()


def test_an_unknown_name_is_refused_before_anything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit, match="no benchmark 'tea'"):
        ran(["snapshot", "tea"], monkeypatch)


def test_the_machine_is_told_by_its_own_files() -> None:
    assert (
        machine.cpu_model("processor : 0\nmodel name\t: Some CPU @ 3 GHz\n") == "Some CPU @ 3 GHz"
    )
    assert machine.cpu_model("CPU implementer : 0x41\n") == os.uname().machine
    assert machine.memory_gib("MemFree: 1 kB\nMemTotal:  8036436 kB\n") == 7.7


def test_it_waits_until_the_machine_rests_but_not_for_ever() -> None:
    loads, slept = iter([5.0, 2.0, 0.9]), list[float]()
    assert machine.rested(lambda: next(loads), limit=1.0, sleep=slept.append) == 0.9
    assert len(slept) == 2
    assert machine.rested(lambda: 5.0, limit=1.0, sleep=slept.append) == 5.0
    assert sum(slept) < 2 * machine.PATIENCE


@pytest.mark.parametrize(
    ("figure", "value", "load", "said"),
    [
        (LOWER, 1.0, 1.0, "reached"),
        (LOWER, 1.5, 1.0, "short"),
        (LOWER, 1.0, 1.1, report.UNDER_LOAD),
        (LOWER, 1.5, 1.1, report.UNDER_LOAD),
        (LOST, 0, 0.1, "reached"),
        (LOST, 2, 9.0, "short"),
    ],
)
def test_a_goal_reached_under_load_is_not_called_so(
    figure: Figure, value: float, load: float, said: str
) -> None:
    found = result(figure, value, load_before=load)
    assert row(report.document(found), figure).endswith(f"| {said} |")
    assert ("#868e96" in report.picture(found)) == (said == report.UNDER_LOAD)


def test_the_page_says_what_was_not_measured() -> None:
    page = report.document({})
    assert page.count("Not measured.\n") == len(PEERS) == len(BENCHMARKS)


def test_results_of_an_older_form_are_told() -> None:
    old = {key: MACHINE[key] for key in ("date", "cpus", "load_before", "redis", "python")}
    page = report.document(
        {
            "growth": {"s3": {"time_factor": 3.28, "memory_factor": {}}, "measured_on": old},
            "snapshot": {"file": {"transfer_ratio": 1.2}, "measured_on": old},
        }
    )
    assert "older form" in page.partition("## Growth")[2].partition("## Restore")[0]
    assert page.count("| not measured |") == sum(f.benchmark == "snapshot" for f in FIGURES) - 1


def test_the_page_says_on_what_and_with_what() -> None:
    assert (
        "2026-11-24, Some CPU, 2 cores, 7.7 GiB, Linux 6.1, load 0.1 before it, Redis 7.0.15,"
        " Python 3, megabytes 700." in report.document(result(LOWER, 1.0))
    )


def test_a_row_has_its_four_cells() -> None:
    piped = next(figure for figure in FIGURES if "|" in figure.text)
    page = report.document(result(piped, 1.0))
    (line,) = (line for line in page.splitlines() if "zstd \\| age" in line)
    assert line.replace("\\|", "").count("|") == 5


def test_a_whole_command_stands_against_what_is_whole() -> None:
    told = snapshot.told([Run(9.0, transfer=3.0)], [Run(3.0)], {"piped": [Run(4.5)]})
    assert (told["transfer_ratio"], told["command_ratio"], told["piped_ratio"]) == (1.0, 3.0, 2.0)


def test_a_whole_restore_stands_beside_its_load() -> None:
    told = restore.told([2.0], [3.0], [8.0], [{"safety": 1.0, "decrypt": 1.0, "load": 2.0}])
    assert (told["live_load_ratio"], told["live_ratio"]) == (1.5, 4.0)


def test_following_stands_beside_a_stock_follower() -> None:
    told = follow.told(0.001, 0.03, 0.02)
    assert (told["cpu_share"], told["peer_cpu_share"], told["cpu_ratio"]) == (0.03, 0.02, 1.5)


def test_every_kind_of_client_and_the_plain_failover_are_shown() -> None:
    paths = [figure.path for figure in FIGURES if figure.benchmark == "failover"]
    kinds = {(path[0], path[2]) for path in paths if path[1] == "outage_seconds"}
    for fault in ("switchover", "crash_with_witness", "crash_without_witness"):
        assert {kind for where, kind in kinds if where == fault} == set(KINDS)
    assert {path[0] for path in paths if path[1] == "lost"} == {
        "switchover",
        "plain_sentinel_failover",
    }


def test_every_rung_has_its_figures() -> None:
    shown = {(f.path[0], f.path[2]) for f in FIGURES if f.benchmark == "protections"}
    assert {rung for rung, kind in shown if kind == "of_plain"} == set(protections.RUNGS[1:])
    assert {rung for rung, kind in shown if kind == "p99_ms"} == {"plain", "whole cluster"}


def test_every_figure_has_a_peer_and_a_name_of_its_own() -> None:
    assert {figure.benchmark for figure in FIGURES} == set(PEERS) == set(BENCHMARKS)
    assert len({figure.name for figure in FIGURES}) == len(FIGURES)
    assert len({(figure.benchmark, figure.text) for figure in FIGURES}) == len(FIGURES)
