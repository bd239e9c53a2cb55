"""Decrypts a stream with identities, without I/O."""

from collections.abc import Sequence

from age import stanza
from age.errors import Malformed
from age.header import HeaderParser
from age.keys import Identity
from age.payload import NONCE_LENGTH, PayloadDecryptor


class Decryptor:
    """Takes an age v1 file, returns plaintext, in constant memory (about one 64 KiB chunk).

    Every byte returned was authenticated, but only `finish` proves that the file is complete.
    Raises Malformed, Unsupported, WrongKey or Corrupt; after an error it is of no more use.
    """

    def __init__(self, identities: Sequence[Identity]) -> None:
        self._identities = tuple(identities)
        self._parser = HeaderParser()
        self._file_key: bytes | None = None
        self._nonce = b""
        self._payload: PayloadDecryptor | None = None
        self._closed = False

    def update(self, data: bytes) -> bytes:
        """Return the plaintext of the chunks that `data` completed."""
        self._require_open()
        self._closed = True
        plain = self._decrypt(data)
        self._closed = False
        return plain

    def finish(self) -> bytes:
        """Return the last chunk's plaintext; raises Malformed or Corrupt for a file cut short."""
        self._require_open()
        self._closed = True
        if self._payload is None:
            where = "inside its header" if self._file_key is None else "before its payload"
            raise Malformed(f"the file ends {where}")
        return self._payload.finish()

    def _decrypt(self, data: bytes) -> bytes:
        if self._payload is None:
            data = self._start(data)
        if self._payload is None:
            return b""
        opened = self._payload.update(data)
        return opened[0] if len(opened) == 1 else b"".join(opened)

    def _start(self, data: bytes) -> bytes:
        """Take header and payload nonce; return what follows them."""
        if self._file_key is None:
            parsed = self._parser.feed(data)
            if parsed is None:
                return b""
            header, data = parsed
            file_key = stanza.unwrap(header.stanzas, self._identities)
            header.verify(file_key)
            self._file_key = file_key
        missing = NONCE_LENGTH - len(self._nonce)
        self._nonce += data[:missing]
        if len(self._nonce) == NONCE_LENGTH:
            self._payload = PayloadDecryptor(self._file_key, self._nonce)
        return data[missing:]

    def _require_open(self) -> None:
        if self._closed:
            raise RuntimeError("this Decryptor has finished or failed: make a new one")
