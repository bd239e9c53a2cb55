"""A report that shows when it was changed: its canonical JSON, signed with Ed25519.

`{"report": {...}, "signature": {"algorithm": "Ed25519", "signer", "value"}}`; what is signed is the
report as JSON with sorted keys and without spaces, signer and value are base64 of the raw bytes.
"""

import base64
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from redis_ha.errors import BadSetting

ALGORITHM = "Ed25519"


def the_key(path: Path) -> Ed25519PrivateKey:
    """Read the signing key, or make one (0600) where there is none. Raises BadSetting."""
    try:
        if not path.exists():
            _make(path)
        key = load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise _unusable(path, str(error)) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise _unusable(path, "it is a key of another kind")
    return key


def public_half(path: Path) -> str | None:
    """Give what signs as `signer` with the key at a path; None where there is none.

    Raises BadSetting.
    """
    return _public(the_key(path)) if path.exists() else None


def sign(report: Mapping[str, Any], key: Ed25519PrivateKey) -> dict[str, Any]:
    """Give the report with its signature."""
    value = base64.b64encode(key.sign(_canonical(report))).decode()
    return {
        "report": dict(report),
        "signature": {"algorithm": ALGORITHM, "signer": _public(key), "value": value},
    }


def problem_of(signed: Any, *, signer: str | None = None) -> str:
    """Say why a report can't be trusted, "" when it can; `signer` is whose it must be."""
    try:
        report, signature = signed["report"], signed["signature"]
        if signature["algorithm"] != ALGORITHM:
            return f"it is signed with {signature['algorithm']}, not {ALGORITHM}"
        public = Ed25519PublicKey.from_public_bytes(
            base64.b64decode(signature["signer"], validate=True)
        )
        public.verify(base64.b64decode(signature["value"]), _canonical(report))
    except InvalidSignature:
        return "it was changed after it was signed"
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        return f"it is no signed report ({type(error).__name__})"
    if signer is not None and signature["signer"] != signer:
        return f"it was signed by {signature['signer']}, not by {signer}"
    return ""


def _public(key: Ed25519PrivateKey) -> str:
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()


def _canonical(report: Mapping[str, Any]) -> bytes:
    return json.dumps(report, sort_keys=True, separators=(",", ":")).encode()


def _make(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    pem = Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(descriptor)


def _unusable(path: Path, cause: str) -> BadSetting:
    return BadSetting(
        operation="use the signing key",
        subject=str(path),
        cause=cause,
        hint="name an Ed25519 private key in PEM with --key FILE, or a file that is not there yet",
    )
