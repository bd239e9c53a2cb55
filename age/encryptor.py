"""Encrypts a stream to recipients, without I/O."""

import os
from collections.abc import Callable, Sequence

from age import header, stanza
from age.errors import AgeError
from age.keys import Recipient
from age.payload import NONCE_LENGTH, PayloadEncryptor


class Encryptor:
    """Takes plaintext, returns an age v1 file, in constant memory (about one 64 KiB chunk).

    Any one recipient's identity opens the file. `random(n)` gives n secret random bytes.
    Raises AgeError when there is no recipient, MalformedKey when one is no usable public key.
    """

    def __init__(
        self, recipients: Sequence[Recipient], *, random: Callable[[int], bytes] = os.urandom
    ) -> None:
        if not recipients:
            raise AgeError(
                operation="encrypt",
                subject="age file",
                cause="there is no recipient",
                hint="give at least one public key (age1...)",
            )
        file_key = random(stanza.FILE_KEY_LENGTH)
        stanzas = [stanza.wrap(file_key, recipient, random=random) for recipient in recipients]
        nonce = random(NONCE_LENGTH)
        self._unsent = header.encode(stanzas, file_key) + nonce
        self._payload = PayloadEncryptor(file_key, nonce)
        self._finished = False

    def update(self, data: bytes) -> bytes:
        """Return what `data` completed of the file; the first call returns the header too."""
        self._require_unfinished()
        sealed = self._payload.update(data)
        if self._unsent:
            sealed.insert(0, self._unsent)
            self._unsent = b""
        return sealed[0] if len(sealed) == 1 else b"".join(sealed)

    def finish(self) -> bytes:
        """Return the end of the file."""
        self._require_unfinished()
        self._finished = True
        return self._unsent + self._payload.finish()

    def _require_unfinished(self) -> None:
        if self._finished:
            raise RuntimeError("this Encryptor is finished: make a new one for the next file")
