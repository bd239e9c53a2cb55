"""Keys in the forms that others read them in; pure."""

import base64

from age import identity_from_bytes

ED25519_KEY_BYTES = 32
# SubjectPublicKeyInfo of Ed25519 (RFC 8410, section 4): everything before the raw key.
_SPKI_PREFIX = bytes.fromhex("302a300506032b6570032100")


def signer_of(public_key_pem: str) -> str:
    """Turn an Ed25519 public key from PEM into base64 of its 32 raw bytes.

    Errors: ValueError for a key of another kind.
    """
    body = "".join(line for line in public_key_pem.splitlines() if not line.startswith("-----"))
    der = base64.b64decode(body)
    if not der.startswith(_SPKI_PREFIX) or len(der) != len(_SPKI_PREFIX) + ED25519_KEY_BYTES:
        raise ValueError("not an Ed25519 public key in SubjectPublicKeyInfo form")
    return base64.b64encode(der[len(_SPKI_PREFIX) :]).decode()


def age_identity(random_base64: str) -> str:
    """Make the age identity (AGE-SECRET-KEY-1...) of 32 random bytes."""
    return identity_from_bytes(base64.b64decode(random_base64)).encode()


def age_recipient(random_base64: str) -> str:
    """Give the recipient (age1...) that the identity of 32 random bytes opens."""
    return identity_from_bytes(base64.b64decode(random_base64)).to_public().encode()
