"""The files of a test cluster: certificates, ACL users, redis.conf, sentinel.conf, node.json."""

import hashlib
import ipaddress
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from redis_ha.connection import Address

MASTER_NAME = "mymaster"
_LIFETIME, _CA_LIFETIME = timedelta(days=2), timedelta(days=365)

_SENTINEL_READER = (
    "resetkeys resetchannels -@all +auth +client|getname +client|id +client|setname +command"
    " +hello +ping +role +sentinel|get-master-addr-by-name +sentinel|master +sentinel|masters"
    " +sentinel|myid +sentinel|replicas +sentinel|slaves +sentinel|sentinels"
)
DATA_RULES = {
    "app": "~* &* +@all -@admin -@dangerous +info +role",
    "app-readonly": "~* &* -@all +@read +@connection +info +role +wait",
    "sentinel": (
        "resetkeys resetchannels &__sentinel__:hello -@all +multi +exec +slaveof +ping +subscribe"
        " +publish +info +config|rewrite +client|setname +client|kill +script|kill"
    ),
    "replica": "resetkeys resetchannels -@all +psync +replconf +ping",
    "exporter": (
        "resetkeys resetchannels &__redis-ha__:witness:asked &__redis-ha__:witness:told"
        " -@all +subscribe +publish +ping +info +select +client|setname +client|list"
        " +config|get +slowlog|len +slowlog|get +latency|latest +latency|histogram +cluster|info"
        " +time +pubsub|numsub +acl|log +acl|getuser +acl|dryrun"
    ),
    "backup": (
        "resetkeys resetchannels -@all +ping +info +role +psync +sync +replconf +client|setname"
        " +config|get +acl|list"
    ),
    "node": (
        "resetkeys resetchannels -@all +multi +exec +ping +info +role +client|setname"
        " +client|list +client|kill +client|pause +client|unpause +replicaof +bgrewriteaof"
    ),
    "witness": (
        "resetkeys resetchannels &__redis-ha__:witness &__redis-ha__:witness:asked"
        " &__redis-ha__:witness:told -@all +subscribe +publish +info"
        " +client|pause +client|unpause +replicaof +config|rewrite"
    ),
    "operator": "~* &* +@all",
}
SENTINEL_RULES = {
    "app": _SENTINEL_READER,
    "sentinel-peer": (
        "resetkeys resetchannels &__sentinel__:hello -@all +ping +publish +client|setname"
        " +sentinel|is-master-down-by-addr"
    ),
    "backup": _SENTINEL_READER + " +acl|list",
    "node": _SENTINEL_READER + " +sentinel|failover +sentinel|ckquorum +sentinel|debug +info",
    "exporter": (
        "resetkeys resetchannels -@all +ping +info +client|setname +sentinel|masters"
        " +sentinel|master +sentinel|replicas +sentinel|slaves +sentinel|sentinels"
        " +sentinel|myid +sentinel|ckquorum +acl|log +acl|getuser +acl|dryrun"
    ),
    "witness": "resetkeys resetchannels -@all +info +sentinel|master +sentinel|failover",
    "operator": "~* &* +@all",
}
PASSWORDS: Mapping[str, str] = {
    user: secrets.token_hex(16) for user in sorted({*DATA_RULES, *SENTINEL_RULES})
}


@dataclass(frozen=True)
class Tls:
    """Paths of the CA, the one certificate that all nodes share, and its key."""

    ca: Path
    certificate: Path
    key: Path


def users_acl(rules: Mapping[str, str]) -> str:
    """Render an ACL file; the default user is off, its permissions are those of infra/acl.py."""
    powers = "~* &* +@all" if rules is DATA_RULES else "resetkeys resetchannels -@all"
    lines = [f"user default off resetpass {powers}"]
    for user, permissions in rules.items():
        digest = hashlib.sha256(PASSWORDS[user].encode()).hexdigest()
        lines.append(f"user {user} on #{digest} {permissions}")
    return "\n".join(lines) + "\n"


def redis_conf(
    address: Address, *, data: Path, config: Path, tls: Tls, extra: Sequence[str]
) -> str:
    """Render the base configuration of a data node, without any role line."""
    return "\n".join(
        [
            *_listening(address, data=data, config=config, tls=tls),
            "masteruser replica",
            f"masterauth {PASSWORDS['replica']}",
            "appendonly yes",
            "appendfsync everysec",
            "repl-diskless-sync yes",
            "repl-diskless-sync-delay 0",
            "repl-backlog-size 16mb",
            "enable-debug-command local",
            "save 3600 1",
            *extra,
            "",
        ]
    )


def sentinel_conf(
    address: Address,
    *,
    data: Path,
    config: Path,
    tls: Tls,
    monitor: Address,
    timing: Mapping[str, int],
    known: Sequence[str],
) -> str:
    """Render a sentinel's seed; `known` are ready lines on peers and replicas."""
    return "\n".join(
        [
            *_listening(address, data=data, config=config, tls=tls),
            "sentinel sentinel-user sentinel-peer",
            f"sentinel sentinel-pass {PASSWORDS['sentinel-peer']}",
            f"sentinel monitor {MASTER_NAME} {monitor.host} {monitor.port} 2",
            *(f"sentinel {name} {MASTER_NAME} {value}" for name, value in timing.items()),
            f"sentinel auth-user {MASTER_NAME} sentinel",
            f"sentinel auth-pass {MASTER_NAME} {PASSWORDS['sentinel']}",
            *known,
            "",
        ]
    )


def node_json(
    name: str,
    role: str,
    *,
    directory: Path,
    nodes: dict[str, Any],
    tls: Tls,
    witness: Mapping[str, Any] | None = None,
) -> str:
    """Render node.json; `nodes` holds data_nodes and sentinels, each name to address."""
    addresses = nodes["data_nodes"] | nodes["sentinels"]
    listed = {
        kind: [
            {"name": peer, "host": address.host, "port": address.port}
            for peer, address in nodes[kind].items()
        ]
        for kind in ("data_nodes", "sentinels")
    }
    document = {
        "name": name,
        "role": role,
        "host": addresses[name].host,
        "port": addresses[name].port,
        "master_name": MASTER_NAME,
        "quorum": 2,
        "initial_master": next(iter(nodes["data_nodes"])),
        **listed,
        "username": "node",
        "password": PASSWORDS["node"],
        "handover_seconds": 10,
        "tls": {"ca": str(tls.ca)},
        "data_dir": str(directory / "data"),
        "config_dir": str(directory / "config"),
        "run_dir": str(directory / "run"),
        "engine": "redis-7",
    }
    if witness is not None:
        document["witness"] = witness
    return json.dumps(document)


def _listening(address: Address, *, data: Path, config: Path, tls: Tls) -> list[str]:
    return [
        f"bind {address.host}",
        "port 0",
        f"tls-port {address.port}",
        f"tls-ca-cert-file {tls.ca}",
        f"tls-cert-file {tls.certificate}",
        f"tls-key-file {tls.key}",
        "tls-auth-clients no",
        "tls-replication yes",
        f"aclfile {config / 'users.acl'}",
        f"dir {data}",
        "daemonize no",
    ]


@cache
def _authority(ca_ends_in: timedelta) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test CA")])
    ca = (
        _builder(ca_name, ca_name, key=ca_key, ends_in=ca_ends_in)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=True,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=True,
                crl_sign=True,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .add_extension(
            x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), critical=False
        )
        .sign(ca_key, hashes.SHA256())
    )
    return ca, ca_key


@cache
def _node_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@cache
def certificates(
    *hosts: str, ends_in: timedelta = _LIFETIME, ca_ends_in: timedelta = _CA_LIFETIME
) -> tuple[bytes, bytes, bytes]:
    """Return CA certificate, node certificate (for these addresses) and node key as PEM.

    CA and key are the same each time; the certificate is valid for so long, or was until then.
    """
    (ca, ca_key), key = _authority(ca_ends_in), _node_key()
    node_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test node")])
    names = x509.SubjectAlternativeName(
        [x509.IPAddress(ipaddress.ip_address(host)) for host in hosts]
    )
    certificate = (
        _builder(node_name, ca.subject, key=key, ends_in=ends_in)
        .add_extension(names, critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False
        )
        .sign(ca_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return ca.public_bytes(pem), certificate.public_bytes(pem), private


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    *,
    key: ec.EllipticCurvePrivateKey,
    ends_in: timedelta,
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return x509.CertificateBuilder(
        issuer_name=issuer,
        subject_name=subject,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=now - timedelta(days=30),
        not_valid_after=now + ends_in,
    )


def write_tls(
    directory: Path,
    *hosts: str,
    ends_in: timedelta = _LIFETIME,
    ca_ends_in: timedelta = _CA_LIFETIME,
) -> Tls:
    """Write the CA, the node certificate (for these addresses too) and its key into a directory."""
    directory.mkdir(parents=True, exist_ok=True)
    tls = Tls(directory / "ca.crt", directory / "node.crt", directory / "node.key")
    paths = (tls.ca, tls.certificate, tls.key)
    made = certificates("127.0.0.1", *hosts, ends_in=ends_in, ca_ends_in=ca_ends_in)
    for path, content in zip(paths, made, strict=True):
        path.write_bytes(content)
        path.chmod(0o600)
    return tls
