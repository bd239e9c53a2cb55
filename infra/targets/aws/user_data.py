"""What a machine is told at its first boot: cloud-config without any secret, below EC2's limit.

It brings four files (where things are, stage 1, the unit that runs it, the check that a rolling
change waits for) and starts the unit. Everything else comes from the bucket and from Secrets
Manager, with the machine's role.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.errors import PackagesMissing
from infra.planner import Plan
from infra.rendering import Paths
from infra.topology import Node

# EC2's, before base64.
LIMIT_BYTES = 16_384
BUNDLE = re.compile(r".*/node-[0-9a-f]{64}\.tar")

DATA_PATHS = Paths("/etc/redis-ha/data", "/data/redis", "/run/redis-ha/data")
SENTINEL_PATHS = Paths("/etc/redis-ha/sentinel", "/data/sentinel", "/run/redis-ha/sentinel")
WORKER_PATHS = Paths(
    "/etc/redis-ha/worker",
    "/data/backup-worker",
    "/run/redis-ha/worker",
    backup_state="/data/backup-worker",
)

REDIS_EXPORTER_PATHS = Paths("/etc/redis-ha/redis-exporter")
EXPORTER_PATHS = Paths("/etc/redis-ha/exporter", run="/run/redis-ha/exporter")

_STAGE1 = Path(__file__).with_name("stage1.py")
_STAGE1_PATH = "/usr/local/lib/redis-ha/stage1.py"
_READY_PATH = "/usr/local/bin/redis-ha-node-ready"
# Here and not in the bundle: whoever asks may ask before that is installed.
_READY = """\
#!/bin/sh
# Ends with 0 once the next machine may be touched; see node/vm/ready.py.
left=900
until [ -e /var/lib/redis-ha/bundle/installed ]; do
    left=$((left - 1))
    if [ "$left" -eq 0 ]; then echo "not installed: journalctl -u redis-ha-boot"; exit 1; fi
    sleep 1
done
PYTHONPATH=/opt/redis-ha exec python3 -m node.vm.ready
"""
_UNIT_PATH = "/etc/systemd/system/redis-ha-boot.service"
_UNIT = f"""\
[Unit]
Description=Make this machine a node of the cluster, once
Wants=network-online.target
After=network-online.target
ConditionPathExists=!/var/lib/redis-ha/booted
# Rights of a new role take seconds to arrive, the volume comes later: try for as long as it takes.
StartLimitIntervalSec=0

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/bin/python3 {_STAGE1_PATH}
TimeoutStartSec=30min
Restart=on-failure
RestartSec=10

[Install]
WantedBy=multi-user.target
"""


@dataclass(frozen=True)
class BootPlaces:
    """Where one machine finds what it boots from; ids and names, never a content.

    `package_keys` are the bucket's keys, one of which is the bundle; `content` is a digest of all
    that the secrets hold, so that a changed file changes user-data; `endpoint` replaces AWS's own
    addresses (a test's), empty for those.
    """

    region: str
    bucket: str
    package_keys: tuple[str, ...]
    node_secret: str
    worker_secret: str
    volume_id: str
    log_group: str
    content: str
    endpoint: str = ""


def user_data(plan: Plan, node: Node, places: BootPlaces) -> str:
    """Write the cloud-config of a data node's machine.

    Errors: PackagesMissing when no key is a bundle's.
    """
    files = [
        _file("/etc/redis-ha/boot.json", _boot_json(plan, node, places)),
        _file(_STAGE1_PATH, _STAGE1.read_text()),
        _file(_UNIT_PATH, _UNIT),
        _file(_READY_PATH, _READY, permissions="0755"),
    ]
    config: dict[str, Any] = {
        "hostname": node.container,
        "preserve_hostname": False,
        "disable_root": True,
        "ssh_pwauth": False,
        # Nothing is reached but the bucket, whose packages the unit installs.
        "package_update": False,
        "package_upgrade": False,
        "write_files": files,
        "runcmd": [
            ["systemctl", "daemon-reload"],
            ["systemctl", "enable", "--now", "--no-block", "redis-ha-boot.service"],
        ],
    }
    # JSON is YAML, and needs no writer of it.
    return f"#cloud-config\n# {node.name}: {places.content}\n{json.dumps(config, indent=1)}\n"


def device_of(volume_id: str) -> str:
    """Say where Debian shows a volume: NVMe by its id, whatever order volumes come in."""
    return f"/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_{volume_id.replace('-', '')}"


def _file(path: str, content: str, *, permissions: str = "0644") -> dict[str, str]:
    return {"path": path, "content": content, "permissions": permissions}


def _boot_json(plan: Plan, node: Node, places: BootPlaces) -> str:
    limits = plan.config.limits
    memory = {
        "data": limits.node_memory_mb,
        "sentinel": limits.sentinel_memory_mb,
        "worker": limits.worker_memory_mb,
    }
    described = {
        "region": places.region,
        "bucket": places.bucket,
        "bundle": _bundle(places.package_keys),
        "node_secret": places.node_secret,
        "worker_secret": places.worker_secret,
        "device": device_of(places.volume_id),
        "cluster": plan.topology.network,
        "node": node.name,
        "log_group": places.log_group,
        "endpoint": places.endpoint,
        "limits": {
            role: {"memory": mb << 20, "stop_seconds": limits.stop_grace_seconds}
            for role, mb in memory.items()
        },
        "open_files": limits.max_open_files,
        "processes": limits.max_processes,
    }
    return json.dumps(described, indent=1) + "\n"


def _bundle(keys: Sequence[str]) -> str:
    found = [key for key in keys if BUNDLE.fullmatch(key)]
    if len(found) != 1:
        raise PackagesMissing(
            f"choose the nodes' bundle: {len(found)} files are named node-<sha256>.tar, and it "
            "must be one; run `make packages`"
        )
    return found[0]
