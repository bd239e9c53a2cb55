"""The textual header: written whole, parsed as it arrives.

Source: c2sp.org/age, "Header" and "ABNF definition of file header".
"""

from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from age import encoding
from age.errors import Corrupt, Malformed, Unsupported
from age.stanza import Stanza

# The format sets no limit; without one a file of '->' lines would fill the memory.
MAX_LENGTH = 256 * 1024
_VERSION_PREFIX = b"age-encryption.org/"
_VERSION_LINE = _VERSION_PREFIX + b"v1"
_ARMOR_PREFIX = b"-----BEGIN AGE"
_FULL_LINE = 64
_MAC_LENGTH = 32


@dataclass(frozen=True)
class Header:
    """A parsed header: stanzas, the bytes that the MAC covers, and the MAC."""

    stanzas: tuple[Stanza, ...]
    covered: bytes
    mac: bytes

    def verify(self, file_key: bytes) -> None:
        """Check the MAC; Corrupt when it does not match."""
        try:
            _hmac(file_key, self.covered).verify(self.mac)
        except InvalidSignature:
            raise Corrupt("its MAC does not match", chunk=None) from None


def encode(stanzas: Sequence[Stanza], file_key: bytes) -> bytes:
    """Write the header of `stanzas` with its MAC."""
    covered = b"".join([_VERSION_LINE + b"\n", *(s.encode() for s in stanzas), b"---"])
    return covered + b" " + encoding.encode(_hmac(file_key, covered).finalize()) + b"\n"


class HeaderParser:
    """Takes bytes until the header is complete; strict, at most MAX_LENGTH bytes."""

    def __init__(self) -> None:
        self._pending = bytearray()
        self._covered = bytearray()
        self._arguments: tuple[bytes, ...] | None = None
        self._body = bytearray()
        self._stanzas: list[Stanza] = []

    def feed(self, data: bytes) -> tuple[Header, bytes] | None:
        """Return the header and the bytes that follow it, or None while it is incomplete.

        Raises Malformed or Unsupported as soon as a line proves it.
        """
        searched = len(self._pending)
        self._pending += data
        start = 0
        while (end := self._pending.find(b"\n", max(start, searched))) >= 0:
            header = self._line(bytes(self._pending[start:end]))
            start = end + 1
            if header is not None:
                return header, bytes(self._pending[start:])
        del self._pending[:start]
        self._check_incomplete()
        return None

    def _check_incomplete(self) -> None:
        if len(self._covered) + len(self._pending) > MAX_LENGTH:
            raise Malformed(f"it is longer than {MAX_LENGTH} bytes")
        if not self._covered:
            _check_start(bytes(self._pending[: len(_VERSION_PREFIX)]))

    def _line(self, line: bytes) -> Header | None:
        if not self._covered:
            _check_version(line)
        elif self._arguments is not None:
            self._body_line(self._arguments, line)
        elif line.startswith(b"-> "):
            self._arguments = _parse_arguments(line[3:])
        elif line.startswith(b"--- ") and self._stanzas:
            return self._end(line[4:])
        else:
            raise Malformed("a line is neither a stanza nor the MAC")
        self._covered += line + b"\n"
        return None

    def _body_line(self, arguments: tuple[bytes, ...], line: bytes) -> None:
        if len(line) > _FULL_LINE:
            raise Malformed(f"a stanza's line is longer than {_FULL_LINE} columns")
        self._body += _decode(line, "a stanza's body")
        if len(line) < _FULL_LINE:
            self._stanzas.append(Stanza(arguments, bytes(self._body)))
            self._arguments = None
            self._body.clear()

    def _end(self, text: bytes) -> Header:
        mac = _decode(text, "the MAC")
        if len(mac) != _MAC_LENGTH:
            raise Malformed("the MAC is not 32 bytes long")
        return Header(tuple(self._stanzas), bytes(self._covered) + b"---", mac)


def _hmac(file_key: bytes, covered: bytes) -> HMAC:
    mac = HMAC(HKDF(SHA256(), 32, b"", b"header").derive(file_key), SHA256())
    mac.update(covered)
    return mac


def _check_start(start: bytes) -> None:
    """Refuse what cannot become an age header, before a whole line of it is there."""
    if start.startswith(_ARMOR_PREFIX):
        raise Unsupported(
            operation="read",
            subject="age header",
            cause="the file is ASCII armored",
            hint="encrypt without --armor, or decrypt it with the age command",
        )
    if not _VERSION_PREFIX.startswith(start) and not _ARMOR_PREFIX.startswith(start):
        raise Malformed("it does not begin as an age file does")


def _check_version(line: bytes) -> None:
    if line == _VERSION_LINE:
        return
    _check_start(line[: len(_VERSION_PREFIX)])
    if len(line) <= len(_VERSION_PREFIX) or not _is_visible(line):
        raise Malformed("its version line is not valid")
    raise Unsupported(
        operation="read",
        subject="age header",
        cause=f"its version is {line[len(_VERSION_PREFIX) :].decode()[:40]!r}, not 'v1'",
        hint="decrypt it with a newer age command",
    )


def _parse_arguments(text: bytes) -> tuple[bytes, ...]:
    arguments = tuple(text.split(b" "))
    if not all(argument and _is_visible(argument) for argument in arguments):
        raise Malformed("a stanza's arguments are empty or hold characters that are not allowed")
    return arguments


def _is_visible(text: bytes) -> bool:
    return all(0x21 <= byte <= 0x7E for byte in text)


def _decode(text: bytes, what: str) -> bytes:
    try:
        return encoding.decode(text)
    except ValueError:
        raise Malformed(f"{what} is not canonical base64") from None
