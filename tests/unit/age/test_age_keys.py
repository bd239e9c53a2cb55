import pytest
from hypothesis import given
from hypothesis import strategies as st

import age
from age import bech32

# The examples of c2sp.org/age, "The X25519 recipient type".
IDENTITY = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"
RECIPIENT = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"


def test_the_specification_s_key_pair() -> None:
    identity = age.Identity.parse(IDENTITY)
    assert identity.secret_key == b"\x42" * 32
    assert str(identity.to_public()) == RECIPIENT
    assert identity == age.identity_from_bytes(b"\x42" * 32)
    assert identity.encode() == IDENTITY
    assert age.Recipient.parse(RECIPIENT) == identity.to_public()


def test_a_secret_does_not_show_in_repr() -> None:
    identity = age.Identity.parse(IDENTITY)
    assert "BBBB" not in repr(identity)
    assert IDENTITY not in str(identity)


@given(st.binary(max_size=80))
def test_bech32_round_trip(data: bytes) -> None:
    assert bech32.decode(bech32.encode("age", data)) == ("age", data)
    assert bech32.decode(bech32.encode("age", data).upper()) == ("AGE", data)


@given(st.integers(0, len(RECIPIENT) - 1), st.sampled_from("qpzry9x8gf2tvdw0s3jn54khce6mua7l"))
def test_any_changed_character_of_a_recipient_is_noticed(position: int, char: str) -> None:
    changed = RECIPIENT[:position] + char + RECIPIENT[position + 1 :]
    if changed != RECIPIENT:
        with pytest.raises(age.MalformedKey):
            age.Recipient.parse(changed)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", age.MalformedKey),
        ("age1", age.MalformedKey),
        (RECIPIENT.upper(), age.MalformedKey),
        (RECIPIENT[:-1] + "J", age.MalformedKey),
        (IDENTITY, age.MalformedKey),
        (bech32.encode("age", bytes(31)), age.MalformedKey),
        (bech32.encode("age1yubikey", bytes(33)), age.Unsupported),
        ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5", age.Unsupported),
    ],
)
def test_what_is_no_recipient(text: str, error: type[age.AgeError]) -> None:
    with pytest.raises(error):
        age.Recipient.parse(text)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", age.MalformedKey),
        (IDENTITY.lower(), age.MalformedKey),
        (IDENTITY[:-1], age.MalformedKey),
        (RECIPIENT, age.MalformedKey),
        ("AGE-PLUGIN-YUBIKEY-1QQQ", age.Unsupported),
        (bech32.encode("age-secret-key-pq-", bytes(32)).upper(), age.Unsupported),
    ],
)
def test_what_is_no_identity(text: str, error: type[age.AgeError]) -> None:
    with pytest.raises(error) as raised:
        age.Identity.parse(text)
    assert not text or text not in str(raised.value)


def test_a_key_has_32_bytes() -> None:
    with pytest.raises(age.MalformedKey, match="31 bytes, not 32"):
        age.identity_from_bytes(bytes(31))


def test_identity_file_with_comments_and_several_keys() -> None:
    other = age.Identity.generate()
    text = f"# created: today\n# public key: age1...\n{IDENTITY}\n\n  {other.encode()}\r\n"
    assert age.parse_identity_file(text) == [age.Identity.parse(IDENTITY), other]


def test_identity_file_errors_name_the_line_and_not_the_secret() -> None:
    broken = IDENTITY[:-1] + "Q"
    with pytest.raises(age.MalformedKey, match="line 2") as raised:
        age.parse_identity_file(f"# key\n{broken}\n")
    assert broken not in str(raised.value)


def test_identity_file_without_an_identity() -> None:
    with pytest.raises(age.MalformedKey, match="no identity"):
        age.parse_identity_file("# only a comment\n")


def test_encrypted_identity_file() -> None:
    with pytest.raises(age.Unsupported, match="encrypted itself"):
        age.parse_identity_file("age-encryption.org/v1\n-> scrypt ...")


def test_a_low_order_recipient_is_refused() -> None:
    with pytest.raises(age.MalformedKey, match="low order"):
        age.Encryptor([age.Recipient(bytes(32))])


def test_encrypting_to_nobody_is_refused() -> None:
    with pytest.raises(age.AgeError, match="no recipient"):
        age.Encryptor([])
