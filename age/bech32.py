"""Bech32 without a length limit (BIP 173 as c2sp.org/age uses it)."""

from collections.abc import Iterable

_ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_CHECKSUM_LENGTH = 6


def encode(prefix: str, data: bytes) -> str:
    """Encode bytes under a lower-case human-readable prefix; the result is lower case."""
    values = _to_five_bits(data)
    return prefix + "1" + "".join(_ALPHABET[v] for v in values + _checksum(prefix, values))


def decode(text: str) -> tuple[str, bytes]:
    """Return (prefix in the case it was written in, data).

    Raises ValueError with a cause that quotes nothing of the text: it may be a secret.
    """
    if text != text.lower() and text != text.upper():
        raise ValueError("upper and lower case are mixed")
    prefix, separator, _ = text.rpartition("1")
    if not separator or not prefix or not all(33 <= ord(c) <= 126 for c in prefix):
        raise ValueError("it has no valid Bech32 prefix")
    values = [_ALPHABET.find(c) for c in text[len(prefix) + 1 :].lower()]
    if len(values) < _CHECKSUM_LENGTH or -1 in values:
        raise ValueError("it is too short or holds characters outside Bech32's alphabet")
    if _polymod(_expand(prefix.lower()) + values) != 1:
        raise ValueError("its checksum does not match: a character is wrong or missing")
    return prefix, _to_bytes(values[:-_CHECKSUM_LENGTH])


def _polymod(values: Iterable[int]) -> int:
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(_GENERATOR):
            check ^= generator if top >> bit & 1 else 0
    return check


def _expand(prefix: str) -> list[int]:
    return [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]


def _checksum(prefix: str, values: list[int]) -> list[int]:
    check = _polymod(_expand(prefix) + values + [0] * _CHECKSUM_LENGTH) ^ 1
    return [check >> 5 * (5 - i) & 31 for i in range(_CHECKSUM_LENGTH)]


def _to_five_bits(data: bytes) -> list[int]:
    padding = -len(data) * 8 % 5
    number = int.from_bytes(data, "big") << padding
    count = (len(data) * 8 + padding) // 5
    return [number >> 5 * (count - 1 - i) & 31 for i in range(count)]


def _to_bytes(values: list[int]) -> bytes:
    length, padding = divmod(len(values) * 5, 8)
    number = 0
    for value in values:
        number = number << 5 | value
    if padding > 4 or number & ((1 << padding) - 1):
        raise ValueError("its padding is not zero")
    return (number >> padding).to_bytes(length, "big")
