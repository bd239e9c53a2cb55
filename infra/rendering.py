"""The files that make a machine a node: one source for a container and for a virtual machine.

Everything here is pure; passwords come in as a mapping of ACL user to password in clear.
"""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from infra.acl import render_users
from infra.planner import Plan
from infra.topology import METRICS_PORT, Node, Role

Passwords = Mapping[str, str]

FILE_NAMES: dict[Role, tuple[str, ...]] = {
    "data": ("node.json", "redis.conf", "users.acl"),
    "sentinel": ("node.json", "sentinel.conf", "users.acl"),
}

TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    autoescape=False,  # noqa: S701 - configuration files, not HTML
)


@dataclass(frozen=True)
class Paths:
    """Where a node keeps its configuration, its data and its run-time state."""

    config: str = "/etc/redis-ha"
    data: str = "/data"
    run: str = "/run/redis-ha"
    backup_state: str = "/var/lib/backup-worker"


@dataclass(frozen=True)
class BackupKeys:
    """The worker's keys: age recipients, and the signer as base64 of its raw Ed25519 key."""

    recipients: tuple[str, ...]
    signer: str


def redis_conf(plan: Plan, node: Node, *, passwords: Passwords, paths: Paths = Paths()) -> str:
    """Write a data node's redis.conf, without a role."""
    return TEMPLATES.get_template("redis.conf.j2").render(
        node=node,
        paths=paths,
        engine=plan.config.engine,
        redis=plan.config.redis,
        passwords=passwords,
    )


def sentinel_conf(plan: Plan, node: Node, *, passwords: Passwords, paths: Paths = Paths()) -> str:
    """Write a sentinel's seed, which names the initial master."""
    return TEMPLATES.get_template("sentinel.conf.j2").render(
        node=node,
        paths=paths,
        master=plan.topology.initial_master,
        sentinel=plan.config.sentinel,
        passwords=passwords,
    )


def node_json(plan: Plan, node: Node, *, passwords: Passwords, paths: Paths = Paths()) -> str:
    """Write what the node's agent must know: who it is and who the others are."""
    description: dict[str, Any] = {
        "name": node.name,
        "role": node.role,
        "host": node.host,
        "port": node.port,
        "master_name": plan.config.sentinel.master_name,
        "quorum": plan.config.sentinel.quorum,
        "initial_master": plan.topology.initial_master.name,
        "data_nodes": _addresses(plan.topology.data_nodes),
        "sentinels": _addresses(plan.topology.sentinels),
        "username": "node",
        "password": passwords["node"],
        "handover_seconds": plan.config.limits.handover_seconds,
        "stop_seconds": plan.config.limits.server_stop_seconds,
        "tls": {"ca": f"{paths.config}/tls/ca.crt"},
        "data_dir": paths.data,
        "config_dir": paths.config,
        "run_dir": paths.run,
        "engine": plan.config.engine,
    }
    if node.role == "sentinel" and plan.config.sentinel.witness:
        description["witness"] = {
            "username": "witness",
            "password": passwords["witness"],
            "down_after_ms": plan.config.sentinel.down_after_ms,
        }
    return json.dumps(description, indent=2) + "\n"


def node_files(
    plan: Plan, node: Node, *, passwords: Passwords, paths: Paths = Paths()
) -> dict[str, str]:
    """Give a data node's or a sentinel's files by name, certificates aside.

    The names are those of `FILE_NAMES` for the node's role, relative to `paths.config`.
    """
    if node.role == "data":
        own = redis_conf(plan, node, passwords=passwords, paths=paths)
        users = render_users("data", passwords)
    else:
        own = sentinel_conf(plan, node, passwords=passwords, paths=paths)
        users = render_users("sentinel", passwords)
    described = node_json(plan, node, passwords=passwords, paths=paths)
    return dict(zip(FILE_NAMES[node.role], (described, own, users), strict=True))


def worker_environment(
    plan: Plan, *, passwords: Passwords, keys: BackupKeys, paths: Paths = Paths()
) -> dict[str, str]:
    """Give the worker's settings; the operator's password, which a restore needs, stays outside."""
    worker, backup = plan.topology.worker, plan.config.backup
    return {
        **sentinel_environment(plan),
        **_backup_environment(plan, keys),
        **user_environment(("backup", "replica"), passwords),
        **_object_store_environment(plan),
        "REDIS_TLS_CA": f"{paths.config}/tls/ca.crt",
        "REDIS_BACKUP_ENABLED": json.dumps(backup.backup_enabled),
        "REDIS_BACKUP_LOG": json.dumps(backup.backup_log),
        "REDIS_BACKUP_LOG_SECONDS": str(backup.backup_log_seconds),
        "REDIS_BACKUP_LOG_BYTES": str(backup.backup_log_bytes.bytes),
        "REDIS_BACKUP_SPOOL_BYTES": str(backup.backup_spool.bytes),
        "REDIS_BACKUP_DRILL": json.dumps(backup.backup_drill),
        "REDIS_BACKUP_METRICS_HOST": worker.host,
        "REDIS_BACKUP_METRICS_PORT": str(METRICS_PORT),
        "REDIS_BACKUP_SIGNING_KEY": f"{paths.config}/signing.key",
        "REDIS_BACKUP_STATE": paths.backup_state,
        "REDIS_BACKUP_SCRATCH_HOST": worker.host,
        "REDIS_BACKUP_SCRATCH_PORT": str(worker.port),
        "REDIS_BACKUP_TLS_CERT": f"{paths.config}/tls/node.crt",
        "REDIS_BACKUP_TLS_KEY": f"{paths.config}/tls/node.key",
    }


def host_environment(plan: Plan, *, passwords: Passwords, keys: BackupKeys) -> dict[str, str]:
    """Give the settings for whoever works with the cluster from the host (.env.redis-ha)."""
    monitored = plan.config.monitoring.monitoring
    exporter = {"REDIS_EXPORTER_CONTAINER": plan.topology.monitors.ha_exporter.container}
    return {
        **sentinel_environment(plan),
        **node_environment(plan),
        **user_environment(("app", "operator", "backup"), passwords),
        **_backup_environment(plan, keys),
        "REDIS_WITNESS": json.dumps(plan.config.sentinel.witness),
        "REDIS_BACKUP_CONTAINER": plan.topology.worker.container,
        **(exporter if monitored else {}),
    }


def env_file(settings: Mapping[str, str]) -> str:
    """Write settings as KEY=VALUE lines, in quotes what would be read otherwise without."""
    return "".join(f"{name}={_as_read(value)}\n" for name, value in settings.items())


def _as_read(value: str) -> str:
    """Give a value as `redis_ha.environment` takes it: most as they stand."""
    misread = value != value.strip() or " #" in f" {value}" or set("'\"\\") & set(value)
    return shlex.quote(value) if misread else value


def _addresses(nodes: Sequence[Node]) -> list[dict[str, Any]]:
    return [{"name": n.name, "host": n.host, "port": n.port} for n in nodes]


def sentinel_environment(plan: Plan) -> dict[str, str]:
    """Name the sentinels and what they call the master."""
    settings = {"REDIS_SENTINEL_MASTER": plan.config.sentinel.master_name}
    for number, node in enumerate(plan.topology.sentinels, start=1):
        settings[f"REDIS_SENTINEL_HOST_{number}"] = node.host
        settings[f"REDIS_SENTINEL_PORT_{number}"] = str(node.port)
    return settings


def node_environment(plan: Plan) -> dict[str, str]:
    """Name the data nodes as they are called here, and everybody's container."""
    settings: dict[str, str] = {}
    for number, node in enumerate(plan.topology.data_nodes, start=1):
        settings[f"REDIS_NODE_NAME_{number}"] = node.name
        settings[f"REDIS_NODE_HOST_{number}"] = node.host
        settings[f"REDIS_NODE_PORT_{number}"] = str(node.port)
        settings[f"REDIS_NODE_CONTAINER_{number}"] = node.container
    for number, node in enumerate(plan.topology.sentinels, start=1):
        settings[f"REDIS_SENTINEL_CONTAINER_{number}"] = node.container
    return settings


def user_environment(users: Sequence[str], passwords: Passwords) -> dict[str, str]:
    """Name each user's login; the application's has the guide's bare names."""
    settings: dict[str, str] = {}
    for user in users:
        prefix = "REDIS" if user == "app" else f"REDIS_{user.upper()}"
        settings[f"{prefix}_USERNAME"] = user
        settings[f"{prefix}_PASSWORD"] = passwords[user]
    return settings


def _backup_environment(plan: Plan, keys: BackupKeys) -> dict[str, str]:
    backup = plan.config.backup
    settings = {
        "REDIS_BACKUP_INTERVAL": str(backup.backup_interval),
        "REDIS_BACKUP_RETENTION": str(backup.backup_retention_hours),
        "REDIS_BACKUP_STORE": backup.backup_store,
        "REDIS_BACKUP_RECIPIENT": ",".join(keys.recipients),
        "REDIS_BACKUP_TRUSTED_SIGNERS": keys.signer,
    }
    if backup.backup_s3_endpoint:
        settings["REDIS_BACKUP_S3_ENDPOINT"] = backup.backup_s3_endpoint
    return settings


def _object_store_environment(plan: Plan) -> dict[str, str]:
    backup = plan.config.backup
    if not backup.backup_store.startswith("s3://"):
        return {}
    settings = {"AWS_DEFAULT_REGION": backup.backup_s3_region}
    if backup.backup_s3_access_key_id:
        settings["AWS_ACCESS_KEY_ID"] = backup.backup_s3_access_key_id
        settings["AWS_SECRET_ACCESS_KEY"] = backup.backup_s3_secret_access_key
    return settings
