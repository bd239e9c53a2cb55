"""X25519 identities and recipients, and the files that hold identities.

Source: c2sp.org/age, "The X25519 recipient type".
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NoReturn

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from age import bech32
from age.errors import AgeError, MalformedKey, Unsupported

KEY_LENGTH = 32
_RECIPIENT_PREFIX = "age"
_IDENTITY_PREFIX = "AGE-SECRET-KEY-"


@dataclass(frozen=True)
class Recipient:
    """A public key, 32 bytes: who can open the file."""

    public_key: bytes

    def __post_init__(self) -> None:
        _require_length(self.public_key, "recipient")

    @classmethod
    def parse(cls, text: str) -> "Recipient":
        """Read `age1...`. Raises MalformedKey; Unsupported for SSH and plugin recipients."""
        if text.startswith("ssh-"):
            _reject_foreign("recipient", "an SSH key")
        prefix, data = _decode(text, "recipient")
        if prefix.startswith(_RECIPIENT_PREFIX + "1"):
            _reject_foreign("recipient", f"of the type {prefix!r}")
        if prefix != _RECIPIENT_PREFIX:
            raise _malformed("recipient", f"it does not begin with {_RECIPIENT_PREFIX}1")
        return cls(data)

    def encode(self) -> str:
        """Write as `age1...`."""
        return bech32.encode(_RECIPIENT_PREFIX, self.public_key)

    def __str__(self) -> str:
        return self.encode()


@dataclass(frozen=True)
class Identity:
    """A private key, 32 bytes: opens what was encrypted to its recipient."""

    secret_key: bytes = field(repr=False)

    def __post_init__(self) -> None:
        _require_length(self.secret_key, "identity")

    @classmethod
    def generate(cls, *, random: Callable[[int], bytes] = os.urandom) -> "Identity":
        """Make a new identity from 32 random bytes."""
        return cls(random(KEY_LENGTH))

    @classmethod
    def parse(cls, text: str) -> "Identity":
        """Read `AGE-SECRET-KEY-1...`. Raises MalformedKey; Unsupported for plugins' and others."""
        if text.startswith("AGE-PLUGIN-"):
            _reject_foreign("identity", "a plugin's")
        prefix, data = _decode(text, "identity")
        if prefix.startswith(_IDENTITY_PREFIX) and prefix != _IDENTITY_PREFIX:
            _reject_foreign("identity", f"of the type {prefix.strip('-')}")
        if prefix != _IDENTITY_PREFIX:
            raise _malformed("identity", f"it does not begin with {_IDENTITY_PREFIX}1")
        return cls(data)

    def encode(self) -> str:
        """Write as `AGE-SECRET-KEY-1...`. The result is the secret."""
        return bech32.encode(_IDENTITY_PREFIX.lower(), self.secret_key).upper()

    def to_public(self) -> Recipient:
        """Return the recipient that this identity opens."""
        return Recipient(public_bytes(X25519PrivateKey.from_private_bytes(self.secret_key)))


def public_bytes(private: X25519PrivateKey) -> bytes:
    """Return the 32 raw bytes of a private key's public half."""
    return private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def identity_from_bytes(secret: bytes) -> Identity:
    """Make an identity from 32 random bytes; MalformedKey for another length."""
    return Identity(bytes(secret))


def parse_identity_file(text: str) -> list[Identity]:
    """Read an identity file as age-keygen writes it: one per line, `#` comments, blank lines.

    Raises MalformedKey with the number of the line (never its content), or when there is none.
    """
    if text.startswith(("age-encryption.org/", "-----BEGIN AGE")):
        _reject_foreign("identity file", "encrypted itself")
    identities = [
        _parse_line(line.strip(), number)
        for number, line in enumerate(text.splitlines(), start=1)
        if line.strip() and not line.startswith("#")
    ]
    if not identities:
        raise _malformed("identity file", "it holds no identity")
    return identities


def _parse_line(line: str, number: int) -> Identity:
    try:
        return Identity.parse(line)
    except AgeError as error:
        raise type(error)(
            operation=error.operation,
            subject=f"identity file, line {number}",
            cause=error.cause,
            hint=error.hint,
        ) from None


def _decode(text: str, subject: str) -> tuple[str, bytes]:
    try:
        return bech32.decode(text)
    except ValueError as error:
        raise _malformed(subject, str(error)) from None


def _require_length(key: bytes, subject: str) -> None:
    if len(key) != KEY_LENGTH:
        raise _malformed(subject, f"it has {len(key)} bytes, not {KEY_LENGTH}")


def _malformed(subject: str, cause: str) -> MalformedKey:
    return MalformedKey(
        operation="read",
        subject=subject,
        cause=cause,
        hint="age-keygen makes identities (AGE-SECRET-KEY-1...) and their recipients (age1...)",
    )


def _reject_foreign(subject: str, what: str) -> NoReturn:
    raise Unsupported(
        operation="read",
        subject=subject,
        cause=f"it is {what}",
        hint="only X25519 keys as age-keygen makes them are supported here",
    )
