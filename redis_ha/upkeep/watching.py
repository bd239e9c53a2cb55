"""What Prometheus says of itself: whom it scrapes, its rules, and where its alerts go."""

import http.client
import json
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

_SECONDS = 5.0
DEFAULT_URL = "http://127.0.0.1:9090"
# Fires always: its absence tells a receiver that alerts don't arrive.
WATCHDOG = "Watchdog"


@dataclass(frozen=True)
class Watch:
    """Scraped targets and those that are down, alert rules, alerts that fire, Alertmanagers.

    `problem` says why nothing of it is known, "" when it is.
    """

    targets: int = 0
    down: tuple[str, ...] = ()
    rules: int = 0
    firing: tuple[str, ...] = ()
    managers: int = 0
    problem: str = ""

    def described(self) -> dict[str, Any]:
        """Give plain values for JSON."""
        return asdict(self)


def ask_prometheus(url: str) -> Watch:
    """Ask a Prometheus at http(s)://host:port over its API, v1."""
    try:
        targets = _list(url, "targets?state=active", "activeTargets")
        groups = _list(url, "rules?type=alert", "groups")
        managers = _list(url, "alertmanagers", "activeAlertmanagers")
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as error:
        return Watch(problem=f"{url} can't be asked: {error or type(error).__name__}")
    try:
        return watch(targets, groups, managers)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return Watch(problem=f"{url} answers otherwise than Prometheus: {error}")


def watch(targets: list[Any], groups: list[Any], managers: list[Any]) -> Watch:
    """Read the three answers. Errors: KeyError, TypeError, AttributeError."""
    rules = [rule for group in groups for rule in group["rules"]]
    firing = [str(rule["name"]) for rule in rules if rule.get("state") == "firing"]
    return Watch(
        targets=len(targets),
        down=tuple(str(t["labels"].get("instance", "?")) for t in targets if t["health"] != "up"),
        rules=len(rules),
        firing=tuple(name for name in firing if name != WATCHDOG),
        managers=len(managers),
    )


def _list(url: str, what: str, name: str) -> list[Any]:
    found = _get(url, what)[name]
    if not isinstance(found, list):
        raise TypeError(f"its {name} are no list")
    return found


def _get(url: str, what: str) -> Any:
    place = urlsplit(url)
    kinds = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
    if place.scheme not in kinds or place.hostname is None:
        raise ValueError("it is no http:// or https:// address")
    connection = kinds[place.scheme](place.hostname, place.port, timeout=_SECONDS)
    try:
        connection.request("GET", f"{place.path.rstrip('/')}/api/v1/{what}")
        reply = connection.getresponse()
        if reply.status != http.client.OK:
            raise ValueError(f"it answers {reply.status}")
        return json.loads(reply.read())["data"]
    finally:
        connection.close()
