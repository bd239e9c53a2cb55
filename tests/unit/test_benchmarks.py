"""What is told of the benchmarks' results is what they say, and a loss of speed is found."""

import copy
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from benchmarks import report
from benchmarks.__main__ import DOCS, RESULTS, compare, keep, load
from benchmarks.figures import FIGURES, PEERS, Figure, changes, difference, measured

MACHINE = {"cpus": 2, "redis": "7.0.15", "date": "2026-11-24", "load_before": 0.1, "python": "3"}
LOWER = next(figure for figure in FIGURES if figure.benchmark == "snapshot")
HIGHER = next(figure for figure in FIGURES if figure.better == "higher")


def result(figure: Figure, value: float) -> dict[str, Any]:
    inner: Any = value
    for key in reversed(figure.path):
        inner = {key: inner}
    return {figure.benchmark: {**inner, "measured_on": dict(MACHINE)}}


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
    [(LOWER, 1.0, 1.5, 1.5), (LOWER, 1.5, 1.0, 2 / 3), (HIGHER, 0.9, 0.45, 2.0)],
)
def test_what_got_worse_is_above_one(
    figure: Figure, before: float, after: float, factor: float
) -> None:
    (change,) = changes(result(figure, before), result(figure, after))
    assert change.factor == pytest.approx(factor)


@pytest.mark.parametrize(("after", "code"), [(1.1, 0), (1.3, 1)])
def test_a_loss_beyond_the_limit_fails(
    after: float, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder, value in (("before", 1.0), ("after", after)):
        monkeypatch.setattr("benchmarks.__main__.RESULTS", tmp_path / folder)
        keep("snapshot", result(LOWER, value)["snapshot"])
    assert compare(tmp_path / "before", limit=1.15) == code


def test_another_machine_is_no_measure() -> None:
    before = result(LOWER, 1.0)
    after = copy.deepcopy(before)
    after["snapshot"]["measured_on"]["cpus"] = 8
    assert difference(before, before) == ""
    assert "cpus was 2 and is 8" in difference(before, after)


def test_every_figure_has_a_peer_and_a_name_of_its_own() -> None:
    assert {figure.benchmark for figure in FIGURES} == set(PEERS)
    assert len({figure.name for figure in FIGURES}) == len(FIGURES)
