"""Prometheus and Alertmanager as whoever looks at their pages sees them."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import yaml


@dataclass(frozen=True)
class Watch:
    """The two by their URLs."""

    prometheus: str
    alertmanager: str

    def ask(self, path: str, **parameters: str) -> Any:
        return fetch(f"{self.prometheus}/api/v1/{path}?{urlencode(parameters)}")["data"]

    def values(self, query: str) -> dict[str, float]:
        """Give an instant vector by job and node."""
        found = self.ask("query", query=query)["result"]
        return {named(each["metric"]): float(each["value"][1]) for each in found}

    def targets(self) -> dict[str, str]:
        """Give each target's health: up, down, or unknown before its first scrape."""
        targets = self.ask("targets", state="active")["activeTargets"]
        return {named(target["labels"]): target["health"] for target in targets}

    def settled(self) -> bool:
        """Whether Prometheus answers and every target is up."""
        try:
            return set(self.targets().values()) == {"up"}
        except OSError:
            return False

    def alerts(self, *states: str) -> list[dict[str, str]]:
        """Give the labels of what Alertmanager holds: `active`, or `suppressed` by another."""
        held = fetch(f"{self.alertmanager}/api/v2/alerts")
        chosen = states or ("active", "suppressed")
        return [alert["labels"] for alert in held if alert["status"]["state"] in chosen]

    def told(self) -> set[str]:
        """Name the active alerts with their nodes, `RedisNodeDown redis-1`, and those held back.

        `held back: RedisNotReady` only follows from an active one.
        """
        held_back = {f"held back: {name}" for name in _names(self.alerts("suppressed"))}
        return _names(self.alerts("active")) | held_back

    def grave(self) -> set[str]:
        """Name the alerts that somebody is to act upon, but for those on a budget spent before."""
        named = {a["alertname"] for a in self.alerts() if a["severity"] != "info"}
        return {name for name in named if "ErrorBudget" not in name}


def _names(alerts: Iterable[Mapping[str, str]]) -> set[str]:
    return {" ".join([a["alertname"], a.get("node", "")]).strip() for a in alerts}


def fetch(url: str) -> Any:
    with urlopen(url, timeout=10) as answer:
        return json.load(answer)


def named(labels: Mapping[str, str]) -> str:
    return " ".join(labels[name] for name in ("job", "node") if name in labels)


def metrics_read(rules: Path) -> set[str]:
    """Name the metrics that the rule files of a folder read, but for what they record."""
    groups = [g for path in rules.glob("*.yml") for g in yaml.safe_load(path.read_text())["groups"]]
    expressions = "\n".join(rule["expr"] for group in groups for rule in group["rules"])
    return set(re.findall(r"\b(?:redis|alertmanager|prometheus)_\w+(?![\w:])", expressions))
