"""`redis-ha exporter` beside a real cluster that is hurt while it is scraped."""

import json
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from redis_ha.discovery import find_master
from redis_ha.errors import RedisHaError
from tests.patience import at_best
from tests.processes import cluster_files as files
from tests.processes.cluster import Cluster, Settings
from tests.processes.ports import free_ports
from tests.processes.redis_ha.operator_command import OperatorCommand


@dataclass
class Scraped:
    """An exporter at work, and the lines of its log so far."""

    port: int
    tls: files.Tls
    process: subprocess.Popen[str]
    health: Path
    lines: list[dict[str, object]] = field(default_factory=list)

    def text(self) -> str:
        context = ssl.create_default_context(cafile=str(self.tls.ca))
        url = f"https://127.0.0.1:{self.port}/metrics"
        with urllib.request.urlopen(url, context=context, timeout=5) as answer:
            return str(answer.read().decode())

    def values(self) -> dict[str, float]:
        """Scrape; names without the prefix, labels as in node_up{redis-1}."""
        found = {}
        for family in text_string_to_metric_families(self.text()):
            for sample in family.samples:
                labels = ",".join(sample.labels.values())
                name = sample.name.removeprefix("redis_ha_")
                found[f"{name}{{{labels}}}" if labels else name] = sample.value
        return found

    def until(
        self, condition: Callable[[dict[str, float]], bool], timeout: float = 20.0
    ) -> dict[str, float]:
        deadline = time.monotonic() + timeout
        while not condition(values := self.values()):
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {timeout} s: {values}")
            time.sleep(0.1)
        return values

    def events(self, name: str) -> list[dict[str, object]]:
        return [line for line in self.lines if line["event"] == name]

    def read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(json.loads(line))


def settings(cluster: Cluster, port: int, directory: Path) -> dict[str, str]:
    nodes = {
        f"REDIS_NODE_{what}_{number}": str(value)
        for number, node in enumerate(cluster.data_nodes, start=1)
        for what, value in (
            ("NAME", node.name), ("HOST", node.address.host), ("PORT", node.address.port)
        )
    }  # fmt: skip
    return nodes | {
        "REDIS_EXPORTER_USERNAME": "exporter",
        "REDIS_EXPORTER_PASSWORD": files.PASSWORDS["exporter"],
        "REDIS_EXPORTER_METRICS_HOST": "127.0.0.1",
        "REDIS_EXPORTER_METRICS_PORT": str(port),
        "REDIS_EXPORTER_TLS_CERT": str(directory / "own.crt"),
        "REDIS_EXPORTER_TLS_KEY": str(cluster.tls.key),
        "REDIS_EXPORTER_HEALTH_FILE": str(directory / "health"),
    }


@pytest.fixture
def exporter(cluster: Cluster, tmp_path: Path) -> Iterator[Scraped]:
    with running(cluster, tmp_path) as scraped:
        yield scraped


@contextmanager
def running(cluster: Cluster, tmp_path: Path) -> Iterator[Scraped]:
    """Let an exporter work for the cluster, down or not, from its first answer on."""
    directory = tmp_path / "exporter"
    directory.mkdir()
    shutil.copy(cluster.tls.certificate, directory / "own.crt")
    (port,) = free_ports(1)
    command = OperatorCommand(directory, cluster, settings(cluster, port, directory))
    environment = command.environment
    environment.pop("REDIS_OPERATOR_USERNAME")
    process = subprocess.Popen(
        [sys.executable, "-m", "redis_ha", "exporter", "--node", "exporter-1"],
        env=environment, cwd=directory, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    scraped = Scraped(port, cluster.tls, process, directory / "health")
    reader = threading.Thread(target=scraped.read, daemon=True)
    reader.start()
    try:
        _wait_for_port(scraped)
        yield scraped
    finally:
        process.kill()
        process.wait(10)
        reader.join(5)
        for stream in (process.stdout, process.stderr):
            assert stream is not None
            stream.close()


def _wait_for_port(scraped: Scraped) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and scraped.process.poll() is None:
        with suppress(OSError):
            scraped.text()
            return
        time.sleep(0.1)
    assert scraped.process.stderr is not None
    scraped.process.kill()
    raise AssertionError(f"no scrape: {scraped.process.stderr.read()}")


def outage_of(cluster: Cluster, old: object, seconds: float = 30.0) -> float:
    """Poll as the application until the cluster has a master again; return how long that took."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        with suppress(RedisHaError):
            if find_master(cluster.access("app")) != old:
                return time.monotonic() - began
        time.sleep(0.02)
    raise AssertionError("no new master")


def test_a_calm_cluster_is_told_as_it_is_and_leaves_no_denial(
    cluster: Cluster, exporter: Scraped
) -> None:
    values = exporter.until(lambda v: v["ready"] == 1 and v["round_trips_total{ok}"] > 0)
    names = [node.name for node in cluster.data_nodes]
    assert [values[f"node_up{{{name}}}"] for name in names] == [1, 1, 1]
    assert [values[f"sentinel_agrees{{{s.name}}}"] for s in cluster.sentinels] == [1, 1, 1]
    expected = {"survey_success": 1, "master_available": 1, "writable_masters": 1, "quorum": 2,
                "nodes_expected": 3, "sentinels_expected": 3, "failovers_total": 0,
                "not_ready_reasons": 0}  # fmt: skip
    assert {name: values[name] for name in expected} == expected
    assert sum(values[f"node_is_master{{{name}}}"] for name in names) == 1
    replicas = [node.name for node in cluster.replicas]
    for name in replicas:
        assert values[f"replica_link_up{{{name}}}"] == 1
        assert 0 <= values[f"replica_lag_bytes{{{name}}}"] < 100_000
    assert f"replica_link_up{{{cluster.master.name}}}" not in values
    levels = ("container", "sentinel", "replication", "application")
    assert [values[f"health{{{level}}}"] for level in levels] == [0, 0, 0, 0]
    ends = exporter.until(lambda v: v["certificate_expiry_timestamp_seconds{sentinel-3}"] > 0)
    left = ends["certificate_expiry_timestamp_seconds{redis-1}"] - time.time()
    assert left == pytest.approx(2 * 86_400, abs=3600)  # as cluster_files makes them
    assert exporter.health.read_text().startswith("ok ")
    for process in (*cluster.data_nodes, *cluster.sentinels):
        with process.client() as client:
            assert client.acl_log() == [], process.name
    if promtool := shutil.which("promtool"):
        subprocess.run([promtool, "check", "metrics"], input=exporter.text(), text=True, check=True)
    exporter.process.send_signal(signal.SIGTERM)
    assert exporter.process.wait(5) == 0
    assert exporter.lines[-1]["event"] == "stopped"


def test_a_killed_master_is_counted_once_and_its_outage_measured(
    cluster: Cluster, exporter: Scraped
) -> None:
    exporter.until(lambda v: v["ready"] == 1)
    master = cluster.master
    master.kill()
    measured = outage_of(cluster, master.address)
    values = exporter.until(lambda v: v["failovers_total"] == 1 and v["master_available"] == 1)
    assert values["last_failover_seconds"] == pytest.approx(measured, abs=1.5)
    assert values["outage_seconds_total"] == pytest.approx(measured, abs=1.5)
    assert abs(values["last_failover_timestamp_seconds"] - time.time()) < 10
    assert values[f"node_up{{{master.name}}}"] == 0
    assert values[f"replica_link_up{{{master.name}}}"] == 0
    assert values[f"node_is_master{{{cluster.settled_master().name}}}"] == 1
    # What is scraped is there a moment before its line.
    told = ("master-unavailable", "failover-seen")
    cluster.wait_for(lambda: all(map(exporter.events, told)), explain=lambda: exporter.lines)
    assert [len(exporter.events(name)) for name in told] == [1, 1]
    master.start()
    back = exporter.until(lambda v: v[f"replica_link_up{{{master.name}}}"] == 1, 40.0)
    assert back["failovers_total"] == 1


def test_what_is_silent_keeps_its_series_and_a_scrape_waits_for_nobody(
    cluster: Cluster, exporter: Scraped
) -> None:
    exporter.until(lambda v: v["ready"] == 1)
    replica, sentinel = cluster.replicas[0], cluster.sentinels[2]
    replica.pause()
    sentinel.kill()
    values = exporter.until(
        lambda v: v[f"node_up{{{replica.name}}}"] == 0 and v["sentinel_up{sentinel-3}"] == 0
    )
    assert values["sentinel_agrees{sentinel-3}"] == 0
    assert values["master_available"] == 1
    exporter.until(lambda v: v["health{sentinel}"] == 1 and v["health{replication}"] == 1)
    replica.resume()
    exporter.until(lambda v: v[f"node_up{{{replica.name}}}"] == 1)
    for process in (*cluster.data_nodes, *cluster.sentinels[:2]):
        process.kill()
    down = exporter.until(lambda v: v["survey_success"] == 0 and v["health{application}"] == 2)
    assert down["health{container}"] == 2
    assert down["master_available"] == 0
    assert [down[f"node_up{{{node.name}}}"] for node in cluster.data_nodes] == [0, 0, 0]
    at_best(lambda: scrape_seconds(exporter), under=1)


def scrape_seconds(exporter: Scraped) -> float:
    began = time.monotonic()
    assert exporter.values()["survey_age_seconds"] < 5
    return time.monotonic() - began


def test_odd_clients_and_a_new_certificate_are_no_trouble(
    cluster: Cluster, exporter: Scraped, tmp_path: Path
) -> None:
    with socket.create_connection(("127.0.0.1", exporter.port)) as silent:
        with socket.create_connection(("127.0.0.1", exporter.port)) as garbage:
            garbage.sendall(b"GET / HTTP/1.0\r\n\r\n")
            garbage.settimeout(5)
            with suppress(ConnectionError):
                garbage.recv(100)
        found: list[str] = []
        both = [threading.Thread(target=lambda: found.append(exporter.text())) for _ in range(2)]
        for thread in both:
            thread.start()
        for thread in both:
            thread.join(5)
        assert len(found) == 2
        assert silent.fileno() > 0
    own = tmp_path / "exporter" / "own.crt"
    before = own.read_text()
    own.write_text("half written")
    exporter.text()
    assert _presented(exporter.port) == ssl.PEM_cert_to_DER_cert(before)
    _, renewed, _ = files.certificates("127.0.0.1", ends_in=timedelta(days=9))
    own.write_bytes(renewed)
    assert _presented(exporter.port) == ssl.PEM_cert_to_DER_cert(renewed.decode())


def test_it_waits_for_a_cluster_that_is_not_there_yet(tmp_path: Path) -> None:
    cluster = Cluster.prepare(tmp_path / "cluster", Settings())
    try:
        with running(cluster, tmp_path) as exporter:
            values = exporter.until(lambda v: v["round_trips_total{failed}"] > 0)
            assert (values["survey_success"], values["master_available"]) == (0, 0)
            assert [values[f"node_up{{redis-{n}}}"] for n in (1, 2, 3)] == [0, 0, 0]
            cluster.start_all()
            there = exporter.until(lambda v: v["ready"] == 1 and v["round_trips_total{ok}"] > 0)
            assert (there["master_available"], there["failovers_total"]) == (1, 0)
            assert there["outage_seconds_total"] > 0
    finally:
        cluster.end()


def _presented(port: int) -> bytes:
    text = ssl.get_server_certificate(("127.0.0.1", port), timeout=5)
    return ssl.PEM_cert_to_DER_cert(text)
