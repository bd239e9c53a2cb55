"""Private keys: making, reading and writing them."""

from __future__ import annotations

import base64
import hashlib
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from toolchain.plugins.base.errors import OperationFailed

PrivateKey = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
PublicKey = ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey | rsa.RSAPublicKey

CURVES: Final[dict[str, type[ec.EllipticCurve]]] = {
    "P224": ec.SECP224R1,
    "P256": ec.SECP256R1,
    "P384": ec.SECP384R1,
    "P521": ec.SECP521R1,
}
ALGORITHMS: Final = ("RSA", "ECDSA", "ED25519")
_NO_ENCRYPTION: Final = serialization.NoEncryption()
_PEM: Final = serialization.Encoding.PEM


def generate(algorithm: str, *, curve: str, bits: int) -> PrivateKey:
    """Make a key; `curve` counts for ECDSA, `bits` for RSA."""
    if algorithm == "ED25519":
        return ed25519.Ed25519PrivateKey.generate()
    if algorithm == "ECDSA":
        return ec.generate_private_key(CURVES[curve]())
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def load(pem: str, *, whose: str) -> PrivateKey:
    """Read a PEM key; `whose` names the property in the error."""
    try:
        key = serialization.load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise OperationFailed(operation="read", subject=whose, cause=str(error)) from error
    if not isinstance(key, PrivateKey):
        raise OperationFailed(
            operation="use", subject=whose, cause=f"{type(key).__name__} is not supported"
        )
    return key


def algorithm_of(key: PrivateKey) -> str:
    """The provider's name for the key's algorithm."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ED25519"
    return "RSA" if isinstance(key, rsa.RSAPrivateKey) else "ECDSA"


def signing_hash(key: PrivateKey) -> hashes.SHA256 | hashes.SHA384 | hashes.SHA512 | None:
    """The hash a signature uses, as Go chooses it: by the size of the curve."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return None
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.key_size > 256:
        return hashes.SHA384() if key.key_size <= 384 else hashes.SHA512()
    return hashes.SHA256()


def describe(key: PrivateKey) -> dict[str, Any]:
    """All notations that the PrivateKey resource gives.

    OpenSSH knows no P224: its notations stay empty then.
    """
    pkcs8 = _private(key, serialization.PrivateFormat.PKCS8)
    has_own_form = not isinstance(key, ed25519.Ed25519PrivateKey)
    traditional = serialization.PrivateFormat.TraditionalOpenSSL
    return {
        "privateKeyPem": _private(key, traditional) if has_own_form else pkcs8,
        "privateKeyPemPkcs8": pkcs8,
        "publicKeyPem": key.public_key()
        .public_bytes(_PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode(),
        **_openssh(key),
    }


def _openssh(key: PrivateKey) -> dict[str, str]:
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP224R1):
        public, private, blob = "", "", None
    else:
        private = _private(key, serialization.PrivateFormat.OpenSSH)
        line = key.public_key().public_bytes(
            serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
        )
        public, blob = f"{line.decode()}\n", base64.b64decode(line.split()[1])
    return {
        "privateKeyOpenssh": private,
        "publicKeyOpenssh": public,
        "publicKeyFingerprintMd5": _md5(blob) if blob else "",
        "publicKeyFingerprintSha256": _sha256(blob) if blob else "",
    }


def _private(key: PrivateKey, form: serialization.PrivateFormat) -> str:
    return key.private_bytes(_PEM, form, _NO_ENCRYPTION).decode()


def _md5(blob: bytes) -> str:
    return hashlib.md5(blob, usedforsecurity=False).digest().hex(":")


def _sha256(blob: bytes) -> str:
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
