import random
import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import age
from age.header import MAX_LENGTH

IDENTITY = age.identity_from_bytes(b"\x42" * 32)
CHUNK = 64 * 1024
DATA = random.Random(7).randbytes(2 * CHUNK + 1000)


def seeded(seed: int) -> random.Random:
    return random.Random(seed)


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    bounds = [0, *sorted(c % (len(data) + 1) for c in cuts), len(data)]
    return [data[a:b] for a, b in pairwise(bounds)]


def encrypt(pieces: list[bytes], *, seed: int = 1) -> bytes:
    encryptor = age.Encryptor([IDENTITY.to_public()], random=seeded(seed).randbytes)
    return b"".join([*(encryptor.update(piece) for piece in pieces), encryptor.finish()])


def decrypt(pieces: list[bytes]) -> bytes:
    decryptor = age.Decryptor([IDENTITY])
    return b"".join([*(decryptor.update(piece) for piece in pieces), decryptor.finish()])


SEALED = encrypt([DATA])
CUTS = st.lists(st.integers(0, len(SEALED)), max_size=12)


@settings(max_examples=60)
@given(CUTS)
def test_the_file_does_not_depend_on_how_the_plaintext_is_fed(cuts: list[int]) -> None:
    assert encrypt(cut(DATA, cuts)) == SEALED


@settings(max_examples=60)
@given(CUTS)
def test_the_plaintext_does_not_depend_on_how_the_file_is_fed(cuts: list[int]) -> None:
    assert decrypt(cut(SEALED, cuts)) == DATA


@settings(max_examples=40)
@given(st.integers(0, 3 * CHUNK), CUTS)
def test_round_trip_of_any_size(size: int, cuts: list[int]) -> None:
    data = seeded(size).randbytes(size)
    assert decrypt(cut(encrypt([data]), cuts)) == data


@settings(max_examples=150)
@given(st.integers(0, 8 * len(SEALED) - 1) | st.integers(0, 8 * 400))
def test_every_flipped_bit_is_noticed(bit: int) -> None:
    changed = bytearray(SEALED)
    changed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(age.AgeError):
        decrypt([bytes(changed)])


@settings(max_examples=150)
@given(st.integers(0, len(SEALED) - 1) | st.integers(0, 400))
def test_every_truncation_is_noticed(length: int) -> None:
    with pytest.raises((age.Malformed, age.Corrupt)):
        decrypt([SEALED[:length]])


def test_cut_at_a_chunk_boundary_names_the_chunk() -> None:
    start = len(SEALED) - (1000 + 16)
    with pytest.raises(age.Corrupt, match="chunk 2: the file ends before") as raised:
        decrypt([SEALED[:start]])
    assert raised.value.chunk == 2


def test_a_changed_chunk_releases_nothing_of_itself_and_names_its_number() -> None:
    changed = bytearray(SEALED)
    changed[len(SEALED) - CHUNK] ^= 1  # in chunk 1
    decryptor = age.Decryptor([IDENTITY])
    released = bytearray()

    def feed_all() -> None:
        for start in range(0, len(changed), 100):
            released.extend(decryptor.update(bytes(changed[start : start + 100])))

    with pytest.raises(age.Corrupt, match="chunk 1: its MAC does not match"):
        feed_all()
    assert released == DATA[:CHUNK]


def test_chunks_in_another_order_are_noticed() -> None:
    sealed_chunk = CHUNK + 16
    start = len(SEALED) - (1000 + 16) - 2 * sealed_chunk
    first = SEALED[start : start + sealed_chunk]
    second = SEALED[start + sealed_chunk : start + 2 * sealed_chunk]
    with pytest.raises(age.Corrupt, match="chunk 0"):
        decrypt([SEALED[:start], second, first, SEALED[start + 2 * sealed_chunk :]])


def test_wrong_key_says_what_was_tried() -> None:
    decryptor = age.Decryptor([age.Identity.generate(), age.Identity.generate()])
    with pytest.raises(age.WrongKey, match="none of 2 identities opens any of its 1 X25519"):
        decryptor.update(SEALED)


def test_a_passphrase_file_is_refused_with_its_name() -> None:
    head = (
        b"age-encryption.org/v1\n-> scrypt c2FsdHNhbHRzYWx0c2Fs 18\nAAAA\n--- " + b"A" * 43 + b"\n"
    )
    with pytest.raises(age.Unsupported, match="passphrase"):
        decrypt([head])


def test_a_newer_version_is_refused_with_its_name() -> None:
    with pytest.raises(age.Unsupported, match="its version is 'v2'"):
        decrypt([b"age-encryption.org/v2\n"])


@pytest.mark.parametrize("data", [b"REDIS0011", b"\x28\xb5\x2f\xfd", b"\n", b"a" * 10])
def test_what_is_no_age_file_is_refused_at_once(data: bytes) -> None:
    with pytest.raises(age.Malformed):
        age.Decryptor([IDENTITY]).update(data)


def test_an_endless_header_is_refused() -> None:
    decryptor = age.Decryptor([IDENTITY])
    decryptor.update(b"age-encryption.org/v1\n-> ")
    with pytest.raises(age.Malformed, match="longer than"):
        decryptor.update(b"x" * MAX_LENGTH)


def test_a_finished_or_failed_stream_takes_no_more() -> None:
    encryptor = age.Encryptor([IDENTITY.to_public()])
    encryptor.finish()
    with pytest.raises(RuntimeError):
        encryptor.update(b"x")
    decryptor = age.Decryptor([IDENTITY])
    with pytest.raises(age.Malformed):
        decryptor.update(b"no age file")
    with pytest.raises(RuntimeError):
        decryptor.finish()


def test_memory_stays_within_a_few_chunks() -> None:
    block = bytes(CHUNK)
    tracemalloc.start()
    encryptor = age.Encryptor([IDENTITY.to_public()])
    decryptor = age.Decryptor([IDENTITY])
    for _ in range(200):
        decryptor.update(encryptor.update(block))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10 * CHUNK
