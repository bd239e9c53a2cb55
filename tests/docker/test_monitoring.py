"""Those who watch, in the real stack: all are scraped, alerts arrive, nothing is in the open."""

import json
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest

from tests.docker.stack import LiveCluster, Stack, docker, eventually

MONITORS = ("redis-exporter", "ha-exporter", "prometheus", "alertmanager")
JOBS = {
    *("redis", "sentinel", "redis-exporter", "redis-ha", "backup-worker"),
    *("prometheus", "alertmanager"),
}
# An alert is to be there, and gone again, two minutes after its cause.
ALERT_SECONDS = 120.0
# All series of the stack here; they grow with the commands in use, some ten for each and node.
MOST_SERIES = 6_000
SLOWEST_SCRAPE_SECONDS = 0.2
# Of a core, for stock exporter, Prometheus and Alertmanager; 0.02 to 0.03 were measured here.
MOST_CORES = 0.05


@dataclass(frozen=True)
class Watch:
    """Prometheus and Alertmanager as a browser on this host reaches them."""

    prometheus: str
    alertmanager: str

    @classmethod
    def over(cls, cluster: LiveCluster) -> "Watch":
        ports = {n["name"]: n["hostPort"] for n in cluster.outputs["monitoring"]}
        return cls(*(f"http://127.0.0.1:{ports[name]}" for name in ("prometheus", "alertmanager")))

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

    def alerts(self) -> list[dict[str, str]]:
        """Give the labels of what Alertmanager holds as active."""
        return [alert["labels"] for alert in fetch(f"{self.alertmanager}/api/v2/alerts")]


def fetch(url: str) -> Any:
    with urlopen(url, timeout=10) as answer:
        return json.load(answer)


def named(labels: Mapping[str, str]) -> str:
    return " ".join(labels[name] for name in ("job", "node") if name in labels)


@pytest.fixture
def watch(cluster: LiveCluster) -> Watch:
    found = Watch.over(cluster)
    eventually(lambda: settled(found), within=60, what="a scrape of every target", every=0.5)
    return found


def settled(watch: Watch) -> bool:
    """Whether Prometheus answers and every target is up."""
    try:
        return set(watch.targets().values()) == {"up"}
    except OSError:
        return False


def test_every_target_is_up_and_named_after_its_node(cluster: LiveCluster, watch: Watch) -> None:
    up = watch.values("up")
    sentinels = {f"sentinel {n['name']}" for n in cluster.outputs["sentinels"]}
    expected = {f"redis {name}" for name in cluster.nodes} | sentinels
    assert set(up) == expected | (JOBS - {"redis", "sentinel"})
    assert set(up.values()) == {1.0}
    asked = watch.values("redis_up")
    assert asked == dict.fromkeys(expected, 1.0)


def test_every_rule_is_loaded_and_evaluates(watch: Watch) -> None:
    def rules() -> list[dict[str, Any]]:
        return [rule for group in watch.ask("rules")["groups"] for rule in group["rules"]]

    eventually(
        lambda: {rule["health"] for rule in rules()} == {"ok"},
        within=30,
        what="every rule evaluated without error",
    )
    kinds = {rule["type"] for rule in rules()}
    assert kinds == {"alerting", "recording"}


def test_a_stopped_replicas_alert_reaches_alertmanager_and_clears(
    cluster: LiveCluster, watch: Watch
) -> None:
    replica = next(name for name in cluster.nodes if name != cluster.master())

    def alerted() -> bool:
        return any(labels.get("node") == replica for labels in watch.alerts())

    eventually(
        lambda: any(labels["alertname"] == "Watchdog" for labels in watch.alerts()),
        within=60,
        what="the dead man's switch in Alertmanager",
    )
    assert not alerted()
    docker("stop", cluster.container(replica))
    try:
        eventually(alerted, within=ALERT_SECONDS, what=f"an alert on {replica}", every=1)
    finally:
        docker("start", cluster.container(replica))
    cluster.wait_until_healthy()
    eventually(lambda: not alerted(), within=ALERT_SECONDS, what="no alert any more", every=1)


@pytest.mark.parametrize("monitor", MONITORS)
def test_a_monitor_is_confined(cluster: LiveCluster, watch: Watch, monitor: str) -> None:
    container = json.loads(docker("inspect", cluster.container(monitor)))[0]
    host = container["HostConfig"]
    assert container["Config"]["User"] == "10001:10001"
    assert host["ReadonlyRootfs"]
    assert host["CapDrop"] in (["ALL"], ["CAP_ALL"])
    assert any(option.startswith("no-new-privileges") for option in host["SecurityOpt"])
    assert host["Memory"] > 0
    assert {limit["Name"] for limit in host["Ulimits"]} == {"nofile", "nproc"}
    status = docker("exec", cluster.container(monitor), "cat", "/proc/1/status")
    assert "CapEff:\t0000000000000000" in status
    eventually(
        lambda: health(cluster, monitor) == "healthy", within=45, what=f"a healthy {monitor}"
    )


def health(cluster: LiveCluster, monitor: str) -> str:
    return docker("inspect", "-f", "{{.State.Health.Status}}", cluster.container(monitor))


def test_nothing_listens_beyond_loopback(cluster: LiveCluster) -> None:
    # The bridge's own address of this host is as good as any other that isn't loopback.
    network = f"{cluster.stack.prefix}redis-ha"
    gateway = docker("network", "inspect", "-f", "{{(index .IPAM.Config 0).Gateway}}", network)
    for monitor in cluster.outputs["monitoring"]:
        bound = json.loads(
            docker("inspect", "-f", "{{json .HostConfig.PortBindings}}", monitor["container"])
        )
        addresses = {b["HostIp"] for bindings in bound.values() for b in bindings}
        assert addresses == {"127.0.0.1"}
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((gateway, monitor["hostPort"]), timeout=5)
        socket.create_connection(("127.0.0.1", monitor["hostPort"]), timeout=5).close()


def test_no_password_shows_on_a_monitor(cluster: LiveCluster) -> None:
    secrets = [value for name, value in cluster.env.items() if name.endswith("_PASSWORD")]
    names = [*MONITORS, *(f"{monitor}-files" for monitor in MONITORS)]
    shown = [docker("inspect", cluster.container(name)) for name in names]
    shown += [docker("logs", cluster.container(monitor)) for monitor in MONITORS]
    assert [secret for secret in secrets for text in shown if secret in text] == []


def test_a_round_of_scrapes_is_quick_bounded_and_cheap(watch: Watch) -> None:
    eventually(
        lambda: len(watch.ask("query", query="up[1m:5s]")["result"]) > 0, within=30, what="samples"
    )
    durations = watch.values("min_over_time(scrape_duration_seconds[1m])")
    assert {name: s for name, s in durations.items() if s > SLOWEST_SCRAPE_SECONDS} == {}
    series = sum(watch.values("scrape_samples_post_metric_relabeling").values())
    cpu = watch.values(
        'sum(rate(process_cpu_seconds_total{job=~"redis-exporter|prometheus|alertmanager"}[1m]))'
    )
    assert 0 < series < MOST_SERIES
    assert 0 < cpu[""] < MOST_CORES


@contextmanager
def webhook(host: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Serve a receiver of alerts during the block; gives its URL and what it was sent."""
    received: list[dict[str, Any]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append(json.loads(body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer((host, 0), Receiver)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://{host}:{server.server_port}/token-of-the-hook", received
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_webhook_is_called_and_touches_alertmanager_only(
    stack: Stack, cluster: LiveCluster, watch: Watch
) -> None:
    network = f"{stack.prefix}redis-ha"
    gateway = docker("network", "inspect", "-f", "{{(index .IPAM.Config 0).Gateway}}", network)
    before = identities(stack)
    with webhook(gateway) as (url, received):
        try:
            stack.up(alertWebhook=url)
            after = identities(stack)
            own = {f"{stack.prefix}alertmanager", f"{stack.prefix}alertmanager-files"}
            assert {name for name in before if before[name] != after[name]} == own
            raised = {"labels": {"alertname": "OnlyATest", "severity": "info"}}
            eventually(
                lambda: accepted(watch, raised), within=30, what="an Alertmanager", every=0.5
            )
            eventually(lambda: told(received, "OnlyATest"), within=60, what="a call", every=0.5)
        finally:
            del stack.settings["alertWebhook"]
            stack.up()


def accepted(watch: Watch, alert: dict[str, Any]) -> bool:
    """Raise an alert as Prometheus does; whether Alertmanager took it."""
    body = json.dumps([alert]).encode()
    request = Request(
        f"{watch.alertmanager}/api/v2/alerts", body, {"Content-Type": "application/json"}
    )
    try:
        return bool(urlopen(request, timeout=10).status == 200)
    except OSError:
        return False


def told(received: list[dict[str, Any]], name: str) -> bool:
    return any(
        alert["labels"]["alertname"] == name for call in received for alert in call["alerts"]
    )


def identities(stack: Stack) -> dict[str, str]:
    listing = ("ps", "--all", "--no-trunc", "--filter", f"name=^{stack.prefix}")
    lines = docker(*listing, "--format", "{{.Names}} {{.ID}}").splitlines()
    return dict(line.split() for line in lines if len(line.split()) == 2)


def test_a_monitor_that_is_away_fails_no_up(stack: Stack, cluster: LiveCluster) -> None:
    docker("pause", cluster.container("prometheus"))
    try:
        started = time.monotonic()
        stack.up()
        assert time.monotonic() - started < 60
    finally:
        docker("unpause", cluster.container("prometheus"))
