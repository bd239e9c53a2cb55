"""What a folder of `redis-ha compose` keeps secret: passwords, the authority, the backup's keys.

Made once, at random, and kept; a user or a node that is new later gets its own then.
"""

import base64
import json
import secrets
import string
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from infra.acl import USER_NAMES
from infra.compose.certificates import Pair, check, issue, lasts, make_authority, serves
from infra.config import ClusterConfig
from infra.keys import age_identity, age_recipient, signer_of
from infra.rendering import BackupKeys
from infra.topology import Node

LETTERS = string.ascii_letters + string.digits
PASSWORD_LENGTH = 48
SEED_BYTES = 32


@dataclass(frozen=True)
class Secrets:
    """All of it; `pairs` by node, `seed` the base64 of what the age identity is made of."""

    passwords: Mapping[str, str]
    seed: str
    signing_key: str
    authority: Pair
    pairs: Mapping[str, Pair]

    @property
    def identity(self) -> str:
        """The age identity that opens the backups, where the operator brought no recipients."""
        return age_identity(self.seed)

    def keys(self, config: ClusterConfig) -> BackupKeys:
        """Give what the worker's settings say of the keys; nothing of it is secret."""
        given = config.backup.backup_recipients
        key = load_pem_private_key(self.signing_key.encode(), None)
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return BackupKeys(given or (age_recipient(self.seed),), signer_of(public.decode()))


def read_secrets(text: str) -> Secrets:
    """Read what `write_secrets` wrote, and see that all of it is usable.

    What is damaged is never made anew in silence: whoever runs would refuse the new one.
    Errors: ValueError, KeyError, TypeError, AttributeError.
    """
    found: dict[str, Any] = json.loads(text)
    pairs = {name: Pair(**pair) for name, pair in found["pairs"].items()}
    kept = Secrets(**{**found, "authority": Pair(**found["authority"]), "pairs": pairs})
    for pair in (kept.authority, *pairs.values()):
        check(pair)
    load_pem_private_key(kept.signing_key.encode(), None)
    if len(base64.b64decode(kept.seed, validate=True)) != SEED_BYTES:
        raise ValueError("the seed has another length")
    if not all(isinstance(each, str) and each for each in kept.passwords.values()):
        raise ValueError("a password is missing")
    return kept


def write_secrets(kept: Secrets) -> str:
    """Write it as JSON."""
    return json.dumps(asdict(kept), indent=1) + "\n"


def complete(
    kept: Secrets | None, config: ClusterConfig, certified: tuple[Node, ...], *, now: datetime
) -> Secrets:
    """Keep what there is, make what is missing, renew the certificates that are due.

    A new authority, years later, renews all certificates with it.
    """
    times = config.certificates
    passwords = kept.passwords if kept else {}
    authority = kept.authority if kept and lasts(kept.authority, times, now=now) else None
    authority = authority or make_authority(times, now=now)
    found = kept.pairs if kept else {}

    def pair(node: Node) -> Pair:
        old = found.get(node.name)
        if old and lasts(old, times, now=now) and serves(old, node, authority=authority):
            return old
        return issue(authority, node, times, now=now)

    return Secrets(
        passwords={user: passwords.get(user) or _password() for user in USER_NAMES},
        seed=kept.seed if kept else base64.b64encode(secrets.token_bytes(SEED_BYTES)).decode(),
        signing_key=kept.signing_key if kept else _signing_key(),
        authority=authority,
        pairs={node.name: pair(node) for node in certified},
    )


def _password() -> str:
    """Letters and digits only: safe in every file format."""
    return "".join(secrets.choice(LETTERS) for _ in range(PASSWORD_LENGTH))


def _signing_key() -> str:
    key = Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
