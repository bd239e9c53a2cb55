"""Runs `backup-worker` as its users do: a process with its environment, against a test cluster."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from age import Identity
from backup_worker.transform.signing import Signer
from tests.processes import cluster_files as files
from tests.processes.cluster import Cluster

REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True)
class WorkerCommand:
    """A worker's settings in `directory`, its store, and the identity that opens its snapshots."""

    directory: Path
    cluster: Cluster
    identity: Identity = field(default_factory=Identity.generate)
    signer: Signer = field(default_factory=Signer.generate)
    settings: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.identity_file.write_text(self.identity.encode() + "\n")
        (self.directory / "signing.key").write_bytes(self.signer.to_pem())

    @property
    def identity_file(self) -> Path:
        return self.directory / "identity.txt"

    @property
    def store(self) -> Path:
        """The folder of the default store."""
        return self.directory / "store"

    @property
    def environment(self) -> dict[str, str]:
        sentinels = {
            f"REDIS_SENTINEL_{name}_{number}": str(value)
            for number, sentinel in enumerate(self.cluster.sentinels, start=1)
            for name, value in (("HOST", sentinel.address.host), ("PORT", sentinel.address.port))
        }
        return {
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            "PYTHONPATH": str(REPOSITORY),
            "PYTHONWARNINGS": "error",
            **sentinels,
            "REDIS_SENTINEL_MASTER": files.MASTER_NAME,
            "REDIS_TLS_CA": str(self.cluster.tls.ca),
            "REDIS_BACKUP_USERNAME": "backup",
            "REDIS_BACKUP_PASSWORD": files.PASSWORDS["backup"],
            "REDIS_BACKUP_STORE": f"file://{self.store}",
            "REDIS_BACKUP_RECIPIENT": str(self.identity.to_public()),
            "REDIS_BACKUP_SIGNING_KEY": str(self.directory / "signing.key"),
            "REDIS_BACKUP_STATE": str(self.directory / "state"),
            **self.settings,
        }

    def start(
        self, *words: str, settings: Mapping[str, str] | None = None, **options: Any
    ) -> subprocess.Popen[str]:
        """Start `backup-worker WORDS...`; the caller ends it."""
        return subprocess.Popen(
            [sys.executable, "-m", "backup_worker", *words],
            env=self.environment | dict(settings or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.directory,
            **options,
        )

    def run(
        self,
        *words: str,
        settings: Mapping[str, str] | None = None,
        timeout: float = 60.0,
        **options: Any,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, whatever that is."""
        with self.start(*words, settings=settings, **options) as process:
            try:
                out, err = process.communicate(timeout=timeout)
            finally:
                process.kill()
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def snapshot(self, **options: Any) -> dict[str, Any]:
        """Take a snapshot that must succeed; return its description."""
        done = self.run("snapshot", "--json", **options)
        assert done.returncode == 0, done.stderr
        described: dict[str, Any] = json.loads(done.stdout)
        return described

    def list(self, **options: Any) -> list[dict[str, Any]]:
        """Return what `list` shows."""
        done = self.run("list", "--json", **options)
        assert done.returncode == 0, done.stderr
        listed: list[dict[str, Any]] = json.loads(done.stdout)
        return listed


def watch_memory(process: subprocess.Popen[str]) -> int:
    """Wait for a process to end; return its peak resident set in bytes."""
    peak, status = 0, Path(f"/proc/{process.pid}/status")
    while process.poll() is None:
        with suppress(OSError):
            for line in status.read_text().splitlines():
                if line.startswith("VmHWM:"):
                    peak = int(line.split()[1]) * 1024
        time.sleep(0.02)
    return peak
