"""Reads what an RDB says of itself at its beginning and its end, without I/O.

The beginning is the magic with the format version and the AUX fields; the end is the EOF
opcode and a CRC64. Source: Redis rdb.c (rdbSaveInfoAuxFields, rdbLoadLenByRef, lzf_d.c).
"""

import re
from dataclasses import dataclass

from backup_worker.errors import SnapshotCorrupt
from backup_worker.manifest import Engine

# The AUX fields of every known server fit in 1 KiB; a stream that is no RDB must not be hoarded.
MAX_PREAMBLE = 64 * 1024
TRAILER_LENGTH = 9
# Versions count from 1.
_MAGIC = re.compile(rb"REDIS(?!0000)(\d{4})|VALKEY(?!000)(\d{3})")
_MAGIC_LENGTH = 9
_AUX = 0xFA
_EOF = 0xFF


@dataclass(frozen=True)
class Preamble:
    """An RDB's format version and its AUX fields (numbers as decimal text)."""

    rdb_version: int
    fields: dict[str, str]

    @property
    def engine(self) -> Engine:
        """Which server wrote it."""
        name = "valkey" if "valkey-ver" in self.fields else "redis"
        return Engine(name, self.fields.get(f"{name}-ver", "unknown"), self.rdb_version)

    def number(self, field: str) -> int:
        """Return a numeric AUX field; SnapshotCorrupt when the RDB has none of that name."""
        try:
            return int(self.fields[field])
        except (KeyError, ValueError):
            raise _corrupt(f"it has no usable field {field}") from None


class PreambleReader:
    """Is fed an RDB from its start until the AUX fields are over."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> Preamble | None:
        """Return the preamble once it is complete, None before.

        Raises SnapshotCorrupt when the bytes are no RDB or its preamble exceeds 64 KiB.
        """
        self._held += data[: MAX_PREAMBLE + 1 - len(self._held)]
        try:
            return parse_preamble(self._held)
        except _Short:
            if len(self._held) > MAX_PREAMBLE:
                raise _corrupt(f"its preamble exceeds {MAX_PREAMBLE} bytes") from None
            return None


class TailReader:
    """Remembers the last bytes of an RDB to say whether it ended as one does."""

    def __init__(self) -> None:
        self._tail = b""

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        last = data[-TRAILER_LENGTH:]
        self._tail = last if len(last) == TRAILER_LENGTH else (self._tail + last)[-TRAILER_LENGTH:]

    def check(self) -> None:
        """Raise SnapshotCorrupt unless the EOF opcode and 8 bytes of CRC64 came last."""
        if len(self._tail) < TRAILER_LENGTH or self._tail[0] != _EOF:
            raise _corrupt("it does not end with the EOF opcode and a checksum")


def parse_preamble(data: bytes) -> Preamble:
    """Parse the start of an RDB, up to and including the first opcode that is no AUX field.

    Raises SnapshotCorrupt, or an internal signal when `data` ends too soon.
    """
    magic = data[:_MAGIC_LENGTH]
    match = _MAGIC.fullmatch(magic)
    if match is None:
        if len(magic) < _MAGIC_LENGTH and _may_become_magic(magic):
            raise _Short
        raise _corrupt(f"it begins with {magic!r}, not REDIS or VALKEY and a version")
    reader = _Reader(data, _MAGIC_LENGTH)
    fields: dict[str, str] = {}
    while reader.byte() == _AUX:
        name = reader.string().decode(errors="replace")
        fields[name] = reader.string().decode(errors="replace")
    return Preamble(int(match[1] or match[2]), fields)


def _may_become_magic(start: bytes) -> bool:
    examples = (b"REDIS1111", b"VALKEY111")
    return any(_MAGIC.fullmatch(start + example[len(start) :]) for example in examples)


class _Short(Exception):
    """More bytes are needed."""


class _Reader:
    """Reads RDB strings from bytes at a position."""

    def __init__(self, data: bytes, position: int) -> None:
        self._data = data
        self._position = position

    def byte(self) -> int:
        return self._take(1)[0]

    def string(self) -> bytes:
        first = self.byte()
        if first >> 6 == 3:
            return self._encoded(first & 0x3F)
        return self._take(self._length(first))

    def _encoded(self, kind: int) -> bytes:
        if kind <= 2:
            raw = self._take(1 << kind)
            return str(int.from_bytes(raw, "little", signed=True)).encode()
        if kind != 3:
            raise _corrupt(f"an AUX field has the unknown encoding {kind}")
        packed, plain = self._length(self.byte()), self._length(self.byte())
        if plain > MAX_PREAMBLE:
            raise _corrupt(f"an AUX field of {plain} bytes")
        return decompress_lzf(self._take(packed), plain)

    def _length(self, first: int) -> int:
        if first >> 6 == 0:
            return first & 0x3F
        if first >> 6 == 1:
            return (first & 0x3F) << 8 | self.byte()
        if first in {0x80, 0x81}:
            return int.from_bytes(self._take(4 if first == 0x80 else 8), "big")
        raise _corrupt(f"an AUX field has the unknown length type {first:#x}")

    def _take(self, count: int) -> bytes:
        if count > MAX_PREAMBLE:
            raise _corrupt(f"an AUX field of {count} bytes")
        taken = self._data[self._position : self._position + count]
        if len(taken) < count:
            raise _Short
        self._position += count
        return taken


def decompress_lzf(packed: bytes, size: int) -> bytes:
    """Expand LZF to exactly `size` bytes; SnapshotCorrupt when it is no such thing."""
    plain = bytearray()
    position = 0
    try:
        while position < len(packed):
            control = packed[position]
            position += 1
            if control < 32:
                plain += packed[position : position + control + 1]
                position += control + 1
                continue
            length = control >> 5
            if length == 7:
                length += packed[position]
                position += 1
            start = len(plain) - ((control & 31) << 8) - packed[position] - 1
            position += 1
            _repeat(plain, start, length + 2)
    except IndexError:
        raise _corrupt("a compressed AUX field is cut short") from None
    if len(plain) != size:
        raise _corrupt("a compressed AUX field has another length than it says")
    return bytes(plain)


def _repeat(plain: bytearray, start: int, length: int) -> None:
    if start < 0:
        raise _corrupt("a compressed AUX field refers to bytes before its start")
    for at in range(start, start + length):
        plain.append(plain[at])


def _corrupt(cause: str) -> SnapshotCorrupt:
    return SnapshotCorrupt(
        operation="read",
        subject="RDB stream",
        cause=cause,
        hint="take another snapshot; if it fails again, check the source with redis-check-rdb",
    )
