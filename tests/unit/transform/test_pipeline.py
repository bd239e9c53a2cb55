import hashlib
import random
import subprocess
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import age
from backup_worker.errors import BackupError, SnapshotCorrupt, UsageError, WrongKey
from backup_worker.transform.compression import Compress, Decompress
from backup_worker.transform.encryption import Decrypt, Encrypt, read_identities, read_recipients
from backup_worker.transform.hashing import Measure
from backup_worker.transform.pipeline import Transform, chain, transformed

IDENTITY = age.identity_from_bytes(b"\x07" * 32)
DATA = random.Random(3).randbytes(100_000) + bytes(200_000) + b"user:17 " * 20_000


def seal() -> tuple[Transform, ...]:
    return Compress(), Encrypt([IDENTITY.to_public()])


def unseal(*identities: age.Identity) -> tuple[Transform, ...]:
    return Decrypt(identities or [IDENTITY], subject="snapshot 1"), Decompress(subject="snapshot 1")


def sealed() -> bytes:
    return b"".join(transformed([DATA], *seal()))


def open_sealed(data: bytes, *identities: age.Identity) -> bytes:
    return b"".join(transformed([data], *unseal(*identities)))


@settings(max_examples=30)
@given(st.lists(st.integers(1, 90_000), min_size=1, max_size=10))
def test_round_trip_however_it_is_cut(sizes: list[int]) -> None:
    def pieces(data: bytes) -> Iterator[bytes]:
        position = 0
        for size in sizes:
            yield data[position : position + size]
            position += size
        yield data[position:]

    obj = b"".join(transformed(pieces(DATA), *seal()))
    assert b"".join(transformed(pieces(obj), *unseal())) == DATA


def test_a_chain_does_what_its_links_do() -> None:
    inward, outward = chain(*seal()), chain(*unseal())
    obj = inward.update(DATA[:1000]) + inward.update(DATA[1000:]) + inward.finish()
    assert outward.update(obj) + outward.finish() == DATA


def test_an_empty_stream() -> None:
    assert open_sealed(b"".join(transformed([], *seal()))) == b""


def test_stock_tools_open_the_object(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text(IDENTITY.encode())
    plain = subprocess.run(
        f"age -d -i '{key}' | zstd -d", shell=True, input=sealed(), capture_output=True, check=True
    )
    assert plain.stdout == DATA


def test_what_stock_tools_made_opens() -> None:
    obj = subprocess.run(
        f"zstd -1 | age -r {IDENTITY.to_public()}",
        shell=True,
        input=DATA,
        capture_output=True,
        check=True,
    )
    assert open_sealed(obj.stdout) == DATA


def test_measure_sees_what_passes() -> None:
    measure = Measure()
    assert b"".join(transformed([DATA[:5], DATA[5:]], measure)) == DATA
    assert measure.size == len(DATA)
    assert measure.sha256 == hashlib.sha256(DATA).hexdigest()


def test_decompression_stays_small_on_zeros() -> None:
    frame = b"".join(transformed((bytes(1 << 20) for _ in range(200)), Compress()))
    tracemalloc.start()
    total = sum(map(len, transformed([frame], Decompress(subject="x"))))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == 200 << 20
    assert peak < 20 << 20


def damaged(change: Callable[[bytearray], object]) -> bytes:
    obj = bytearray(sealed())
    change(obj)
    return bytes(obj)


def flip(position: int) -> Callable[[bytearray], None]:
    def change(obj: bytearray) -> None:
        obj[position] ^= 1

    return change


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (flip(-1), "chunk [0-9]+: its MAC does not match, or the file ends inside it"),
        (flip(90_000), "chunk 1: its MAC does not match"),
        (lambda obj: obj.clear(), "ends inside its header"),
        (lambda obj: obj.__delitem__(slice(-1, None)), "the file ends"),
        (lambda obj: obj.extend(b"x"), "chunk [0-9]+"),
    ],
)
def test_damage_is_told_with_its_place(change: Callable[[bytearray], object], cause: str) -> None:
    with pytest.raises(SnapshotCorrupt, match=f"decrypt snapshot 1: .*{cause}"):
        open_sealed(damaged(change))


def test_wrong_key() -> None:
    with pytest.raises(WrongKey, match="decrypt snapshot 1") as raised:
        open_sealed(sealed(), age.Identity.generate())
    assert raised.value.exit_code == 4


@pytest.mark.parametrize(
    ("frame", "cause"),
    [
        (b"no zstd at all", "decompress x"),
        (b"".join(transformed([DATA], Compress()))[:-1], "ends inside"),
        (b"".join(transformed([DATA], Compress())) + b"x", "bytes follow"),
        (b"".join(transformed([b"a"], Compress())) + bytes(2000), "bytes follow"),
        (b"", "ends inside"),
    ],
)
def test_what_is_not_exactly_one_frame(frame: bytes, cause: str) -> None:
    with pytest.raises(SnapshotCorrupt, match=cause):
        b"".join(transformed([frame], Decompress(subject="x")))


def test_a_window_larger_than_the_bound_is_refused() -> None:
    frame = subprocess.run(
        ["zstd", "--ultra", "-22", "--long=27", "--single-thread"],
        input=DATA,
        capture_output=True,
        check=True,
    ).stdout
    with pytest.raises(SnapshotCorrupt, match="decompress x"):
        b"".join(transformed([frame], Decompress(subject="x")))


def test_settings_are_read_or_refused_by_name() -> None:
    text = str(IDENTITY.to_public())
    assert read_recipients([text]) == (IDENTITY.to_public(),)
    assert read_identities(IDENTITY.encode(), source="key.txt") == (IDENTITY,)
    with pytest.raises(UsageError, match="recipient 'age1x'"):
        read_recipients([text, "age1x"])
    with pytest.raises(UsageError, match=r"key\.txt, identity file, line 1") as raised:
        read_identities("AGE-SECRET-KEY-1QQ", source="key.txt")
    assert "QQ" not in str(raised.value)
    with pytest.raises(UsageError, match="no recipient"):
        Encrypt([])


def test_errors_are_one_line() -> None:
    with pytest.raises(BackupError) as raised:
        open_sealed(b"REDIS0012")
    assert "\n" not in str(raised.value)
