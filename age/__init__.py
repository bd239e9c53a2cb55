"""age v1 (c2sp.org/age) with X25519 recipients, as a stream without I/O.

Passphrases, ASCII armor, plugins and post-quantum recipients are left out; each is refused
with an Unsupported that says so.
"""

from age.decryptor import Decryptor
from age.encryptor import Encryptor
from age.errors import AgeError, Corrupt, Malformed, MalformedKey, Unsupported, WrongKey
from age.keys import Identity, Recipient, identity_from_bytes, parse_identity_file

__all__ = [
    "AgeError",
    "Corrupt",
    "Decryptor",
    "Encryptor",
    "Identity",
    "Malformed",
    "MalformedKey",
    "Recipient",
    "Unsupported",
    "WrongKey",
    "identity_from_bytes",
    "parse_identity_file",
]
