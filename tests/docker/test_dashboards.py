"""Who looks at the real stack: its Prometheus through the dashboards, and programs of this host."""

import json
import os
import re
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from tests.dashboards import NAMES, without_data
from tests.docker.stack import REPOSITORY, LiveCluster, Stack, eventually
from tests.processes.cluster_files import write_tls
from tests.watch import Watch


@pytest.mark.parametrize("name", NAMES)
def test_each_dashboard_has_data(cluster: LiveCluster, watch: Watch, name: str) -> None:
    eventually(
        lambda: not without_data(watch, name, cluster.nodes),
        within=120,
        what=f"data for each expression of {name}",
        every=2,
    )


@contextmanager
def running(stack: Stack, *words: str) -> Iterator[str]:
    """Run a `redis-ha` command on the stack; give the first line that it prints."""
    process = subprocess.Popen(
        ["redis-ha", *words, "--stack", stack.name],
        env=os.environ | stack.environment, cwd=REPOSITORY, text=True,
        stdout=subprocess.PIPE,
    )  # fmt: skip
    with process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline()
        finally:
            process.terminate()


def test_the_page_shows_the_stack_by_its_name(stack: Stack, cluster: LiveCluster) -> None:
    def state() -> dict[str, Any]:
        with urlopen(url.replace("/?", "/state.json?"), timeout=10) as answer:
            document: dict[str, Any] = json.load(answer)
            return document

    with running(stack, "dashboard") as line:
        found = re.search(r"http://127\.0\.0\.1:\d+/\?token=\S+", line)
        assert found, line
        url = found[0]
        expected = list(cluster.nodes)
        eventually(
            lambda: [node["name"] for node in state()["nodes"]] == expected,
            within=30,
            what="each node by its name",
        )
        eventually(
            lambda: bool(state()["backups"]["days"]),
            within=60,
            what="what the stack's worker says of its backups",
            every=1,
        )
        assert state()["master"] == cluster.master()


def test_an_exporter_of_this_host_sees_the_stack(
    stack: Stack, cluster: LiveCluster, tmp_path: Path
) -> None:
    tls = write_tls(tmp_path / "tls")
    pair = ("--certificate", tls.certificate, "--private-key", tls.key)
    with running(stack, "exporter", "--listen", "127.0.0.1:0", *map(str, pair)) as line:
        served = json.loads(line)
        assert served["event"] == "metrics-served"
        trust = ssl.create_default_context(cafile=str(tls.ca))

        def scraped() -> str:
            url = f"https://127.0.0.1:{served['port']}/metrics"
            with urlopen(url, timeout=10, context=trust) as answer:
                return str(answer.read().decode())

        eventually(lambda: "\nredis_ha_ready 1.0\n" in scraped(), within=60, what="readiness")
        assert f'redis_ha_node_is_master{{node="{cluster.master()}"}} 1.0' in scraped()
