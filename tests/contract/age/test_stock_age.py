"""Files go both ways between this package and the stock age command."""

import random
import subprocess
from pathlib import Path

import pytest

import age

CHUNK = 64 * 1024
SIZES = [0, 1, 1000, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK - 7, 5_000_000]


@pytest.fixture(scope="module")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("age") / "key.txt"
    subprocess.run(["age-keygen", "-o", path], check=True, capture_output=True)
    return path


def plaintext(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def encrypt(data: bytes, *recipients: age.Recipient) -> bytes:
    encryptor = age.Encryptor(recipients)
    return encryptor.update(data) + encryptor.finish()


def decrypt(data: bytes, *identities: age.Identity) -> bytes:
    decryptor = age.Decryptor(identities)
    return decryptor.update(data) + decryptor.finish()


def stock_age(*arguments: str | Path, data: bytes) -> bytes:
    return subprocess.run(["age", *arguments], input=data, capture_output=True, check=True).stdout


@pytest.mark.parametrize("size", SIZES)
def test_stock_age_opens_ours(key_file: Path, size: int) -> None:
    (identity,) = age.parse_identity_file(key_file.read_text())
    sealed = encrypt(plaintext(size), identity.to_public())
    assert stock_age("-d", "-i", key_file, data=sealed) == plaintext(size)


@pytest.mark.parametrize("size", SIZES)
def test_we_open_what_stock_age_made(key_file: Path, size: int) -> None:
    (identity,) = age.parse_identity_file(key_file.read_text())
    sealed = stock_age("-r", str(identity.to_public()), data=plaintext(size))
    assert decrypt(sealed, identity) == plaintext(size)


def test_every_recipient_opens_the_file(tmp_path: Path) -> None:
    identities = [age.Identity.generate() for _ in range(3)]
    sealed = encrypt(b"shared", *(identity.to_public() for identity in identities))
    for number, identity in enumerate(identities):
        key = tmp_path / str(number)
        key.write_text(identity.encode() + "\n")
        assert stock_age("-d", "-i", key, data=sealed) == b"shared"
        assert decrypt(sealed, age.Identity.generate(), identity) == b"shared"


def test_we_open_stock_age_for_several_recipients(key_file: Path) -> None:
    other = age.Identity.generate()
    (identity,) = age.parse_identity_file(key_file.read_text())
    to = ["-r", str(other.to_public()), "-r", str(identity.to_public())]
    sealed = stock_age(*to, data=b"shared")
    assert decrypt(sealed, identity) == decrypt(sealed, other) == b"shared"


def test_recipients_agree_with_age_keygen(tmp_path: Path) -> None:
    for number in range(20):
        identity = age.Identity.generate()
        key = tmp_path / str(number)
        key.write_text(identity.encode())
        shown = subprocess.run(["age-keygen", "-y", key], capture_output=True, check=True).stdout
        assert shown.decode().strip() == str(identity.to_public())


def test_armor_is_refused_with_its_name(key_file: Path) -> None:
    (identity,) = age.parse_identity_file(key_file.read_text())
    sealed = stock_age("-a", "-r", str(identity.to_public()), data=b"x")
    with pytest.raises(age.Unsupported, match="ASCII armored"):
        decrypt(sealed, identity)
