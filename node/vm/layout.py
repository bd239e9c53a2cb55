"""Which file of the secrets goes where on this machine, and to whom it belongs. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from node.vm.errors import BootFailed
from node.vm.places import Places

CONFIG = Path("/etc/redis-ha")
DATA = Path("/data")
UNITS = Path("/etc/systemd/system")
ROLES = ("data", "sentinel", "worker", "redis-exporter", "exporter")
TELEMETRY = "telemetry"
GROWTH, GROWTH_TIMER = "growth", "redis-ha-growth.timer"
# The folder of each role's data on the volume; where boot.json's templates say it is.
DATA_FOLDERS = {
    "data": DATA / "redis",
    "sentinel": DATA / "sentinel",
    "worker": DATA / "backup-worker",
}
_SHARED = ("tls/ca.crt", "tls/node.crt", "tls/node.key")
_EXPECTED = {
    "data": ("node.json", "redis.conf", "users.acl"),
    "sentinel": ("node.json", "sentinel.conf", "users.acl"),
    "worker": ("worker.env", "signing.key"),
    "redis-exporter": ("options.env", "passwords.json"),
    "exporter": ("exporter.env",),
}


@dataclass(frozen=True)
class OwnedFile:
    """One file that only its role's user may read."""

    path: Path
    content: str
    role: str


def user_of(role: str) -> str:
    """Name the system user that a role runs as; the ids are fixed in files/sysusers.conf."""
    return f"redis-ha-{role}"


def unit_of(role: str) -> str:
    """Name a role's unit."""
    return f"redis-ha-{role}.service"


def started_units() -> list[str]:
    """Name what runs on a machine from its boot on."""
    return [*map(unit_of, (*ROLES, TELEMETRY)), GROWTH_TIMER]


def owned_files(node: Mapping[str, str], worker: Mapping[str, str]) -> list[OwnedFile]:
    """Place what both secrets hold; each role gets its own copy of the certificate.

    Errors: BootFailed naming what a secret lacks.
    """
    held = {**node, **{f"worker/{name}": content for name, content in worker.items()}}
    return [
        OwnedFile(CONFIG / role / name, _content(held, source), role)
        for role, name, source in _wanted()
    ]


def drop_ins(places: Places) -> dict[str, str]:
    """Give, by role, the part of each unit that isn't the same on every machine."""
    limits = {role: limits_of(role, places) for role in places.limits}
    return {**limits, TELEMETRY: origin_of(places), GROWTH: volume_of(places)}


def origin_of(places: Places) -> str:
    """Write as whom the telemetry's unit speaks, and to where."""
    return (
        "[Service]\n"
        f"Environment=REGION={places.region} CLUSTER={places.cluster} NODE={places.node}\n"
        f"Environment=LOG_GROUP={places.log_group} ENDPOINT={places.endpoint}\n"
    )


def volume_of(places: Places) -> str:
    """Write which device is made larger with its volume."""
    return f"[Service]\nDeviceAllow={places.device} rw\n"


def limits_of(role: str, places: Places) -> str:
    """Write the part of a unit that the stack's settings decide."""
    limits = places.limits[role]
    return (
        "[Service]\n"
        f"MemoryMax={limits.memory}\n"
        f"TimeoutStopSec={limits.stop_seconds}\n"
        f"LimitNOFILE={places.open_files}\n"
        f"LimitNPROC={places.processes}\n"
    )


def mount_unit(device: Path) -> str:
    """Write the unit that mounts the data volume; no program can be run from it."""
    return (
        "[Unit]\n"
        "Description=The data volume of this node\n"
        "[Mount]\n"
        f"What={device}\n"
        f"Where={DATA}\n"
        "Type=ext4\n"
        "Options=noatime,nodev,noexec,nosuid\n"
        "[Install]\n"
        "WantedBy=multi-user.target\n"
    )


def _wanted() -> Iterator[tuple[str, str, str]]:
    for role in ROLES:
        yield from ((role, name, f"{role}/{name}") for name in _EXPECTED[role])
        yield from ((role, name, name) for name in _SHARED)


def _content(held: Mapping[str, str], name: str) -> str:
    if name not in held:
        raise BootFailed(
            operation="write",
            subject=name,
            cause="neither secret of this machine has it",
            hint="the secrets are the stack's: run `pulumi up`",
        )
    return held[name]
