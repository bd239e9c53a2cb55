"""What must hold of every panel before anybody looks at it."""

import json
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitoring.dashboards.files import FOLDER, written

ROOT = Path(__file__).parents[3]
RULES = sorted((ROOT / "monitoring" / "prometheus" / "rules").glob("*.yml"))
TEXTS = written()
DASHBOARDS = {name: json.loads(text) for name, text in TEXTS.items()}
# An expression that begins so gives no more series than what it groups by has values.
BOUNDED = re.compile(r"(?:1 - |\d \* |round\()?(?:max|min|sum|count|topk)\b|redis:command_seconds:")
GROUPED = re.compile(r"(?:topk\(\d+, )?(?:max|min|sum|count) by \((\w+)\)")


def panels(name: str) -> list[dict[str, Any]]:
    return [panel for panel in DASHBOARDS[name]["panels"] if panel["type"] != "row"]


def rules(kind: str) -> Iterator[dict[str, Any]]:
    for path in RULES:
        for group in yaml.safe_load(path.read_text())["groups"]:
            yield from (rule for rule in group["rules"] if kind in rule)


def test_the_files_are_what_their_source_makes() -> None:
    found = {path.name: path.read_text() for path in FOLDER.glob("*.json")}
    assert found.keys() == TEXTS.keys()
    stale = [name for name, text in TEXTS.items() if found[name] != text]
    assert not stale, "run `python -m monitoring.dashboards`"


@pytest.mark.parametrize("name", TEXTS)
def test_a_panel_explains_itself_and_names_a_unit(name: str) -> None:
    for panel in panels(name):
        assert panel["description"].endswith((".", "\u201d.")), panel["title"]
        defaults = panel["fieldConfig"]["defaults"]
        assert defaults["unit"], panel["title"]
        assert defaults["thresholds"]["steps"][0]["value"] is None
        limits = [step["value"] for step in defaults["thresholds"]["steps"][1:]]
        assert limits == sorted(limits), panel["title"]
    titles = [panel["title"] for panel in panels(name)]
    assert len(titles) == len(set(titles))


@pytest.mark.parametrize("name", TEXTS)
def test_a_series_has_a_short_name_and_there_are_few(name: str) -> None:
    for panel in panels(name):
        for target in panel["targets"]:
            assert BOUNDED.match(target["expr"]), target["expr"]
            if panel["type"] != "stat":
                assert target["legendFormat"] != "__auto", panel["title"]
            if grouped := GROUPED.match(target["expr"]):
                assert f"{{{{{grouped[1]}}}}}" in target["legendFormat"], panel["title"]


@pytest.mark.parametrize("name", TEXTS)
def test_whoever_imports_it_chooses_the_prometheus(name: str) -> None:
    first = DASHBOARDS[name]["templating"]["list"][0]
    assert (first["type"], first["query"], first["name"]) == (
        *("datasource", "prometheus", "datasource"),
    )
    uids = re.findall(r'"uid": "([^"]+)"', TEXTS[name])
    assert set(uids) == {DASHBOARDS[name]["uid"], "${datasource}"}


@pytest.mark.parametrize("name", TEXTS)
def test_no_panel_covers_another(name: str) -> None:
    places = [panel["gridPos"] for panel in DASHBOARDS[name]["panels"]]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    for one, other in combinations(places, 2):
        apart = (
            one["x"] + one["w"] <= other["x"]
            or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"]
            or other["y"] + other["h"] <= one["y"]
        )
        assert apart, (one, other)
    ids = [panel["id"] for panel in DASHBOARDS[name]["panels"]]
    assert len(ids) == len(set(ids))


def test_they_lead_to_each_other() -> None:
    uids = {board["uid"] for board in DASHBOARDS.values()}
    for board in DASHBOARDS.values():
        assert {link["url"] for link in board["links"]} == {
            f"/d/{uid}" for uid in uids - {board["uid"]}
        }


def test_a_runbook_is_that_of_an_alert() -> None:
    anchors = {
        rule["alert"]: rule["annotations"]["runbook_url"].partition("#")[2]
        for rule in rules("alert")
    }
    for name in TEXTS:
        for panel in panels(name):
            for link in panel.get("links", []):
                assert link["url"] == f"${{runbooks}}#{anchors[link['title']]}"


def test_a_recorded_series_is_recorded() -> None:
    recorded = {rule["record"] for rule in rules("record")}
    for name in TEXTS:
        used = set(re.findall(r"\b[a-z_]+:[a-z0-9_]+:[a-z0-9_]+\b", TEXTS[name]))
        assert used <= recorded


def test_the_provisioning_reads_what_is_there() -> None:
    folder = FOLDER / "provisioning"
    (source,) = yaml.safe_load((folder / "datasources.yml").read_text())["datasources"]
    assert (source["type"], source["url"]) == ("prometheus", "http://127.0.0.1:9090")
    (provider,) = yaml.safe_load((folder / "dashboards.yml").read_text())["providers"]
    assert (provider["type"], provider["allowUiUpdates"]) == ("file", False)
