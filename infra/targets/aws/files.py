"""The files of one machine, ready to be a secret: a data node's, a sentinel's, the worker's and
the exporters'.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256

from infra.monitoring import exporter_environment, exporter_passwords, redis_exporter_options
from infra.planner import Plan
from infra.rendering import (
    BackupKeys,
    Passwords,
    env_file,
    host_environment,
    node_files,
    worker_environment,
)
from infra.targets.aws.place import Place
from infra.targets.aws.policies import BACKUP_PREFIX
from infra.targets.aws.user_data import (
    DATA_PATHS,
    EXPORTER_PATHS,
    REDIS_EXPORTER_PATHS,
    SENTINEL_PATHS,
    WORKER_PATHS,
)
from infra.topology import Node

DIGEST_DIGITS = 16
# A secret version's number: a positive 28-bit integer, so that it is the same wherever it is read.
VERSION_DIGITS = 7


@dataclass(frozen=True)
class Member:
    """What runs on one machine: a data node and the sentinel of the same number."""

    data: Node
    sentinel: Node


def members(plan: Plan) -> list[Member]:
    """Pair data nodes and sentinels; the planner saw to it that there are as many."""
    pairs = zip(plan.topology.data_nodes, plan.topology.sentinels, strict=True)
    return [Member(data, sentinel) for data, sentinel in pairs]


def member_files(
    plan: Plan, member: Member, *, place: Place, passwords: Passwords, keys: BackupKeys
) -> dict[str, str]:
    """Render a machine's files by `<role>/<name>`, certificates aside; passwords are in them."""
    here = carried_out(plan, place, host=member.data.host)
    data = node_files(here, member.data, passwords=passwords, paths=DATA_PATHS)
    sentinel = node_files(here, member.sentinel, passwords=passwords, paths=SENTINEL_PATHS)
    worker = worker_environment(here, passwords=passwords, keys=keys, paths=WORKER_PATHS)
    monitors = here.topology.monitors
    options = redis_exporter_options(monitors.redis_exporter, paths=REDIS_EXPORTER_PATHS)
    exporter = exporter_environment(here, passwords=passwords, paths=EXPORTER_PATHS)
    return {
        **{f"data/{name}": content for name, content in data.items()},
        **{f"sentinel/{name}": content for name, content in sentinel.items()},
        "worker/worker.env": env_file(worker),
        "redis-exporter/options.env": env_file({"OPTIONS": " ".join(options)}),
        "redis-exporter/passwords.json": exporter_passwords(here, passwords=passwords),
        "exporter/exporter.env": env_file(exporter),
    }


def client_environment(
    plan: Plan, place: Place, *, passwords: Passwords, keys: BackupKeys
) -> dict[str, str]:
    """Give the settings of whoever works with the cluster from inside the VPC."""
    here = carried_out(plan, place, host=plan.topology.worker.host)
    settings = host_environment(here, passwords=passwords, keys=keys)
    own = {name: value for name, value in settings.items() if "_CONTAINER" not in name}
    log = {"REDIS_LOG_GROUP": place.log_group, "REDIS_LOG_REGION": place.region}
    return {**own, "AWS_DEFAULT_REGION": place.region, **log}


def carried_out(plan: Plan, place: Place, *, host: str) -> Plan:
    """Fill in what only the place decides: the stack's own bucket, and which machine it is for."""
    backup = replace(
        plan.config.backup,
        backup_store=f"s3://{place.bucket}/{BACKUP_PREFIX}",
        backup_s3_region=place.region,
    )
    topology, monitors = plan.topology, plan.topology.monitors
    here = replace(
        topology,
        worker=replace(topology.worker, host=host),
        monitors=replace(
            monitors,
            redis_exporter=replace(monitors.redis_exporter, host=host),
            ha_exporter=replace(monitors.ha_exporter, host=host),
        ),
    )
    return replace(plan, config=replace(plan.config, backup=backup), topology=here)


def secret_text(files: Mapping[str, str]) -> str:
    """Write files as one secret: a JSON object of path and content."""
    return json.dumps(dict(files), sort_keys=True)


def digest(*texts: str) -> str:
    """Tell contents apart; passwords of 48 characters in them can't be guessed from it."""
    return sha256("\0".join(texts).encode()).hexdigest()[:DIGEST_DIGITS]


def version(text: str) -> int:
    """Number a secret's content: what the provider compares, since it never reads the content."""
    return 1 + int(sha256(text.encode()).hexdigest()[:VERSION_DIGITS], 16)
