"""docker-compose.redis-ha.yml: the Docker target's containers in docker-compose's words. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from infra.containers import (
    DROPPED_CAPABILITIES,
    HEALTH_RETRIES,
    HEALTH_TIMEOUT,
    LOG_DRIVER,
    LOG_OPTIONS,
    PATHS,
    PUBLISHED_AT,
    RESTART,
    RUN_TMPFS,
    SECURITY_OPTIONS,
    SYSCTLS,
    USER,
    Container,
    members,
    monitors,
    volume_name,
)
from infra.planner import Plan
from infra.topology import Topology

NETWORK = "redis-ha"
HEAD = """\
# Written by `redis-ha compose`: run that again to change it. No secret is in here.
# The first time: docker-compose -f {name} up -d
# A change of what runs, one after another: sh roll.sh
"""


@dataclass(frozen=True)
class Surroundings:
    """What the plan doesn't say: images by stage, how they are built, and each node's files.

    `digests` tell contents apart by node. `group` is the host's group that may read the files;
    `files` is the folder that holds, for each node, one for each of its digests; `context` the
    image's.
    """

    images: Mapping[str, str]
    build_args: Mapping[str, str]
    digests: Mapping[str, str]
    group: int
    files: str
    context: str


def document(plan: Plan, around: Surroundings) -> dict[str, Any]:
    """Write the whole cluster as docker-compose reads it (1.27 and later, and 2)."""
    chain, watching = members(plan), monitors(plan)
    befores = [None, *chain[:-1], *(chain[-1] for _ in watching)]
    services: dict[str, Any] = {}
    built: set[str] = set()
    for what, before in zip((*chain, *watching), befores, strict=True):
        own = _service(what, around)
        if before is not None:
            own["depends_on"] = {before.node.name: {"condition": "service_healthy"}}
        if what.stage not in built:
            # The others find the image by its name.
            built.add(what.stage)
            own["build"] = _build(what.stage, around)
        services[what.node.name] = own
    named = [volume_name(c.node, p) for c in (*chain, *watching) for p in c.volumes.values()]
    return {
        "services": services,
        "networks": {NETWORK: _network(plan.topology)},
        "volumes": {name: {"name": name} for name in named},
    }


def write_document(made: Mapping[str, Any], *, name: str) -> str:
    """Write it as YAML; docker-compose would put variables in the place of a dollar sign."""
    text: str = yaml.safe_dump(dict(made), sort_keys=False, width=100)
    return HEAD.format(name=name) + text.replace("$", "$$")


def _service(what: Container, around: Surroundings) -> dict[str, Any]:
    node, limits = what.node, what.limits
    service: dict[str, Any] = {
        "image": around.images[what.stage],
        "container_name": node.container,
        "hostname": node.container,
        "entrypoint": [what.program],
        "command": list(what.arguments),
        "user": USER,
        "working_dir": PATHS.data,
        "group_add": [str(around.group)],
        "cap_drop": list(DROPPED_CAPABILITIES),
        "security_opt": list(SECURITY_OPTIONS),
        "restart": RESTART,
        "mem_limit": f"{what.memory_mb}m",
        "memswap_limit": f"{what.memory_swap_mb}m",
        "pids_limit": limits.max_processes,
        "ulimits": {name: {"soft": n, "hard": n} for name, n in what.ulimits.items()},
        "sysctls": dict(SYSCTLS),
        "tmpfs": [f"{PATHS.run}:{RUN_TMPFS}"],
        "networks": {NETWORK: {"ipv4_address": node.host}},
        "volumes": _volumes(what, around),
        "labels": {**what.labels, "redis-ha.files": around.digests[node.name]},
        "logging": {"driver": LOG_DRIVER, "options": dict(LOG_OPTIONS)},
        "healthcheck": _healthcheck(what),
        "stop_grace_period": f"{limits.stop_grace_seconds}s",
    }
    return service | _where_wanted(what)


def _where_wanted(what: Container) -> dict[str, Any]:
    port, cpus = what.node.port, what.limits.cpus
    wanted: dict[str, tuple[bool, Any]] = {
        "environment": (bool(what.environment), list(what.environment)),
        "cpus": (cpus != "0", float(cpus)),
        "ports": (what.published, [f"{PUBLISHED_AT}:{port}:{port}"]),
        "read_only": (what.sealed, True),
    }
    return {key: value for key, (is_wanted, value) in wanted.items() if is_wanted}


def _volumes(what: Container, around: Surroundings) -> list[str]:
    named = [f"{volume_name(what.node, purpose)}:{path}" for path, purpose in what.volumes.items()]
    own = f"{around.files}/{what.node.name}/{around.digests[what.node.name]}"
    return [*named, f"{own}:{PATHS.config}:ro"]


def _healthcheck(what: Container) -> dict[str, Any]:
    return {
        "test": ["CMD", *what.health],
        "interval": f"{what.health_interval}s",
        "timeout": f"{HEALTH_TIMEOUT}s",
        "start_period": f"{what.start_wait_seconds}s",
        "retries": HEALTH_RETRIES,
    }


def _build(stage: str, around: Surroundings) -> dict[str, Any]:
    return {
        "context": around.context,
        "dockerfile": "node/Dockerfile",
        "target": stage,
        "args": dict(around.build_args),
    }


def _network(topology: Topology) -> dict[str, Any]:
    bridge: Sequence[Mapping[str, str]] = [
        {"subnet": str(topology.subnet), "gateway": topology.gateway}
    ]
    return {"name": topology.network, "driver": "bridge", "ipam": {"config": list(bridge)}}
