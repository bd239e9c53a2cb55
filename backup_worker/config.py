"""The worker's settings: read once, from the environment and an env file, into one dataclass.

The names are the guide's (REDIS_SENTINEL_HOST_1, REDIS_BACKUP_INTERVAL, ...). The environment
wins over the file, which on a node is /etc/redis-ha/worker.env.
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from backup_worker.errors import UsageError
from redis_ha.connection import Address, Credentials
from redis_ha.discovery import Access

T = TypeVar("T")
ENV_FILES = (Path("/etc/redis-ha/worker.env"), Path(".env.redis-ha"))
MAX_SENTINELS = 9


@dataclass(frozen=True)
class ScratchSettings:
    """Where the scratch redis-server of a live restore listens, and what it shows the replicas."""

    address: Address
    certificate: Path
    private_key: Path
    replica: Credentials


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


def load(environ: Mapping[str, str], *, files: tuple[Path, ...] = ENV_FILES) -> WorkerConfig:
    """Merge the first env file that exists with `environ` and parse; raises UsageError."""
    found = next((path for path in files if path.is_file()), None)
    from_file = parse_env_file(found.read_text(), name=str(found)) if found else {}
    return parse({**from_file, **environ})


def parse_env_file(text: str, *, name: str) -> dict[str, str]:
    """Read KEY=VALUE lines; blank lines, comments and a leading `export` are allowed."""
    settings: dict[str, str] = {}
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip().removeprefix("export ").strip()
        if not line or line.startswith("#"):
            continue
        key, equals, value = line.partition("=")
        if not equals:
            raise _unusable(f"{name}, line {number}", "not KEY=VALUE", "correct the line")
        settings[key.strip()] = _unquote(value.strip())
    return settings


def parse(values: Mapping[str, str]) -> WorkerConfig:
    """Turn settings into a WorkerConfig; raises UsageError naming the setting at fault."""
    credentials = _credentials(values, "REDIS_BACKUP")
    return WorkerConfig(
        enabled=_flag(values, "REDIS_BACKUP_ENABLED", default=True),
        store_url=values.get("REDIS_BACKUP_STORE", ""),
        s3_endpoint=values.get("REDIS_BACKUP_S3_ENDPOINT") or None,
        interval=timedelta(seconds=_positive(values, "REDIS_BACKUP_INTERVAL", default=3600)),
        retention=timedelta(hours=_positive(values, "REDIS_BACKUP_RETENTION", default=168)),
        recipients=_listed(values, "REDIS_BACKUP_RECIPIENT"),
        signing_key=_path(values, "REDIS_BACKUP_SIGNING_KEY"),
        trusted_signers=tuple(
            _public_key(text) for text in _listed(values, "REDIS_BACKUP_TRUSTED_SIGNERS")
        ),
        state=_path(values, "REDIS_BACKUP_STATE") or Path("/var/lib/backup-worker"),
        access=_access(values, credentials) if credentials else None,
        operator=_credentials(values, "REDIS_OPERATOR"),
        scratch=_scratch(values),
        container=values.get("REDIS_BACKUP_CONTAINER") or None,
        identity=_path(values, "REDIS_BACKUP_IDENTITY"),
    )


def _access(values: Mapping[str, str], credentials: Credentials) -> Access | None:
    sentinels = tuple(
        Address(values[f"REDIS_SENTINEL_HOST_{n}"], _port(values, f"REDIS_SENTINEL_PORT_{n}"))
        for n in range(1, MAX_SENTINELS + 1)
        if values.get(f"REDIS_SENTINEL_HOST_{n}")
    )
    ca = _path(values, "REDIS_TLS_CA")
    if not sentinels or ca is None:
        return None
    return Access(
        sentinels=sentinels,
        master_name=values.get("REDIS_SENTINEL_MASTER", "mymaster"),
        credentials=credentials,
        ca=ca,
        host_override=values.get("REDIS_HOST_OVERRIDE") or None,
    )


def _scratch(values: Mapping[str, str]) -> ScratchSettings | None:
    certificate = _path(values, "REDIS_BACKUP_TLS_CERT")
    private_key = _path(values, "REDIS_BACKUP_TLS_KEY")
    replica = _credentials(values, "REDIS_REPLICA")
    host = values.get("REDIS_BACKUP_SCRATCH_HOST")
    if not (certificate and private_key and replica and host):
        return None
    port = _port(values, "REDIS_BACKUP_SCRATCH_PORT")
    return ScratchSettings(Address(host, port), certificate, private_key, replica)


def _credentials(values: Mapping[str, str], prefix: str) -> Credentials | None:
    username = values.get(f"{prefix}_USERNAME")
    password = values.get(f"{prefix}_PASSWORD")
    return Credentials(username, password) if username and password else None


def _listed(values: Mapping[str, str], key: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in values.get(key, "").split(",") if part.strip())


def _path(values: Mapping[str, str], key: str) -> Path | None:
    return Path(values[key]) if values.get(key) else None


def _flag(values: Mapping[str, str], key: str, *, default: bool) -> bool:
    words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    text = values.get(key, "").lower()
    return default if not text else _or_unusable(words.__getitem__, text, key, "true or false")


def _positive(values: Mapping[str, str], key: str, *, default: int) -> int:
    def read(text: str) -> int:
        if (number := int(text)) <= 0:
            raise ValueError
        return number

    return _or_unusable(read, values.get(key) or str(default), key, "a whole number above 0")


def _port(values: Mapping[str, str], key: str) -> int:
    def read(text: str) -> int:
        if not 0 < (number := int(text)) < 65536:
            raise ValueError
        return number

    return _or_unusable(read, values.get(key, ""), key, "a port, 1 to 65535")


def _public_key(text: str) -> bytes:
    def read(encoded: str) -> bytes:
        if len(raw := base64.b64decode(encoded, validate=True)) != 32:
            raise ValueError
        return raw

    expected = "base64 of a raw Ed25519 public key (32 bytes)"
    return _or_unusable(read, text, "REDIS_BACKUP_TRUSTED_SIGNERS", expected)


def _or_unusable(read: Callable[[str], T], text: str, key: str, expected: str) -> T:
    try:
        return read(text)
    except (ValueError, KeyError, binascii.Error) as error:
        raise _unusable(key, f"{text!r} is not {expected}", f"set {key} to {expected}") from error


def _unusable(subject: str, cause: str, hint: str) -> UsageError:
    return UsageError(operation="read setting", subject=subject, cause=cause, hint=hint)


def _unquote(value: str) -> str:
    quoted = len(value) >= 2 and value[0] == value[-1] and value[0] in "'\""
    return value[1:-1] if quoted else value
