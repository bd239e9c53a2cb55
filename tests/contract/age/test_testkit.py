"""The C2SP age test kit: what must open opens, what must fail fails for the right reason."""

import hashlib
import zlib
from dataclasses import dataclass
from pathlib import Path

import pytest

import age

TESTKIT = Path(__file__).parent / "testkit"
NOT_VECTORS = {"README.md", ".gitattributes"}
VECTORS = sorted(path for path in TESTKIT.iterdir() if path.name not in NOT_VECTORS)
FAILURES: dict[str, tuple[type[age.AgeError], ...]] = {
    "no match": (age.WrongKey,),
    "HMAC failure": (age.Corrupt,),
    "header failure": (age.Malformed, age.Unsupported),
    "payload failure": (age.Corrupt,),
}


@dataclass(frozen=True)
class Vector:
    expect: str
    payload_sha256: str | None
    identities: list[age.Identity]
    file: bytes


def read_vector(path: Path) -> Vector:
    head, _, body = path.read_bytes().partition(b"\n\n")
    fields = [line.split(": ", 1) for line in head.decode().splitlines()]
    named = dict(fields)
    return Vector(
        expect=named["expect"],
        payload_sha256=named.get("payload"),
        identities=[age.Identity.parse(value) for name, value in fields if name == "identity"],
        file=zlib.decompress(body) if named.get("compressed") == "zlib" else body,
    )


def test_the_whole_applicable_kit_is_here() -> None:
    assert len(VECTORS) == 67


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.name)
def test_vector(path: Path) -> None:
    vector = read_vector(path)
    released = hashlib.sha256()
    decryptor = age.Decryptor(vector.identities)
    error: age.AgeError | None = None
    try:
        # Byte by byte: an update that fails releases nothing, not even what it had verified.
        step = 1 if len(vector.file) < 300_000 else 4096
        for start in range(0, len(vector.file), step):
            released.update(decryptor.update(vector.file[start : start + step]))
        released.update(decryptor.finish())
    except age.AgeError as raised:
        error = raised

    if vector.expect == "success":
        assert error is None
    else:
        assert isinstance(error, FAILURES[vector.expect])
    if vector.payload_sha256 is not None:
        assert released.hexdigest() == vector.payload_sha256
