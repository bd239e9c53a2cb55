"""The payload: 64 KiB chunks under ChaCha20-Poly1305, a STREAM construction.

Source: c2sp.org/age, "Payload".
"""

from collections.abc import Iterator

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from age.errors import Corrupt

CHUNK = 64 * 1024
TAG = 16
NONCE_LENGTH = 16


class PayloadEncryptor:
    """Encrypts a payload; holds back at most one chunk, for the last one is marked as such."""

    def __init__(self, file_key: bytes, nonce: bytes) -> None:
        self._cipher = _cipher(file_key, nonce)
        self._chunks = _Chunks(CHUNK, keep=1)
        self._counter = 0

    def update(self, data: bytes) -> list[bytes]:
        """Return the encrypted chunks that `data` completed."""
        return [self._seal(chunk, last=False) for chunk in self._chunks.take(data)]

    def finish(self) -> bytes:
        """Return the last chunk."""
        return self._seal(self._chunks.rest(), last=True)

    def _seal(self, chunk: bytes, *, last: bool) -> bytes:
        nonce = _chunk_nonce(self._counter, last=last)
        self._counter += 1
        return self._cipher.encrypt(nonce, chunk, None)


class PayloadDecryptor:
    """Decrypts a payload; returns a chunk's plaintext only after its MAC was checked."""

    def __init__(self, file_key: bytes, nonce: bytes) -> None:
        self._cipher = _cipher(file_key, nonce)
        self._chunks = _Chunks(CHUNK + TAG, keep=0)
        self._counter = 0
        self._ended = False

    def update(self, data: bytes) -> list[bytes]:
        """Return the plaintext of the chunks that `data` completed. Raises Corrupt."""
        opened = [self._open_full(chunk) for chunk in self._chunks.take(data)]
        if self._ended and self._chunks.rest():
            raise self._corrupt("bytes follow the last chunk")
        return opened

    def finish(self) -> bytes:
        """Return the last chunk's plaintext. Raises Corrupt when it is not there."""
        if self._ended:
            return b""
        chunk = self._chunks.rest()
        if len(chunk) < TAG:
            raise self._corrupt("the file ends before its last chunk is complete")
        if len(chunk) == TAG and self._counter:
            raise self._corrupt("the last chunk is empty")
        plain = self._try_open(chunk, last=True)
        if plain is None:
            raise self._corrupt("its MAC does not match, or the file ends inside it")
        return plain

    def _open_full(self, chunk: bytes) -> bytes:
        if self._ended:
            raise self._corrupt("it follows the last chunk")
        plain = self._try_open(chunk, last=False)
        if plain is None:
            plain = self._try_open(chunk, last=True)
            self._ended = True
        if plain is None:
            raise self._corrupt("its MAC does not match")
        self._counter += 1
        return plain

    def _try_open(self, chunk: bytes, *, last: bool) -> bytes | None:
        try:
            return self._cipher.decrypt(_chunk_nonce(self._counter, last=last), chunk, None)
        except InvalidTag:
            return None

    def _corrupt(self, cause: str) -> Corrupt:
        return Corrupt(cause, chunk=self._counter)


class _Chunks:
    """Cuts a stream into chunks of `size` bytes; gives one out once `keep` more have come."""

    def __init__(self, size: int, *, keep: int) -> None:
        self._size = size
        self._keep = keep
        self._pending = bytearray()

    def take(self, data: bytes) -> Iterator[bytes]:
        count = (len(self._pending) + len(data) - self._keep) // self._size
        position = 0
        if count > 0:
            position = self._size - len(self._pending)
            yield bytes(self._pending + data[:position])
            self._pending.clear()
        for _ in range(1, count):
            yield data[position : position + self._size]
            position += self._size
        self._pending += data[position:]

    def rest(self) -> bytes:
        return bytes(self._pending)


def _cipher(file_key: bytes, nonce: bytes) -> ChaCha20Poly1305:
    return ChaCha20Poly1305(HKDF(SHA256(), 32, nonce, b"payload").derive(file_key))


def _chunk_nonce(counter: int, *, last: bool) -> bytes:
    return counter.to_bytes(11, "big") + (b"\x01" if last else b"\x00")
