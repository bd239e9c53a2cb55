"""The dashboards' expressions, asked of a Prometheus as Grafana would ask."""

import json
from collections.abc import Sequence
from typing import Any

from monitoring.dashboards.files import FOLDER
from tests.watch import Watch

NAMES = ("overview", "node", "backup")
# What Grafana puts in; the node stands for itself.
WINDOWS = {"$__rate_interval": "1m", "$__range_s": "60", "$__range": "1m"}
# Without data in a young and healthy cluster, and why.
EMPTY = {
    'max by (alertname) (ALERTS{alertstate="firing", alertname!="Watchdog"})': "all is well",
    "min(redis_ha:error_budget_left:ratio30d)": "recorded each five minutes",
    "max(redis_backup_restore_seconds)": "nobody restored anything",
}


def load(name: str) -> Any:
    return json.loads((FOLDER / f"{name}.json").read_text())


def expressions(name: str) -> list[str]:
    """Give each panel's expressions."""
    targets = (t for panel in load(name)["panels"] for t in panel.get("targets", []))
    return [target["expr"] for target in targets]


def asked(watch: Watch, expression: str, nodes: Sequence[str]) -> list[list[Any]]:
    """Ask for each data node in turn, where the expression is about one; give the results."""
    for name, window in WINDOWS.items():
        expression = expression.replace(name, window)
    queries = dict.fromkeys(expression.replace("$node", node) for node in nodes)
    return [watch.ask("query", query=query)["result"] for query in queries]


def without_data(watch: Watch, name: str, nodes: Sequence[str]) -> list[str]:
    """Name the expressions that give nothing for any node, though they should."""
    return [
        expression
        for expression in expressions(name)
        if expression not in EMPTY and not any(asked(watch, expression, nodes))
    ]
