"""Recipient stanzas: their shape, and the X25519 one that wraps and unwraps a file key.

Source: c2sp.org/age, "Recipient stanza" and "X25519 recipient stanza".
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from age import encoding
from age.errors import Malformed, MalformedKey, Unsupported, WrongKey
from age.keys import KEY_LENGTH, Identity, Recipient, public_bytes

FILE_KEY_LENGTH = 16
_WRAPPED_LENGTH = FILE_KEY_LENGTH + 16
_BODY_COLUMNS = 64
_NONCE = bytes(12)
_X25519 = b"X25519"


@dataclass(frozen=True)
class Stanza:
    """One `->` section of a header: its arguments, the type first, and its decoded body."""

    arguments: tuple[bytes, ...]
    body: bytes

    def encode(self) -> bytes:
        """Write the stanza's lines; the last is shorter than 64 columns, empty if need be."""
        text = encoding.encode(self.body)
        lines = [text[i : i + _BODY_COLUMNS] for i in range(0, len(text) + 1, _BODY_COLUMNS)]
        return b"\n".join([b"-> " + b" ".join(self.arguments), *lines, b""])


def wrap(file_key: bytes, recipient: Recipient, *, random: Callable[[int], bytes]) -> Stanza:
    """Wrap a 16-byte file key for one recipient, with a fresh ephemeral key."""
    ephemeral = X25519PrivateKey.from_private_bytes(random(KEY_LENGTH))
    share = public_bytes(ephemeral)
    try:
        shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(recipient.public_key))
    except ValueError:
        raise MalformedKey(
            operation="encrypt to",
            subject=f"recipient {recipient}",
            cause="it is a point of low order, not a public key",
            hint="use a recipient that age-keygen made",
        ) from None
    key = _wrap_key(shared, share=share, recipient=recipient)
    body = ChaCha20Poly1305(key).encrypt(_NONCE, file_key, None)
    return Stanza((_X25519, encoding.encode(share)), body)


def unwrap(stanzas: Sequence[Stanza], identities: Sequence[Identity]) -> bytes:
    """Return the file key from the first stanza that one of the identities opens.

    Unknown types are skipped. Raises Malformed for an X25519 stanza that breaks its grammar,
    Unsupported for a passphrase, WrongKey when nothing opens.
    """
    if any(stanza.arguments[0] == b"scrypt" for stanza in stanzas):
        raise Unsupported(
            operation="open",
            subject="age header",
            cause="the file is encrypted with a passphrase (scrypt)",
            hint="decrypt it with the age command",
        )
    ours = [(_share_of(s), s.body) for s in stanzas if s.arguments[0] == _X25519]
    for file_key in _attempts(ours, identities):
        return file_key
    raise WrongKey(identities=len(identities), stanzas=len(ours))


def _attempts(ours: list[tuple[bytes, bytes]], identities: Sequence[Identity]) -> Iterator[bytes]:
    for identity in identities:
        private = X25519PrivateKey.from_private_bytes(identity.secret_key)
        recipient = identity.to_public()
        for share, body in ours:
            shared = _exchange(private, share)
            try:
                key = _wrap_key(shared, share=share, recipient=recipient)
                yield ChaCha20Poly1305(key).decrypt(_NONCE, body, None)
            except InvalidTag:
                continue


def _share_of(stanza: Stanza) -> bytes:
    if len(stanza.arguments) != 2:
        raise Malformed("an X25519 stanza has not exactly two arguments")
    try:
        share = encoding.decode(stanza.arguments[1])
    except ValueError:
        raise Malformed("an X25519 stanza's share is not canonical base64") from None
    if len(share) != KEY_LENGTH or len(stanza.body) != _WRAPPED_LENGTH:
        raise Malformed("an X25519 stanza's share or body is not 32 bytes long")
    return share


def _exchange(private: X25519PrivateKey, share: bytes) -> bytes:
    try:
        return private.exchange(X25519PublicKey.from_public_bytes(share))
    except ValueError:
        raise Malformed("an X25519 stanza's share is a point of low order") from None


def _wrap_key(shared: bytes, *, share: bytes, recipient: Recipient) -> bytes:
    salt = share + recipient.public_key
    return HKDF(SHA256(), 32, salt, b"age-encryption.org/v1/X25519").derive(shared)
