"""`redis-ha dashboard` on real servers, looked at with a real browser."""

import http.client
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.processes.cluster import Cluster, Process
from tests.processes.redis_ha.browser import Browser
from tests.processes.redis_ha.operator_command import OperatorCommand

Figure = Callable[[str], None]
# What the worker prints: two snapshots, the newer one not yet proven.
STATUS = {
    "running": True, "troubles": [], "interval": 3600.0, "role": "working", "snapshot": "b",
    "snapshot_age": 60.0, "proof_age": 3700.0, "log": {"source": "", "behind_seconds": 2.0},
}  # fmt: skip


@contextmanager
def dashboard(operator: OperatorCommand, *words: str) -> Iterator[tuple[str, Any]]:
    """Run the command; give the address that it prints, and its process."""
    process = subprocess.Popen(
        [sys.executable, "-m", "redis_ha", "dashboard", *words],
        env=operator.environment, cwd=operator.directory, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+/\?token=[-\w]{32}$", line.strip())
        assert found, (line, process.poll())
        yield found[0], process
    finally:
        process.kill()
        process.communicate(timeout=20)


def state(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    client = http.client.HTTPConnection(parts.netloc, timeout=10)
    client.request("GET", f"/state.json?{parts.query}")
    reply = client.getresponse()
    assert reply.status == 200
    document: dict[str, Any] = json.loads(reply.read())
    client.close()
    return document


def with_worker(operator: OperatorCommand, follows: Process) -> OperatorCommand:
    """Give the operator a worker that answers as the real command does."""
    now = time.time()
    listed = [
        {"id": name, "taken_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now - age)),
         "state": kept, "proof": None, "note": ""}
        for name, age, kept in (("b", 60, "not proven"), ("a", 3700, "proven"))
    ]  # fmt: skip
    log = {"source": str(follows.address), "behind_seconds": 2.0}
    programs = operator.directory / "bin"
    programs.mkdir()
    (programs / "status").write_text(json.dumps(STATUS | {"log": log}))
    (programs / "list").write_text(json.dumps(listed))
    (programs / "backup-worker").write_text(f'#!/bin/sh\ncat "{programs}/$1"\n')
    (programs / "backup-worker").chmod(0o755)
    path = f"{programs}:{operator.environment['PATH']}"
    settings = {"REDIS_BACKUP_STATE": str(programs), "PATH": path}
    return OperatorCommand(operator.directory, operator.cluster, settings)


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    with Browser.start(tmp_path / "profile") as running:
        yield running


def test_a_crash_is_seen_from_the_first_second_to_the_new_master(
    cluster: Cluster, operator: OperatorCommand, browser: Browser, figure: Figure
) -> None:
    old = cluster.master
    names = {n.name: operator.name_of(n.address) for n in cluster.data_nodes}
    with dashboard(with_worker(operator, cluster.replicas[0]), "--interval", "0.5") as (
        url,
        process,
    ):
        browser.open(url)
        browser.wait_for("document.title.startsWith('healthy')")
        browser.wait_for("document.querySelector('#headline').innerText.includes('would work')")
        browser.wait_for("document.querySelector('[data-hour=unproven]')")
        assert browser.ask("document.querySelectorAll('[data-card]').length") == 3 + 3 + 1
        assert browser.ask("document.querySelectorAll('[data-link]').length") == 3 + 2 + 1
        old.kill()
        began = time.monotonic()
        browser.wait_for("document.title.startsWith('down')", 10)
        figure(f"the page says down {time.monotonic() - began:.1f} s after the crash")
        assert "no writable master for" in browser.text("#headline")
        assert "nobody listens there" in browser.text("#reasons")
        new = cluster.wait_for_master(old)
        browser.wait_for("document.querySelector('#failovers td')", 20)
        browser.wait_for(
            f"document.querySelector('#headline').innerText.includes('{names[new.name]}')"
        )
        row = browser.text("#failovers tbody tr").split("\t")
        assert row[1:3] == [names[old.name], names[new.name]]
        assert browser.ask("document.querySelectorAll('[data-failover]').length") == 3
        browser.wait_for("document.querySelector('[data-strip=failed], [data-strip=partly]')")
        browser.wait_for("document.querySelector('[data-strip=ok]')")
        assert browser.console == []
        (failover,) = state(url)["failovers"]
        assert 0 < failover["seconds"] < 15
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
        assert process.returncode == 130
        assert "Traceback" not in said
        browser.wait_for("document.body.className === 'stale'", 15)
        assert "nobody listens there any more" in browser.text("#warning")


def test_a_cluster_that_is_gone_leaves_a_grey_picture_and_its_age(
    cluster: Cluster, operator: OperatorCommand, browser: Browser
) -> None:
    with dashboard(operator, "--interval", "0.5") as (url, process):
        browser.open(url)
        browser.wait_for("document.title.startsWith('healthy')")
        assert "no backup is set up here" in browser.text("#backups")
        cluster.end()
        browser.wait_for("document.body.className === 'silent'", 30)
        assert "Nothing in the cluster answers; the topology is as it was at" in browser.text(
            "#warning"
        )
        assert browser.text("#headline").count("none") == 1
        assert browser.ask("document.querySelectorAll('[data-card]').length") == 7
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 143


def test_many_browsers_cost_the_cluster_no_more_than_one(
    cluster: Cluster, operator: OperatorCommand, figure: Figure
) -> None:
    def looks() -> tuple[int, float]:
        with cluster.data_nodes[0].client() as client:
            stats: Any = client.info("commandstats")
            return int(stats["cmdstat_latency|latest"]["calls"]), time.monotonic()

    with dashboard(operator) as (url, _):
        cluster.wait_for(lambda: state(url)["headline"]["ready"] is True)
        before, began = looks()
        for _ in range(150):
            state(url)
        after, ended = looks()
    # One a second, and a thorough one each ten.
    assert after - before <= (ended - began) * 1.1 + 3
    figure(f"{150 / (ended - began):.0f} answers a second, {after - before} looks")


def test_it_serves_this_machine_only(operator: OperatorCommand) -> None:
    refused = operator.run("dashboard", "--host", "0.0.0.0")
    assert refused.returncode == 2
    assert "loopback only" in refused.stderr
    with dashboard(operator, "--port", "0") as (url, _):
        port = urlsplit(url).port
        assert f":{port}" not in operator.run("dashboard", "--port", str(port)).stdout
        listening = subprocess.run(
            ["ss", "-Hltn", f"sport = :{port}"], capture_output=True, text=True, check=True
        ).stdout
        assert re.findall(r"(\S+):\d+\s+\S+:\*", listening) == ["127.0.0.1"]
