"""The worker's settings: read once, from the environment and an env file, into one dataclass.

The names are the guide's (REDIS_SENTINEL_HOST_1, REDIS_BACKUP_INTERVAL, ...). The environment
wins over the file, which on a node is /etc/redis-ha/worker.env.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from backup_worker.errors import UsageError
from redis_ha import environment
from redis_ha.connection import Address, Credentials
from redis_ha.discovery import Access
from redis_ha.errors import BadSetting

ENV_FILES = (Path("/etc/redis-ha/worker.env"), environment.ENV_FILE)


@dataclass(frozen=True)
class ScratchSettings:
    """Where the scratch redis-server of a live restore listens, and what it shows the replicas."""

    address: Address
    certificate: Path
    private_key: Path
    replica: Credentials


@dataclass(frozen=True)
class LogSettings:
    """The continuous log: sealed each `seal_seconds` or `seal_bytes`, at most `spool_bytes` waits.

    What waits for the store lies encrypted on disk, below the state directory.
    """

    enabled: bool = True
    seal_seconds: float = 10.0
    seal_bytes: int = 8 << 20
    spool_bytes: int = 4 << 30


@dataclass(frozen=True)
class WorkerConfig:
    """Everything the worker and its commands need; a part a command needs may be None."""

    enabled: bool
    store_url: str
    s3_endpoint: str | None
    interval: timedelta
    retention: timedelta
    recipients: tuple[str, ...]
    signing_key: Path | None
    trusted_signers: tuple[bytes, ...]
    state: Path
    access: Access | None
    operator: Credentials | None
    scratch: ScratchSettings | None
    container: str | None
    identity: Path | None = None
    log: LogSettings = LogSettings()
    # Whether each snapshot is read back and loaded.
    drill: bool = True
    # Where the metrics are served; None: nowhere.
    metrics: Address | None = None


def load(environ: Mapping[str, str], *, files: tuple[Path, ...] = ENV_FILES) -> WorkerConfig:
    """Merge the first env file that exists with `environ` and parse; raises UsageError."""
    found = next((path for path in files if path.is_file()), files[-1])
    try:
        return parse(environment.merged(environ, file=found))
    except BadSetting as error:
        raise UsageError(
            operation=error.operation, subject=error.subject, cause=error.cause, hint=error.hint
        ) from error


def parse(values: Mapping[str, str]) -> WorkerConfig:
    """Turn settings into a WorkerConfig; raises BadSetting naming the setting at fault."""
    credentials = environment.credentials(values, "REDIS_BACKUP")
    return WorkerConfig(
        enabled=_flag(values, "REDIS_BACKUP_ENABLED", default=True),
        store_url=values.get("REDIS_BACKUP_STORE", ""),
        s3_endpoint=values.get("REDIS_BACKUP_S3_ENDPOINT") or None,
        interval=timedelta(
            seconds=environment.positive(values, "REDIS_BACKUP_INTERVAL", default=3600)
        ),
        retention=timedelta(
            hours=environment.positive(values, "REDIS_BACKUP_RETENTION", default=168)
        ),
        recipients=_listed(values, "REDIS_BACKUP_RECIPIENT"),
        signing_key=environment.path(values, "REDIS_BACKUP_SIGNING_KEY"),
        trusted_signers=tuple(
            _public_key(text) for text in _listed(values, "REDIS_BACKUP_TRUSTED_SIGNERS")
        ),
        state=environment.path(values, "REDIS_BACKUP_STATE") or Path("/var/lib/backup-worker"),
        access=environment.access(values, credentials),
        operator=environment.credentials(values, "REDIS_OPERATOR"),
        scratch=_scratch(values),
        container=values.get("REDIS_BACKUP_CONTAINER") or None,
        identity=environment.path(values, "REDIS_BACKUP_IDENTITY"),
        log=_log(values),
        drill=_flag(values, "REDIS_BACKUP_DRILL", default=True),
        metrics=_metrics(values),
    )


def _scratch(values: Mapping[str, str]) -> ScratchSettings | None:
    certificate = environment.path(values, "REDIS_BACKUP_TLS_CERT")
    private_key = environment.path(values, "REDIS_BACKUP_TLS_KEY")
    replica = environment.credentials(values, "REDIS_REPLICA")
    host = values.get("REDIS_BACKUP_SCRATCH_HOST")
    if not (certificate and private_key and replica and host):
        return None
    port = environment.port(values, "REDIS_BACKUP_SCRATCH_PORT")
    return ScratchSettings(Address(host, port), certificate, private_key, replica)


def _log(values: Mapping[str, str]) -> LogSettings:
    usual = LogSettings()
    return LogSettings(
        enabled=_flag(values, "REDIS_BACKUP_LOG", default=usual.enabled),
        seal_seconds=environment.positive(
            values, "REDIS_BACKUP_LOG_SECONDS", default=int(usual.seal_seconds)
        ),
        seal_bytes=environment.positive(values, "REDIS_BACKUP_LOG_BYTES", default=usual.seal_bytes),
        spool_bytes=environment.positive(
            values, "REDIS_BACKUP_SPOOL_BYTES", default=usual.spool_bytes
        ),
    )


def _metrics(values: Mapping[str, str]) -> Address | None:
    host = values.get("REDIS_BACKUP_METRICS_HOST")
    return Address(host, environment.port(values, "REDIS_BACKUP_METRICS_PORT")) if host else None


def _listed(values: Mapping[str, str], key: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in values.get(key, "").split(",") if part.strip())


def _flag(values: Mapping[str, str], key: str, *, default: bool) -> bool:
    words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    text = values.get(key, "").lower()
    return (
        default
        if not text
        else environment.or_unusable(words.__getitem__, text, key, "true or false")
    )


def _public_key(text: str) -> bytes:
    def read(encoded: str) -> bytes:
        if len(raw := base64.b64decode(encoded, validate=True)) != 32:
            raise ValueError
        return raw

    expected = "base64 of a raw Ed25519 public key (32 bytes)"
    return environment.or_unusable(read, text, "REDIS_BACKUP_TRUSTED_SIGNERS", expected)
