"""Those who watch, in the real stack: all are scraped, alerts arrive, nothing is in the open."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.request import Request, urlopen

import pytest

from tests.docker.stack import REPOSITORY, LiveCluster, Stack, docker, eventually
from tests.patience import at_best
from tests.watch import Watch, metrics_read

MONITORS = ("redis-exporter", "ha-exporter", "prometheus", "alertmanager")
JOBS = {
    *("redis", "sentinel", "redis-exporter", "redis-ha", "backup-worker"),
    *("prometheus", "alertmanager"),
}
# All series of the stack here; they grow with the commands in use, some ten for each and node.
MOST_SERIES = 6_000
SLOWEST_SCRAPE_SECONDS = 0.2
# Of a core, for scrapes and rules: stock exporter, Prometheus, Alertmanager. The looks of `redis-ha
# exporter` go on without a scrape and are no part of it. 0.007 to 0.012 on a quiet machine, whose
# speed differs by that from hour to hour.
MOST_CORES = 0.02


def test_every_target_is_up_and_named_after_its_node(cluster: LiveCluster, watch: Watch) -> None:
    sentinels = {f"sentinel {n['name']}" for n in cluster.outputs["sentinels"]}
    nodes = {f"redis {name}" for name in cluster.nodes} | sentinels
    targets = nodes | (JOBS - {"redis", "sentinel"})
    # The last word on a node may be of before it came back: three scrapes.
    for query, of in (("up", targets), ("redis_up", nodes)):
        up = partial(is_up, watch, query, of)
        eventually(up, within=45, what=f"{query} is 1 of {sorted(of)}")


def is_up(watch: Watch, query: str, of: set[str]) -> bool:
    return watch.values(query) == dict.fromkeys(of, 1.0)


def test_every_rule_is_loaded_and_evaluates(watch: Watch) -> None:
    """Those that look at days or a month have their turn each minute or five: not waited for."""

    def health(*, within: float) -> set[str]:
        groups = watch.ask("rules")["groups"]
        return {r["health"] for g in groups if g["interval"] <= within for r in g["rules"]}

    eventually(lambda: health(within=5) == {"ok"}, within=30, what="every quick rule evaluated")
    assert health(within=3600) <= {"ok", "unknown"}
    rules = [rule for group in watch.ask("rules")["groups"] for rule in group["rules"]]
    assert {rule["type"] for rule in rules} == {"alerting", "recording"}


def test_every_metric_that_a_rule_reads_is_there(watch: Watch) -> None:
    """The stock exporter's names change from version to version."""
    used = metrics_read(REPOSITORY / "monitoring" / "prometheus" / "rules")
    eventually(
        lambda: used <= set(watch.ask("label/__name__/values")), within=60, what=f"all of {used}"
    )


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


def test_a_round_of_scrapes_is_quick_bounded_and_cheap(
    watch: Watch, figure: Callable[[str], None]
) -> None:
    jobs = {"redis-exporter", "prometheus", "alertmanager"}
    spent = f'sum by (job) (rate(process_cpu_seconds_total{{job=~"{"|".join(jobs)}"}}[1m]))'
    # A rate needs two scrapes of each.
    eventually(lambda: set(watch.values(spent)) == jobs, within=60, what="two rounds of scrapes")
    slowest = at_best(lambda: slowest_scrape(watch), under=SLOWEST_SCRAPE_SECONDS)
    cores = at_best(lambda: sum(later(watch, spent).values()), under=MOST_CORES)
    series = sum(watch.values("scrape_samples_post_metric_relabeling").values())
    figure(f"{series:.0f} series, slowest scrape {slowest * 1000:.0f} ms, {cores:.1%} of a core")
    assert 0 < series < MOST_SERIES
    assert cores > 0


def slowest_scrape(watch: Watch) -> float:
    """Give the worst of half a minute (s), of all targets."""
    durations = later(watch, "max_over_time(scrape_duration_seconds[30s])")
    assert {name.partition(" ")[0] for name in durations} == JOBS
    return max(durations.values())


def later(watch: Watch, query: str) -> dict[str, float]:
    """Look half a minute from now: what else runs may have kept the machine busy until now."""
    time.sleep(30)
    return watch.values(query)


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
    usual = up_seconds(stack)
    docker("pause", cluster.container("prometheus"))
    try:
        assert up_seconds(stack) < usual * 2 + 20
    finally:
        docker("unpause", cluster.container("prometheus"))


def up_seconds(stack: Stack) -> float:
    began = time.monotonic()
    stack.up()
    return time.monotonic() - began
