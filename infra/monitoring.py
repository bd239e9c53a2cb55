"""The files of those who watch the cluster: scrape jobs, receivers, passwords, settings.

Pure, the reading of the rule files aside.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from infra.planner import Plan
from infra.rendering import (
    TEMPLATES,
    Passwords,
    Paths,
    node_environment,
    sentinel_environment,
    user_environment,
)
from infra.settings import Size
from infra.topology import METRICS_PORT, Node

# The ACL user that reads INFO and the like, on data nodes and sentinels.
EXPORTER = "exporter"
RULES_FOLDER = "rules"


def prometheus_yml(plan: Plan, *, cluster: str, rules: Sequence[str], paths: Paths) -> str:
    """Write Prometheus's configuration: whom it scrapes, and the names of its rule files.

    `cluster` is the label that sets this cluster's series apart from others'. The rule files are
    named one by one: a file that was taken away may still lie in the volume.
    """
    topology, backup = plan.topology, plan.config.backup
    return TEMPLATES.get_template("prometheus.yml.j2").render(
        cluster=cluster,
        ca=f"{paths.config}/tls/ca.crt",
        rules=[f"{paths.config}/{RULES_FOLDER}/{name}" for name in rules],
        jobs={"redis": topology.data_nodes, "sentinel": topology.sentinels},
        monitors=topology.monitors,
        # One that takes no backups serves no metrics.
        worker=f"{topology.worker.host}:{METRICS_PORT}" if backup.backup_enabled else "",
    )


def read_rules(root: Path) -> dict[str, str]:
    """Read the checkout's rule files by name, sorted."""
    folder = root / "monitoring" / "prometheus" / "rules"
    return {path.name: path.read_text() for path in sorted(folder.glob("*.yml"))}


def alertmanager_yml(plan: Plan) -> str:
    """Write Alertmanager's configuration; it holds the webhook's URL, which is a secret."""
    return TEMPLATES.get_template("alertmanager.yml.j2").render(
        webhook=plan.config.monitoring.alert_webhook
    )


def exporter_passwords(plan: Plan, *, passwords: Passwords) -> str:
    """Write the stock exporter's password file: a JSON map of each node's URI to its password.

    1.45 looks for the bare URI, 1.69 for the one with the user's name: both are there.
    """
    nodes = (*plan.topology.data_nodes, *plan.topology.sentinels)
    addresses = [f"{user}{n.host}:{n.port}" for user in ("", f"{EXPORTER}@") for n in nodes]
    return json.dumps({f"rediss://{address}": passwords[EXPORTER] for address in addresses})


def exporter_environment(plan: Plan, *, passwords: Passwords, paths: Paths) -> dict[str, str]:
    """Give the settings of `redis-ha exporter`: it asks as `exporter`, and writes as `app`."""
    node, stock = plan.topology.monitors.ha_exporter, plan.topology.monitors.redis_exporter
    return {
        **sentinel_environment(plan),
        **node_environment(plan),
        **user_environment((EXPORTER, "app"), passwords),
        "REDIS_TLS_CA": f"{paths.config}/tls/ca.crt",
        "REDIS_WITNESS": json.dumps(plan.config.sentinel.witness),
        "REDIS_EXPORTER_METRICS_HOST": node.host,
        "REDIS_EXPORTER_METRICS_PORT": str(node.port),
        "REDIS_EXPORTER_TLS_CERT": f"{paths.config}/tls/node.crt",
        "REDIS_EXPORTER_TLS_KEY": f"{paths.config}/tls/node.key",
        "REDIS_EXPORTER_STOCK": f"{stock.host}:{stock.port}",
        "REDIS_EXPORTER_HEALTH_FILE": f"{paths.run}/health",
    }


def redis_exporter_options(node: Node, *, paths: Paths) -> tuple[str, ...]:
    """Give the stock exporter's command line; 1.45 and 1.69 alike, and without a password.

    It has no address of its own (multi-target), and gives up on a silent node before the scrape
    does, so that the node's `redis_up` is 0 instead of missing.
    """
    return (
        "--redis.addr=",
        f"--redis.user={EXPORTER}",
        f"--redis.password-file={paths.config}/passwords.json",
        f"--tls-ca-cert-file={paths.config}/tls/ca.crt",
        f"--tls-server-cert-file={paths.config}/tls/node.crt",
        f"--tls-server-key-file={paths.config}/tls/node.key",
        f"--web.listen-address={node.host}:{node.port}",
        "--connection-timeout=2s",
        "--log-format=json",
    )


def prometheus_options(plan: Plan, *, paths: Paths) -> tuple[str, ...]:
    """Give Prometheus's command line; nobody may stop, reload or change it over the network."""
    node, settings = plan.topology.monitors.prometheus, plan.config.monitoring
    return (
        f"--config.file={paths.config}/prometheus.yml",
        f"--storage.tsdb.path={paths.data}",
        f"--storage.tsdb.retention.time={settings.prometheus_retention_days}d",
        f"--storage.tsdb.retention.size={_units(settings.prometheus_retention_size)}",
        f"--web.listen-address={node.host}:{node.port}",
        f"--web.external-url={loopback_url(node)}",
        "--log.format=json",
    )


def alertmanager_options(node: Node, *, paths: Paths) -> tuple[str, ...]:
    """Give Alertmanager's command line; alone, so without the port on which several would talk."""
    return (
        f"--config.file={paths.config}/alertmanager.yml",
        f"--storage.path={paths.data}",
        f"--web.listen-address={node.host}:{node.port}",
        f"--web.external-url={loopback_url(node)}",
        "--cluster.listen-address=",
        "--log.format=json",
    )


def loopback_url(node: Node) -> str:
    """Give the address at which a browser on this host finds the node's page."""
    return f"http://127.0.0.1:{node.port}/"


def _units(size: Size) -> str:
    """Write a size as Prometheus reads it: 1GB is 2**30 bytes there too."""
    text = str(size).upper()
    return text if text.endswith("B") else f"{text}B"
