"""One panel: what it asks and says, and the JSON that Grafana wants for it. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["stat", "timeseries", "state-timeline", "bargauge"]
GREEN, ORANGE, RED, BLUE, GREY = "green", "orange", "red", "blue", "text"
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
RUNBOOKS = "${runbooks}"
# Where the color changes: the first from minus infinity on.
Steps = Sequence[tuple[float | None, str]]
CALM: Steps = ((None, BLUE),)


@dataclass(frozen=True)
class Query:
    """A PromQL expression, and how its series are called in the legend."""

    expr: str
    legend: str = ""


@dataclass(frozen=True)
class Panel:
    """`width` of 24 columns; `words` name values, `empty` what a stat shows without data.

    `runbook` is an alert, and so a heading of docs/OPERATIONS.md.
    """

    title: str
    says: str
    queries: tuple[Query, ...]
    kind: Kind = "timeseries"
    unit: str = "short"
    steps: Steps = CALM
    words: Mapping[int, tuple[str, str]] | None = None
    width: int = 12
    runbook: str = ""
    empty: str = "no data"
    decimals: int | None = None
    least: float | None = None
    most: float | None = None
    by_name: bool = False


HEIGHTS: Mapping[Kind, int] = {"stat": 4, "timeseries": 8, "state-timeline": 7, "bargauge": 8}


def panel_json(panel: Panel, number: int, x: int, y: int) -> dict[str, Any]:
    """Give a panel at a place of the grid."""
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": _description(panel),
        "datasource": SOURCE,
        "gridPos": {"h": HEIGHTS[panel.kind], "w": panel.width, "x": x, "y": y},
        "fieldConfig": {"defaults": _defaults(panel), "overrides": []},
        "options": _options(panel),
        "targets": [_target(panel, query, at) for at, query in enumerate(panel.queries)],
        **({"links": [_runbook(panel.runbook)]} if panel.runbook else {}),
    }


def _description(panel: Panel) -> str:
    if not panel.runbook:
        return panel.says
    return f"{panel.says}\n\nWhat to do: docs/OPERATIONS.md, \u201c{panel.runbook}\u201d."


def _runbook(alert: str) -> dict[str, Any]:
    return {"title": alert, "url": f"{RUNBOOKS}#{alert.lower()}", "targetBlank": True}


def _target(panel: Panel, query: Query, at: int) -> dict[str, Any]:
    instant = panel.kind in ("stat", "bargauge")
    return {
        "refId": chr(ord("A") + at),
        "datasource": SOURCE,
        "editorMode": "code",
        "expr": query.expr,
        "legendFormat": query.legend or "__auto",
        "instant": instant,
        "range": not instant,
    }


def _defaults(panel: Panel) -> dict[str, Any]:
    optional = {"decimals": panel.decimals, "min": panel.least, "max": panel.most}
    return {
        "unit": panel.unit,
        "noValue": panel.empty,
        "color": {"mode": "palette-classic" if panel.kind == "timeseries" else "thresholds"},
        "thresholds": {
            "mode": "absolute",
            "steps": [{"value": value, "color": color} for value, color in panel.steps],
        },
        "mappings": _mappings(panel),
        "custom": _custom(panel),
        **{name: value for name, value in optional.items() if value is not None},
    }


def _mappings(panel: Panel) -> list[dict[str, Any]]:
    if panel.words is None:
        return []
    options = {
        str(value): {"text": text, "color": color, "index": index}
        for index, (value, (text, color)) in enumerate(panel.words.items())
    }
    return [{"type": "value", "options": options}]


def _custom(panel: Panel) -> dict[str, Any]:
    if panel.kind == "state-timeline":
        return {"fillOpacity": 75, "lineWidth": 0}
    if panel.kind != "timeseries":
        return {}
    limits = "line" if len(panel.steps) > 1 else "off"
    return {
        "drawStyle": "line",
        "lineWidth": 1,
        "fillOpacity": 10,
        "showPoints": "never",
        "spanNulls": False,
        "thresholdsStyle": {"mode": limits},
    }


def _options(panel: Panel) -> dict[str, Any]:
    legend = {"showLegend": True, "displayMode": "list", "placement": "bottom", "calcs": []}
    match panel.kind:
        case "timeseries":
            return {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}
        case "state-timeline":
            return {
                "legend": legend,
                "mergeValues": True,
                "rowHeight": 0.85,
                "showValue": "auto",
                "tooltip": {"mode": "single", "sort": "none"},
            }
        case "bargauge":
            return {"displayMode": "basic", "orientation": "horizontal", **_reduced()}
    return {
        "colorMode": "background",
        "graphMode": "none",
        "justifyMode": "center",
        "textMode": "name" if panel.by_name else "value",
        "wideLayout": True,
        **_reduced(),
    }


def _reduced() -> dict[str, Any]:
    return {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}}
