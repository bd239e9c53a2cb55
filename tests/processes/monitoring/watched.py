"""Those who watch as processes on loopback, with the files that infra writes and our rules."""

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from infra.config import ClusterConfig
from infra.monitoring import (
    alertmanager_options,
    alertmanager_yml,
    exporter_passwords,
    prometheus_options,
    prometheus_yml,
    redis_exporter_options,
)
from infra.planner import Plan, make_plan
from infra.rendering import Paths
from infra.topology import Monitors, Node
from tests.processes import cluster_files as files
from tests.processes.cluster import REPOSITORY, Cluster, Process
from tests.processes.ports import free_ports
from tests.processes.redis_ha.operator_command import OperatorCommand
from tests.watch import Watch

RULES = REPOSITORY / "monitoring" / "prometheus" / "rules"


@dataclass
class Watched:
    """A cluster, and those who watch it: processes by name, logs in `directory`."""

    cluster: Cluster
    directory: Path
    plan: Plan
    workers: tuple[int, ...]
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @classmethod
    @contextmanager
    def start(
        cls, cluster: Cluster, directory: Path, *, workers: Sequence[int] = ()
    ) -> Iterator["Watched"]:
        """Watch during the block; `workers` are the ports of the workers' metrics."""
        directory.mkdir()
        watched = cls(cluster, directory, _plan(cluster), tuple(workers))
        try:
            for name in ("redis-exporter", "ha-exporter", "prometheus", "alertmanager"):
                watched.begin(name)
            yield watched
        finally:
            for name in list(watched.processes):
                watched.end(name)

    @property
    def watch(self) -> Watch:
        monitors = self.plan.topology.monitors
        urls = [f"http://127.0.0.1:{n.port}" for n in (monitors.prometheus, monitors.alertmanager)]
        return Watch(*urls)

    def begin(self, name: str) -> None:
        """Write one's files and start it."""
        paths = self._paths(name)
        command, environment = getattr(self, f"_{name.replace('-', '_')}")(paths)
        with (self.directory / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.directory,
                env=environment,
            )

    def end(self, name: str) -> None:
        process = self.processes.pop(name)
        process.kill()
        process.wait(10)

    def until(self, condition: Callable[[], bool], within: float, what: str) -> float:
        """Wait; return how long it took (s). Fails with the active alerts."""
        began = time.monotonic()
        while not _holds(condition):
            assert time.monotonic() - began < within, (
                f"not within {within} s: {what}; active {self.watch.told()} ({self.directory})"
            )
            time.sleep(0.5)
        return time.monotonic() - began

    def _paths(self, name: str) -> Paths:
        config, data = self.directory / name / "config", self.directory / name / "data"
        if not config.exists():
            (config / "tls").mkdir(parents=True)
            data.mkdir()
            for source, target in (
                ("ca", "ca.crt"),
                ("certificate", "node.crt"),
                ("key", "node.key"),
            ):
                shutil.copy(getattr(self.cluster.tls, source), config / "tls" / target)
        return Paths(config=str(config), data=str(data), run=str(data))

    def _redis_exporter(self, paths: Paths) -> tuple[list[str], None]:
        passwords = exporter_passwords(self.plan, passwords=files.PASSWORDS)
        _write_private(Path(paths.config, "passwords.json"), passwords)
        node = self.plan.topology.monitors.redis_exporter
        return ["prometheus-redis-exporter", *redis_exporter_options(node, paths=paths)], None

    def _ha_exporter(self, paths: Paths) -> tuple[list[str], Mapping[str, str]]:
        node = self.plan.topology.monitors.ha_exporter
        operator = OperatorCommand(self.directory, self.cluster, self._ha_settings(node, paths))
        command = [sys.executable, "-m", "redis_ha", "exporter", "--node", "exporter-1"]
        return command, operator.environment

    def _ha_settings(self, node: Node, paths: Paths) -> dict[str, str]:
        nodes = {
            f"REDIS_NODE_{what}_{number}": str(value)
            for number, one in enumerate(self.plan.topology.data_nodes, start=1)
            for what, value in (("NAME", one.name), ("HOST", one.host), ("PORT", one.port))
        }
        return nodes | {
            "REDIS_WITNESS": "false",
            "REDIS_EXPORTER_USERNAME": "exporter",
            "REDIS_EXPORTER_PASSWORD": files.PASSWORDS["exporter"],
            "REDIS_EXPORTER_METRICS_HOST": node.host,
            "REDIS_EXPORTER_METRICS_PORT": str(node.port),
            "REDIS_EXPORTER_TLS_CERT": f"{paths.config}/tls/node.crt",
            "REDIS_EXPORTER_TLS_KEY": f"{paths.config}/tls/node.key",
        }

    def _prometheus(self, paths: Paths) -> tuple[list[str], None]:
        rules = Path(paths.config, "rules")
        shutil.copytree(RULES, rules, dirs_exist_ok=True)
        names = sorted(path.name for path in rules.glob("*.yml"))
        text = prometheus_yml(self.plan, cluster="test", rules=names, paths=paths)
        Path(paths.config, "prometheus.yml").write_text(yaml.safe_dump(self._with_workers(text)))
        return ["prometheus", *prometheus_options(self.plan, paths=paths)], None

    def _with_workers(self, text: str) -> Any:
        written = yaml.safe_load(text)
        jobs = {job["job_name"]: job for job in written["scrape_configs"]}
        targets = [f"127.0.0.1:{port}" for port in self.workers]
        jobs["backup-worker"]["static_configs"] = [{"targets": targets}]
        return written

    def _alertmanager(self, paths: Paths) -> tuple[list[str], None]:
        Path(paths.config, "alertmanager.yml").write_text(alertmanager_yml(self.plan))
        node = self.plan.topology.monitors.alertmanager
        return ["prometheus-alertmanager", *alertmanager_options(node, paths=paths)], None


def _plan(cluster: Cluster) -> Plan:
    """Make infra's default plan with the addresses of a cluster that runs already."""
    plan = make_plan(ClusterConfig())
    first, *_ = plan.topology.data_nodes
    monitors = Monitors(
        *(
            replace(node, host="127.0.0.1", port=port)
            for node, port in zip(plan.topology.monitors.nodes, free_ports(4), strict=True)
        )
    )

    def nodes(processes: Sequence[Process]) -> tuple[Node, ...]:
        return tuple(
            replace(first, name=p.name, host=p.address.host, port=p.address.port) for p in processes
        )

    topology = replace(
        plan.topology,
        data_nodes=nodes(cluster.data_nodes),
        sentinels=nodes(cluster.sentinels),
        monitors=monitors,
    )
    return replace(plan, topology=topology)


def _holds(condition: Callable[[], bool]) -> bool:
    """Ask; whoever is only starting answers later."""
    try:
        return condition()
    except OSError:
        return False


def _write_private(path: Path, text: str) -> None:
    path.touch(0o600)
    path.write_text(text)
