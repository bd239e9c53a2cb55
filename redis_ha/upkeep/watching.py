"""What Prometheus says of itself: whom it scrapes, its rules, and where its alerts go."""

import http.client
import json
from dataclasses import asdict, dataclass, replace
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit, urlunsplit

from redis_ha.upkeep.receivers import called_by

_SECONDS = 5.0
DEFAULT_URL = "http://127.0.0.1:9090"
# Fires always: its absence tells a receiver that alerts don't arrive.
WATCHDOG = "Watchdog"
_FAILURES = (OSError, http.client.HTTPException, ValueError, KeyError, TypeError, AttributeError)
_CALLS = (
    "sum(increase(alertmanager_notifications_total[1h]))"
    " - sum(increase(alertmanager_notifications_failed_total[1h]))"
)


@dataclass(frozen=True)
class Manager:
    """An Alertmanager, and whom it calls; `problem` says why that isn't known, "" when it is."""

    url: str
    calls: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class Watch:
    """What the scraped targets are about (host:port), those that are down, the rules' names.

    `critical` fire now, and of less severity `firing`. `calls` is how often the Alertmanagers
    reached somebody within an hour, by their own count; asked where one of them can't be, None
    when not known. `problem` says why nothing of it all is known, "" when it is.
    """

    targets: tuple[str, ...] = ()
    down: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    critical: tuple[str, ...] = ()
    firing: tuple[str, ...] = ()
    managers: tuple[Manager, ...] = ()
    calls: float | None = None
    problem: str = ""

    def described(self) -> dict[str, Any]:
        """Give plain values for JSON."""
        return asdict(self)


def ask_prometheus(url: str) -> Watch:
    """Ask a Prometheus at http(s)://host:port over its API, v1, and the Alertmanagers it names."""
    try:
        targets = _list(url, "targets?state=active", "activeTargets")
        groups = _list(url, "rules?type=alert", "groups")
        managers = _list(url, "alertmanagers", "activeAlertmanagers")
    except _FAILURES as error:
        return Watch(problem=f"{url} can't be asked: {error or type(error).__name__}")
    try:
        seen = watch(targets, groups, managers)
    except _FAILURES as error:
        return Watch(problem=f"{url} answers otherwise than Prometheus: {error}")
    asked = tuple(_ask_manager(manager.url) for manager in seen.managers)
    unknown = any(manager.problem for manager in asked)
    return replace(seen, managers=asked, calls=_ask_calls(url) if unknown else None)


def watch(targets: list[Any], groups: list[Any], managers: list[Any]) -> Watch:
    """Read the three answers. Errors: ValueError, KeyError, TypeError, AttributeError."""
    rules = [rule for group in groups for rule in group["rules"]]
    firing = [r for r in rules if r.get("state") == "firing" and r["name"] != WATCHDOG]
    return Watch(
        targets=tuple(dict.fromkeys(about for target in targets for about in _about(target))),
        down=tuple(str(t["labels"].get("instance", "?")) for t in targets if t["health"] != "up"),
        rules=tuple(str(rule["name"]) for rule in rules),
        critical=tuple(str(rule["name"]) for rule in firing if _is_critical(rule)),
        firing=tuple(str(rule["name"]) for rule in firing if not _is_critical(rule)),
        managers=tuple(Manager(str(manager["url"])) for manager in managers),
    )


def _is_critical(rule: Any) -> bool:
    """Say whether it or one of its alerts is: a label may be made of what was measured."""
    carriers = (rule, *rule.get("alerts", ()))
    return any(one.get("labels", {}).get("severity") == "critical" for one in carriers)


def _about(target: Any) -> tuple[str, ...]:
    """Say whom a target is about: its own address, or whom an exporter is asked about."""
    configured = str(target["discoveredLabels"]["__address__"])
    asked = parse_qs(urlsplit(str(target["scrapeUrl"])).query).get("target", [])
    return tuple(dict.fromkeys(map(_bare, (configured, *asked))))


def _bare(place: str) -> str:
    """Write rediss://user@[host]:port/0 as redis_ha does: host:port."""
    authority = urlsplit(f"//{place.rpartition('://')[2]}").netloc
    return authority.rpartition("@")[2].replace("[", "").replace("]", "")


def _ask_manager(url: str) -> Manager:
    """Ask an Alertmanager, named by where it takes alerts, whom it calls."""
    base = url.removesuffix("/api/v2/alerts")
    try:
        config = _fetch(f"{base}/api/v2/status")["config"]["original"]
        return Manager(base, called_by(str(config)))
    except _FAILURES as error:
        return Manager(base, problem=f"{base} can't be asked: {error or type(error).__name__}")


def _ask_calls(url: str) -> float | None:
    try:
        found = _list(url, f"query?query={quote(_CALLS)}", "result")
        return float(found[0]["value"][1]) if found else None
    except _FAILURES:
        return None


def _list(url: str, what: str, name: str) -> list[Any]:
    found = _fetch(f"{url.rstrip('/')}/api/v1/{what}")["data"][name]
    if not isinstance(found, list):
        raise TypeError(f"its {name} are no list")
    return found


def _fetch(url: str) -> Any:
    place = urlsplit(url)
    kinds = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
    if place.scheme not in kinds or place.hostname is None:
        raise ValueError("it is no http:// or https:// address")
    connection = kinds[place.scheme](place.hostname, place.port, timeout=_SECONDS)
    try:
        connection.request("GET", urlunsplit(("", "", place.path, place.query, "")))
        reply = connection.getresponse()
        if reply.status != http.client.OK:
            raise ValueError(f"it answers {reply.status}")
        return json.loads(reply.read())
    finally:
        connection.close()
