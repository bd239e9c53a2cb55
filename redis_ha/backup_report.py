"""What the backup worker says of its backups and their proofs, asked by its own command."""

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

_SECONDS = 15
PROGRAM = "backup-worker"


@dataclass(frozen=True)
class BackupReport:
    """The last snapshot and how long ago (s) it was taken and proven; None where there is none.

    `interval` (s) is from one snapshot to the next; `follows` names the node whose stream the log
    is made of, and `log_age` (s) how old the oldest byte is that the store doesn't hold yet.
    `absent` says why the worker can't be asked, "" when it was.
    """

    snapshot: str | None = None
    snapshot_age: float | None = None
    proof_age: float | None = None
    running: bool = False
    troubles: tuple[str, ...] = ()
    interval: float | None = None
    role: str = ""
    follows: str = ""
    log_age: float | None = None
    absent: str = ""


@dataclass(frozen=True)
class Snapshot:
    """A snapshot in the store; `taken_at` in seconds since 1970, `state` as `list` prints it.

    `program` (`redis` or `valkey`) and its `version` are the server's that wrote it, `recipients`
    who can open it.
    """

    id: str
    taken_at: float
    state: str
    note: str = ""
    program: str = ""
    version: str = ""
    recipients: tuple[str, ...] = ()


def ask_backup(settings: Mapping[str, str], environ: Mapping[str, str]) -> BackupReport:
    """Run `backup-worker status --json` with the cluster's settings, for a bounded time."""
    done = _run("status", settings, environ)
    return BackupReport(absent=done) if isinstance(done, str) else parse(done.stdout, done.stderr)


def ask_snapshots(
    settings: Mapping[str, str], environ: Mapping[str, str], *, in_bucket: bool = False
) -> tuple[Snapshot, ...] | str:
    """Run `backup-worker list --json` the same way; a text says why that can't be known.

    With `in_bucket` a store on S3 is asked from here where there is no worker to ask.
    """
    bucket = in_bucket and settings.get("REDIS_BACKUP_STORE", "").startswith("s3://")
    done = _run("list", settings, environ, anywhere=bucket)
    return done if isinstance(done, str) else parse_snapshots(done.stdout, done.stderr)


def take_snapshot(settings: Mapping[str, str], environ: Mapping[str, str]) -> Snapshot | str:
    """Have the worker take one and prove it, however long that takes; a text says why it can't."""
    done = _run("snapshot", settings, environ, seconds=None)
    return done if isinstance(done, str) else parse_snapshot(done.stdout, done.stderr)


def _run(
    word: str,
    settings: Mapping[str, str],
    environ: Mapping[str, str],
    *,
    seconds: float | None = _SECONDS,
    anywhere: bool = False,
) -> "subprocess.CompletedProcess[str] | str":
    if not anywhere and not any(
        settings.get(name) for name in ("REDIS_BACKUP_CONTAINER", "REDIS_BACKUP_STATE")
    ):
        return "no backup is set up here (REDIS_BACKUP_CONTAINER)"
    program = shutil.which(PROGRAM) or str(Path(sys.executable).with_name(PROGRAM))
    try:
        return subprocess.run(
            [program, word, "--json"],
            env={**environ, **settings},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    except FileNotFoundError:
        return f"there is no {PROGRAM} command here"
    except subprocess.TimeoutExpired:
        return f"{PROGRAM} did not answer within {_SECONDS} s"


def parse(stdout: str, stderr: str) -> BackupReport:
    """Read what the command printed."""
    try:
        fields: Any = json.loads(stdout)
        log = fields.get("log") or {}
        return BackupReport(
            snapshot=fields.get("snapshot"),
            snapshot_age=fields.get("snapshot_age"),
            proof_age=fields.get("proof_age"),
            running=bool(fields["running"]),
            troubles=tuple(str(trouble) for trouble in fields["troubles"]),
            interval=fields.get("interval"),
            role=str(fields.get("role", "")),
            follows=str(log.get("source", "")),
            log_age=log.get("behind_seconds"),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return BackupReport(absent=_last_words(stderr))


def parse_snapshots(stdout: str, stderr: str) -> tuple[Snapshot, ...] | str:
    """Read what `list` printed, newest first; a text says why it can't be read."""
    try:
        return tuple(_snapshot(fields) for fields in json.loads(stdout))
    except (ValueError, KeyError, TypeError, AttributeError):
        return _last_words(stderr)


def parse_snapshot(stdout: str, stderr: str) -> Snapshot | str:
    """Read what `snapshot` printed; a text says why it can't be read."""
    try:
        taken = _snapshot(json.loads(stdout))
    except (ValueError, KeyError, TypeError, AttributeError):
        return _last_words(stderr)
    if taken.state == "proven" or taken.note or not stderr.strip():
        return taken
    return replace(taken, note=_last_words(stderr).removeprefix(f"{taken.state}: "))


def _snapshot(fields: Mapping[str, Any]) -> Snapshot:
    proof = fields.get("proof") or {}
    note = proof.get("cause") or fields.get("problem") or fields.get("note") or ""
    taken_at = datetime.fromisoformat(fields["taken_at"]).timestamp()
    return Snapshot(
        str(fields["id"]),
        taken_at,
        str(fields["state"]),
        str(note),
        program=str(fields.get("engine", "")),
        version=str(fields.get("engine_version", "")),
        recipients=tuple(map(str, fields.get("recipients") or ())),
    )


def _last_words(stderr: str) -> str:
    lines = stderr.strip().splitlines() or ["it printed nothing that could be read"]
    return lines[-1].removeprefix(f"{PROGRAM}: ")
