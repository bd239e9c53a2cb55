"""Ed25519 signatures in a DSSE v1 envelope (secure-systems-lab/dsse, envelope.md, protocol.md).

A key's id is its raw public key in base64, as REDIS_BACKUP_TRUSTED_SIGNERS lists it: an unknown
signer's id can be compared with that setting by eye. It is a hint only; no check relies on it.
"""

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from backup_worker.errors import SnapshotCorrupt, UsageError

# More characters than an id of ours has.
_SHOWN = 80
_OTHER_COPY = "it was damaged or changed: use another copy or another snapshot"


class MalformedEnvelope(SnapshotCorrupt):
    """Not a DSSE envelope, or not one for this kind of payload."""


class UnknownSigner(SnapshotCorrupt):
    """Signed, but by nobody that is trusted here."""


class BadSignature(SnapshotCorrupt):
    """It claims a trusted signer, whose signature does not fit the payload."""


class Signer:
    """An Ed25519 private key."""

    def __init__(self, private_key: Ed25519PrivateKey) -> None:
        self._private_key = private_key

    @classmethod
    def generate(cls) -> "Signer":
        """Make a new key."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def load(cls, pem: bytes, *, source: str) -> "Signer":
        """Read a PKCS8 PEM key without a passphrase. Raises UsageError that names `source`."""
        try:
            key = load_pem_private_key(pem, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise _no_signing_key(source, "it is no unencrypted PEM private key") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise _no_signing_key(source, "it is not of the type Ed25519")
        return cls(key)

    def to_pem(self) -> bytes:
        """Write as PKCS8 PEM. The result is the secret."""
        return self._private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    @property
    def public_key(self) -> bytes:
        """The 32 raw bytes that others trust."""
        return self._private_key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    @property
    def key_id(self) -> str:
        """The public key in base64."""
        return key_id(self.public_key)

    def sign(self, payload: bytes, *, payload_type: str) -> bytes:
        """Return the envelope: one line of JSON."""
        signature = self._private_key.sign(_pre_authentication(payload_type, payload))
        return _written(payload_type, payload, self.key_id, signature)


def verify(envelope: bytes, trusted: Sequence[bytes], *, payload_type: str, subject: str) -> bytes:
    """Return the payload of an envelope that one of the trusted raw public keys signed.

    `subject` names the object in errors: MalformedEnvelope, UnknownSigner or BadSignature.
    """
    opened = _parse(envelope, subject=subject)
    if not any(_signed_by(key, opened) for key in trusted):
        raise _refusal(opened, trusted, subject=subject)
    if opened.payload_type != payload_type:
        cause = f"its payload type is {opened.payload_type!r}, not {payload_type!r}"
        raise _malformed(subject, cause)
    return opened.payload


def verify_exact(
    envelope: bytes, trusted: Sequence[bytes], *, payload_type: str, subject: str
) -> bytes:
    """Verify, and require each byte of the envelope to be as `Signer.sign` writes it.

    A signature does not cover the spaces, the order and the key's name in its envelope: a changed
    bit there harms nobody, but shows that the store does not keep what it was given.
    """
    payload = verify(envelope, trusted, payload_type=payload_type, subject=subject)
    opened = _parse(envelope, subject=subject)
    written = [
        _written(payload_type, payload, key_id(key), signature)
        for key in trusted
        for _, signature in opened.signatures
    ]
    if envelope not in written:
        raise _malformed(subject, "bytes of its envelope were changed, its payload is whole")
    return payload


def _written(payload_type: str, payload: bytes, name: str, signature: bytes) -> bytes:
    envelope = {
        "payloadType": payload_type,
        "payload": _to_text(payload),
        "signatures": [{"keyid": name, "sig": _to_text(signature)}],
    }
    return json.dumps(envelope).encode() + b"\n"


def key_id(public_key: bytes) -> str:
    """Return the id of a raw public key: its base64."""
    return _to_text(public_key)


def read_trusted(texts: Sequence[str]) -> tuple[bytes, ...]:
    """Read raw public keys from base64. Raises UsageError that quotes the bad one."""
    keys = []
    for text in texts:
        try:
            key = base64.b64decode(text, validate=True)
        except binascii.Error:
            key = b""
        if len(key) != 32:
            raise UsageError(
                operation="read",
                subject=f"trusted signer {text!r}",
                cause="it is not the base64 of a 32-byte Ed25519 public key",
                hint="`backup-worker keygen` prints it beside a new signing key",
            )
        keys.append(key)
    return tuple(keys)


@dataclass(frozen=True)
class _Envelope:
    payload_type: str
    payload: bytes
    signatures: tuple[tuple[str, bytes], ...]


def _parse(envelope: bytes, *, subject: str) -> _Envelope:
    try:
        fields = json.loads(envelope)
        signatures = [(s.get("keyid", ""), _from_text(s["sig"])) for s in fields["signatures"]]
        payload_type, payload = fields["payloadType"], _from_text(fields["payload"])
        str(payload_type).encode()  # JSON may hold halves of characters, which have no bytes
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise _malformed(subject, "it is not a DSSE envelope") from None
    if not isinstance(payload_type, str) or not signatures:
        raise _malformed(subject, "its payload type or its signatures are missing")
    return _Envelope(payload_type, payload, tuple((_shown(name), sig) for name, sig in signatures))


def _shown(name: object) -> str:
    """Return a key's id as it can be printed anywhere: anybody may have written it."""
    text = str(name)[:_SHOWN]
    return text if text.isascii() and text.isprintable() else ascii(text)


def _signed_by(public_key: bytes, envelope: _Envelope) -> bool:
    key = Ed25519PublicKey.from_public_bytes(public_key)
    message = _pre_authentication(envelope.payload_type, envelope.payload)
    for _, signature in envelope.signatures:
        try:
            key.verify(signature, message)
        except InvalidSignature:
            continue
        return True
    return False


def _refusal(envelope: _Envelope, trusted: Sequence[bytes], *, subject: str) -> SnapshotCorrupt:
    claimed = [name for name, _ in envelope.signatures]
    known = {key_id(key) for key in trusted}
    if known.intersection(claimed):
        cause = "the signature of a trusted signer does not match"
        return BadSignature(operation="verify", subject=subject, cause=cause, hint=_OTHER_COPY)
    return UnknownSigner(
        operation="verify",
        subject=subject,
        cause=f"it is signed by {', '.join(claimed)}, who is not trusted here",
        hint="if that is your worker's key, add it to REDIS_BACKUP_TRUSTED_SIGNERS",
    )


def _malformed(subject: str, cause: str) -> MalformedEnvelope:
    return MalformedEnvelope(operation="verify", subject=subject, cause=cause, hint=_OTHER_COPY)


def _no_signing_key(source: str, cause: str) -> UsageError:
    return UsageError(
        operation="read",
        subject=f"signing key {source}",
        cause=cause,
        hint="`backup-worker keygen` makes one (PKCS8 PEM, Ed25519)",
    )


def _pre_authentication(payload_type: str, payload: bytes) -> bytes:
    """PAE of the DSSE protocol: what is signed in the payload's place."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def _to_text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _from_text(text: str) -> bytes:
    """DSSE allows both alphabets of base64."""
    return base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
