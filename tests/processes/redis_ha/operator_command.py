"""Runs `redis-ha` as an operator does: a process with its environment, against a test cluster."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.processes import cluster_files as files
from tests.processes.cluster import REPOSITORY, Cluster

Finished = subprocess.CompletedProcess[str]


@dataclass(frozen=True)
class OperatorCommand:
    """The operator of a cluster, at work in an empty directory."""

    directory: Path
    cluster: Cluster
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        sentinels = {
            f"REDIS_SENTINEL_{name}_{number}": str(value)
            for number, sentinel in enumerate(self.cluster.sentinels, start=1)
            for name, value in (("HOST", sentinel.address.host), ("PORT", sentinel.address.port))
        }
        users = {
            f"{prefix}_{what}": value
            for prefix, user in (("REDIS", "app"), ("REDIS_OPERATOR", "operator"))
            for what, value in (("USERNAME", user), ("PASSWORD", files.PASSWORDS[user]))
        }
        return {
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            "PYTHONPATH": str(REPOSITORY),
            "PYTHONWARNINGS": "error",
            **sentinels,
            **users,
            "REDIS_SENTINEL_MASTER": files.MASTER_NAME,
            "REDIS_TLS_CA": str(self.cluster.tls.ca),
            **self.settings,
        }

    def run(
        self,
        *words: str,
        settings: Mapping[str, str] | None = None,
        module: str = "redis_ha",
        timeout: float = 60.0,
    ) -> Finished:
        """Run a command to its end, whatever that is."""
        return subprocess.run(
            [sys.executable, "-m", module, *words],
            env=self.environment | dict(settings or {}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd=self.directory,
            timeout=timeout,
            check=False,
        )

    def json(self, *words: str, code: int = 0) -> Any:
        """Run a command with --json; return its document."""
        done = self.run(*words, "--json")
        assert done.returncode == code, f"{done.stdout}\n{done.stderr}"
        return json.loads(done.stdout)

    def name_of(self, address: object) -> str:
        """Name a data node as the command does that knows the sentinels only: by its address."""
        addresses = sorted(node.address for node in self.cluster.data_nodes)
        return f"redis-{[str(a) for a in addresses].index(str(address)) + 1}"
