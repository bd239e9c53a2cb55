"""What is read of a Prometheus and of the Alertmanagers that it names."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, ClassVar

import pytest

from redis_ha.upkeep.receivers import called_by
from redis_ha.upkeep.watching import Manager, Watch, ask_prometheus

# As Alertmanager 0.25 writes them.
CALLING = """\
global:
  resolve_timeout: 5m
route:
  receiver: operator
  continue: false
  routes:
  - receiver: team
    matchers:
    - alertname="X"
    continue: false
inhibit_rules:
- source_matchers:
  - alertname="A"
  target_matchers:
  - alertname="B"
receivers:
- name: operator
- name: team
  webhook_configs:
  - send_resolved: true
    http_config:
      follow_redirects: true
      enable_http2: true
    url: http://127.0.0.1:1/
    max_alerts: 0
  email_configs:
  - send_resolved: false
    to: a@b
- name: unused
  email_configs:
  - send_resolved: false
    to: a@b
templates: []
"""
SILENT = CALLING.replace("  - receiver: team\n", "  - receiver: operator\n")


def target(address: str, *, health: str, asked: str = "") -> dict[str, Any]:
    query = f"?target={asked}" if asked else ""
    return {
        "discoveredLabels": {"__address__": address},
        "labels": {"instance": address},
        "scrapeUrl": f"https://exporter:9121/scrape{query}",
        "health": health,
    }


def test_a_receiver_calls_that_is_routed_to_and_has_an_integration() -> None:
    assert called_by(CALLING) == ("team (webhook)", "team (email)")
    assert called_by(SILENT) == ()
    assert called_by("route:\n  receiver: operator\nreceivers:\n- name: operator\n") == ()
    assert called_by("") == ()


class _Api(BaseHTTPRequestHandler):
    answers: ClassVar[dict[str, Any]] = {
        "targets": {
            "activeTargets": [
                target(
                    "rediss://10.0.0.1:6379", health="up", asked="rediss%3A%2F%2F10.0.0.1%3A6379"
                ),
                target("b:2", health="down"),
                target("exporter:9121", health="up", asked="redis://me@[fd00::1]:6379/0"),
            ]
        },
        "rules": {
            "groups": [
                {
                    "rules": [
                        {"name": "Down", "state": "firing", "labels": {"severity": "critical"}},
                        {
                            "name": "Full",
                            "state": "firing",
                            "labels": {},
                            "alerts": [{"labels": {"severity": "critical"}}],
                        },
                        {"name": "Slow", "state": "inactive", "labels": {"severity": "critical"}},
                        {"name": "Late", "state": "firing", "labels": {"severity": "warning"}},
                        {"name": "Watchdog", "state": "firing"},
                    ]
                }
            ]
        },
        "alertmanagers": {"activeAlertmanagers": []},
        "query": {"result": [{"metric": {}, "value": [1.0, "12.3"]}]},
    }
    config: ClassVar[str] = ""

    def do_GET(self) -> None:
        word = self.path.removeprefix("/api/v1/").partition("?")[0]
        reply: dict[str, Any] = {"status": "success", "data": self.answers.get(word)}
        if word == "/api/v2/status":
            reply = {"config": {"original": self.config}}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(reply).encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def api() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _Api) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_a_prometheus_is_asked_for_targets_rules_and_managers() -> None:
    with api() as url:
        seen = ask_prometheus(url)
    assert seen == Watch(
        targets=("10.0.0.1:6379", "b:2", "exporter:9121", "fd00::1:6379"),
        down=("b:2",),
        rules=("Down", "Full", "Slow", "Late", "Watchdog"),
        critical=("Down", "Full"),
        firing=("Late",),
    )


@pytest.mark.parametrize(
    ("config", "calls"), [(CALLING, ("team (webhook)", "team (email)")), (SILENT, ())]
)
def test_an_alertmanager_is_asked_whom_it_calls(
    config: str, calls: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Api, "config", config)
    with api() as url:
        managers = {"activeAlertmanagers": [{"url": f"{url}/api/v2/alerts"}]}
        monkeypatch.setitem(_Api.answers, "alertmanagers", managers)
        assert ask_prometheus(url).managers == (Manager(url, calls),)
        assert ask_prometheus(url).calls is None


def test_of_one_out_of_reach_its_own_count_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    managers = {"activeAlertmanagers": [{"url": "http://127.0.0.1:1/api/v2/alerts"}]}
    monkeypatch.setitem(_Api.answers, "alertmanagers", managers)
    with api() as url:
        seen = ask_prometheus(url)
        assert "127.0.0.1:1 can't be asked" in seen.managers[0].problem
        assert seen.calls == 12.3
        monkeypatch.setitem(_Api.answers, "query", {"result": []})
        assert ask_prometheus(url).calls is None


@pytest.mark.parametrize(
    ("what", "answer"),
    [
        ("targets", {"activeTargets": {"a": 1}}),
        ("targets", {"activeTargets": [1]}),
        ("targets", {"activeTargets": [{"labels": [], "health": "down"}]}),
        ("targets", {"activeTargets": [{"labels": {}, "health": "up"}]}),
        ("targets", []),
        ("rules", {"groups": [{"rules": ["Down"]}]}),
        ("rules", {"groups": [{"rules": None}]}),
        ("alertmanagers", {"activeAlertmanagers": "three"}),
        ("alertmanagers", {"activeAlertmanagers": [{}]}),
        ("alertmanagers", None),
    ],
)
def test_one_that_answers_otherwise_is_unknown(
    what: str, answer: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(_Api.answers, what, answer)
    with api() as url:
        assert url in ask_prometheus(url).problem


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "ftp://127.0.0.1", "nonsense"])
def test_one_that_cannot_be_asked_is_unknown(url: str) -> None:
    assert ask_prometheus(url).problem
