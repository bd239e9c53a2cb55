"""What the backup worker says of the last backup and its proof, asked by its own command."""

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SECONDS = 15
PROGRAM = "backup-worker"


@dataclass(frozen=True)
class BackupReport:
    """The last snapshot and how long ago (s) it was taken and proven; None where there is none.

    `absent` says why the worker can't be asked, "" when it was.
    """

    snapshot: str | None = None
    snapshot_age: float | None = None
    proof_age: float | None = None
    running: bool = False
    troubles: tuple[str, ...] = ()
    absent: str = ""


def ask_backup(settings: Mapping[str, str], environ: Mapping[str, str]) -> BackupReport:
    """Run `backup-worker status --json` with the cluster's settings, for a bounded time."""
    if not any(settings.get(name) for name in ("REDIS_BACKUP_CONTAINER", "REDIS_BACKUP_STATE")):
        return BackupReport(absent="no backup is set up here (REDIS_BACKUP_CONTAINER)")
    program = shutil.which(PROGRAM) or str(Path(sys.executable).with_name(PROGRAM))
    try:
        done = subprocess.run(
            [program, "status", "--json"],
            env={**environ, **settings},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except FileNotFoundError:
        return BackupReport(absent=f"there is no {PROGRAM} command here")
    except subprocess.TimeoutExpired:
        return BackupReport(absent=f"{PROGRAM} did not answer within {_SECONDS} s")
    return parse(done.stdout, done.stderr)


def parse(stdout: str, stderr: str) -> BackupReport:
    """Read what the command printed."""
    try:
        fields: Any = json.loads(stdout)
        return BackupReport(
            snapshot=fields.get("snapshot"),
            snapshot_age=fields.get("snapshot_age"),
            proof_age=fields.get("proof_age"),
            running=bool(fields["running"]),
            troubles=tuple(str(trouble) for trouble in fields["troubles"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        lines = stderr.strip().splitlines() or ["it printed nothing that could be read"]
        return BackupReport(absent=lines[-1].removeprefix(f"{PROGRAM}: "))
