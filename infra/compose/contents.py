"""The files of each container, by name below /etc/redis-ha: templates, certificates. Pure."""

from collections.abc import Mapping

from infra.compose.secrets import Secrets
from infra.containers import PATHS, Container
from infra.live import MANIFEST, manifest
from infra.monitoring import (
    RULES_FOLDER,
    alertmanager_yml,
    exporter_environment,
    exporter_passwords,
    prometheus_yml,
)
from infra.planner import Plan
from infra.rendering import env_file, node_files, worker_environment

# What Prometheus calls the cluster, where the Docker target gives the stack's name.
CLUSTER = "compose"

Files = dict[str, str]


def contents(plan: Plan, what: Container, *, secrets: Secrets, rules: Mapping[str, str]) -> Files:
    """Give a container's files; `rules` are Prometheus's, by name."""
    files = {"tls/ca.crt": secrets.authority.certificate}
    if what.certified:
        pair = secrets.pairs[what.node.name]
        files |= {"tls/node.crt": pair.certificate, "tls/node.key": pair.private_key}
    if what.node.role in {"data", "sentinel"}:
        files |= node_files(plan, what.node, passwords=secrets.passwords)
        return files | {MANIFEST: manifest(files)}
    return files | _service_files(plan, what, secrets, rules)


def _service_files(
    plan: Plan, what: Container, secrets: Secrets, rules: Mapping[str, str]
) -> Files:
    passwords, monitors = secrets.passwords, plan.topology.monitors
    if what.node == plan.topology.worker:
        keys = secrets.keys(plan.config)
        settings = worker_environment(plan, passwords=passwords, keys=keys)
        return {"worker.env": env_file(settings), "signing.key": secrets.signing_key}
    if what.node == monitors.redis_exporter:
        return {"passwords.json": exporter_passwords(plan, passwords=passwords)}
    if what.node == monitors.ha_exporter:
        settings = exporter_environment(plan, passwords=passwords, paths=PATHS)
        return {"exporter.env": env_file(settings)}
    if what.node == monitors.alertmanager:
        return {"alertmanager.yml": alertmanager_yml(plan)}
    configuration = prometheus_yml(plan, cluster=CLUSTER, rules=list(rules), paths=PATHS)
    texts = {f"{RULES_FOLDER}/{name}": text for name, text in rules.items()}
    return {"prometheus.yml": configuration, **texts}
