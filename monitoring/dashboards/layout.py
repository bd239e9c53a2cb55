"""A whole dashboard: rows of panels, variables, links to the others. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from monitoring.dashboards.panels import HEIGHTS, SOURCE, Panel, panel_json

# Grafana 12's; a later one migrates it when it is loaded.
SCHEMA = 41
COLUMNS = 24


@dataclass(frozen=True)
class Row:
    """Panels under one heading, from left to right, in as many lines as they need."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Variable:
    """A choice whose values are those of a label."""

    name: str
    label: str
    metric: str
    of: str


@dataclass(frozen=True)
class Dashboard:
    """`name` is its file's and, after `redis-ha-`, its uid."""

    name: str
    title: str
    says: str
    rows: tuple[Row, ...]
    variables: tuple[Variable, ...] = ()

    @property
    def uid(self) -> str:
        return f"redis-ha-{self.name}"


def dashboard(source: Dashboard, all_of_them: Sequence[Dashboard]) -> dict[str, Any]:
    """Give a dashboard as Grafana stores it."""
    return {
        "uid": source.uid,
        "title": source.title,
        "description": source.says,
        "tags": ["redis", "redis-ha"],
        "schemaVersion": SCHEMA,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "10s",
        "time": {"from": "now-3h", "to": "now"},
        "timezone": "browser",
        "annotations": {"list": [_failovers()]},
        "templating": {"list": [_datasource(), *map(_choice, source.variables), _runbooks()]},
        "links": [_link(other) for other in all_of_them if other is not source],
        "panels": list(_panels(source.rows)),
    }


def _panels(rows: Sequence[Row]) -> Iterator[dict[str, Any]]:
    number, y = 1, 0
    for row in rows:
        yield _heading(row.title, number, y)
        number, x, y, tallest = number + 1, 0, y + 1, 0
        for panel in row.panels:
            if x + panel.width > COLUMNS:
                x, y, tallest = 0, y + tallest, 0
            yield panel_json(panel, number, x, y)
            number, x, tallest = number + 1, x + panel.width, max(tallest, HEIGHTS[panel.kind])
        y += tallest


def _heading(title: str, number: int, y: int) -> dict[str, Any]:
    place = {"h": 1, "w": COLUMNS, "x": 0, "y": y}
    return {
        "id": number,
        "type": "row",
        "title": title,
        "collapsed": False,
        "gridPos": place,
        "panels": [],
    }


def _link(other: Dashboard) -> dict[str, Any]:
    return {
        "title": other.title,
        "type": "link",
        "icon": "dashboard",
        "url": f"/d/{other.uid}",
        "includeVars": True,
        "keepTime": True,
        "targetBlank": False,
        "asDropdown": False,
        "tags": [],
        "tooltip": other.says,
    }


def _datasource() -> dict[str, Any]:
    return {
        "name": "datasource",
        "label": "Prometheus",
        "type": "datasource",
        "query": "prometheus",
        "refresh": 1,
        "regex": "",
        "hide": 0,
    }


def _choice(variable: Variable) -> dict[str, Any]:
    query = f"label_values({variable.metric}, {variable.of})"
    return {
        "name": variable.name,
        "label": variable.label,
        "type": "query",
        "datasource": SOURCE,
        "definition": query,
        "query": {"qryType": 1, "query": query, "refId": "variable"},
        "refresh": 2,
        "sort": 1,
        "regex": "",
        "hide": 0,
        "multi": False,
        "includeAll": False,
    }


def _runbooks() -> dict[str, Any]:
    """Let whoever imports it say where OPERATIONS.md can be read; nobody else knows."""
    value = "https://example.org/redis-ha/docs/OPERATIONS.md"
    return {
        "name": "runbooks",
        "label": "Runbooks' URL",
        "description": "Where docs/OPERATIONS.md can be read; panels link to its headings.",
        "type": "textbox",
        "query": value,
        "current": {"text": value, "value": value},
        "hide": 2,
    }


def _failovers() -> dict[str, Any]:
    return {
        "name": "Failovers",
        "datasource": SOURCE,
        "enable": True,
        "iconColor": "orange",
        "titleFormat": "Failover or switchover",
        "target": {
            "expr": "max(increase(redis_ha_failovers_total[1m])) > 0",
            "refId": "Anno",
        },
    }
