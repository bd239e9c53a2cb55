"""What only a server behind a network can get wrong."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from backup_worker.errors import AlreadyExists, BackupError, StoreUnreachable
from backup_worker.store.contract import TransientStoreError
from backup_worker.store.retrying import Patience, RetryingStore
from backup_worker.store.s3 import MIB, S3Store, cut_into_parts, part_size
from tests.contract.store import servers
from tests.contract.store.fault_proxy import Faults, fault_proxy
from tests.contract.store.test_store_contract import content, failing_after, keys, pieces, read

QUICK = Patience(tries=4, budget=30, longest_pause=0.05)


@dataclass(frozen=True)
class Faulty:
    """A store reached through a proxy that breaks connections."""

    store: S3Store
    faults: Faults

    @property
    def retrying(self) -> RetryingStore:
        return RetryingStore(self.store, patience=QUICK)


@pytest.fixture(scope="module")
def proxied(versitygw_endpoint: str) -> Iterator[Faulty]:
    target = urlsplit(versitygw_endpoint)
    with fault_proxy((str(target.hostname), int(target.port or 0))) as (endpoint, faults):
        yield Faulty(servers.make_s3_store(endpoint), faults)


@pytest.fixture
def faulty(proxied: Faulty) -> Iterator[Faulty]:
    """Give an empty store without a fault switched on, and switch off what is left after."""
    for found in list(proxied.store.list()):
        proxied.store.delete(found.key)
    yield proxied
    proxied.faults.clear()


def new_connections(faulty: Faulty) -> None:
    """Make the client connect anew: faults are counted by connection."""
    faulty.store._client.close()


def test_a_busy_server_is_asked_again(faulty: Faulty) -> None:
    new_connections(faulty)
    faulty.faults.busy = 2
    faulty.store.put("x", [b"data"])
    assert faulty.faults.busy == 0
    assert read(faulty.store, "x") == b"data"


def test_a_server_that_stays_busy_is_a_transient_error(faulty: Faulty) -> None:
    new_connections(faulty)
    faulty.faults.busy = 100
    with pytest.raises(TransientStoreError, match=r"put x: .*SlowDown") as raised:
        faulty.store.put("x", [b"data"])
    assert raised.value.exit_code == 5
    faulty.faults.busy = 0
    assert keys(faulty.store) == []


@pytest.mark.parametrize("part", [1, 2])
def test_a_reset_inside_a_part_is_sent_again(faulty: Faulty, part: int) -> None:
    data = content(20 * MIB)

    def source() -> Iterator[bytes]:
        for number, piece in enumerate(pieces(data, 8 * MIB), start=1):
            if number == part:
                new_connections(faulty)
                faulty.faults.after = 3 * MIB
                faulty.faults.reset_request = 1
            yield piece

    faulty.store.put("x", source())
    assert faulty.faults.reset_request == 0
    assert read(faulty.store, "x") == data


def test_a_broken_read_goes_on_where_it_stopped(faulty: Faulty) -> None:
    data = content(5 * MIB)
    faulty.store.put("x", [data])
    new_connections(faulty)
    faulty.faults.after = 2 * MIB
    faulty.faults.cut_response = 2
    assert read(faulty.retrying, "x") == data
    assert faulty.faults.cut_response == 0


def test_a_broken_read_is_never_taken_for_a_whole_one(faulty: Faulty) -> None:
    data = content(5 * MIB)
    faulty.store.put("x", [data])
    new_connections(faulty)
    faulty.faults.after = 2 * MIB
    faulty.faults.cut_response = 1
    got = bytearray()
    with pytest.raises(TransientStoreError):
        got.extend(byte for chunk in faulty.store.get("x") for byte in chunk)
    assert data.startswith(bytes(got))
    assert len(got) < len(data)


@pytest.mark.parametrize(
    ("size", "request_line"), [(1000, b"PUT "), (9 * MIB, b"PUT "), (9 * MIB, b"POST ")]
)
@pytest.mark.parametrize("if_absent", [True, False])
def test_a_write_whose_answer_was_lost_is_not_a_conflict_with_itself(
    faulty: Faulty, size: int, request_line: bytes, if_absent: bool
) -> None:
    """The last case loses the answer to CompleteMultipartUpload."""

    def source() -> Iterator[bytes]:
        yield content(size)
        faulty.faults.only = request_line
        faulty.faults.lose_response = 1

    new_connections(faulty)
    assert faulty.store.put("x", source(), if_absent=if_absent).size == size
    assert faulty.faults.lose_response == 0
    assert read(faulty.store, "x") == content(size)


def test_a_write_that_the_retries_lost_is_recognized_by_its_content(faulty: Faulty) -> None:
    new_connections(faulty)
    faulty.faults.only = b"PUT "
    faulty.faults.lose_response = 4
    assert faulty.retrying.put("x", [b"da", b"ta"], if_absent=True).size == 4
    assert faulty.faults.lose_response == 0


def test_a_real_conflict_stays_one_after_a_lost_answer(faulty: Faulty) -> None:
    faulty.store.put("x", [b"theirs"])
    new_connections(faulty)
    faulty.faults.lose_response = 1
    with pytest.raises(AlreadyExists):
        faulty.retrying.put("x", [b"ours"], if_absent=True)
    assert read(faulty.store, "x") == b"theirs"


def test_a_failed_upload_leaves_no_parts(real_s3: S3Store, versitygw_endpoint: str) -> None:
    with pytest.raises(ZeroDivisionError):
        real_s3.put("x", failing_after(20 * MIB, ZeroDivisionError))
    client = servers.owner(versitygw_endpoint)
    for bucket in client.list_buckets()["Buckets"]:
        assert not client.list_multipart_uploads(Bucket=bucket["Name"]).get("Uploads")
    client.close()


def test_a_server_that_is_not_there() -> None:
    endpoint = f"http://127.0.0.1:{servers.free_port()}"
    started = time.monotonic()
    with pytest.raises(TransientStoreError, match="is up and reachable") as raised:
        S3Store("bucket", endpoint=endpoint).head("x")
    assert endpoint in str(raised.value)
    assert raised.value.exit_code == 5
    assert time.monotonic() - started < 20


@pytest.mark.usefixtures("aws_credentials")
def test_a_bucket_that_is_not_there(versitygw_endpoint: str) -> None:
    with pytest.raises(StoreUnreachable, match="create the bucket") as raised:
        S3Store("no-such-bucket", endpoint=versitygw_endpoint).put("x", [b"data"])
    assert not isinstance(raised.value, TransientStoreError)


def test_wrong_credentials(versitygw_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    store = S3Store("bucket", endpoint=versitygw_endpoint)
    with pytest.raises(StoreUnreachable, match="check the credentials"):
        store.put("x", [b"data"])


def test_no_credentials(
    versitygw_endpoint: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in servers.CREDENTIALS:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(StoreUnreachable, match="AWS_ACCESS_KEY_ID"):
        S3Store("bucket", endpoint=versitygw_endpoint).head("x")


def test_a_listing_has_more_than_one_page(real_s3: S3Store) -> None:
    names = [f"log/{number:05}" for number in range(1005)]
    for name in names:
        real_s3.put(name, [b"x"])
    assert keys(real_s3, "log/") == names


def test_the_prefix_is_a_wall(versitygw_endpoint: str) -> None:
    store = servers.make_s3_store(versitygw_endpoint, prefix="")
    store.put("cluster/a/x", [b"a"])
    store.put("cluster/ab/x", [b"b"])
    assert keys(store, "cluster/a/") == ["cluster/a/x"]


def test_ten_thousand_parts_hold_what_a_redis_can() -> None:
    sizes = [part_size(number, key="x") for number in range(1, 10_001)]
    assert sum(sizes) > 100 * 1024 * MIB
    assert max(sizes) == 16 * MIB
    with pytest.raises(BackupError, match="larger than 101 GiB"):
        part_size(10_001, key="x")


def test_parts_are_full_and_the_last_is_marked() -> None:
    sizes = [(len(body), last) for body, last in cut_into_parts([bytes(20 * MIB)], key="x")]
    assert sizes == [(8 * MIB, False), (8 * MIB, False), (4 * MIB, True)]
    assert [(bytes(b), last) for b, last in cut_into_parts([], key="x")] == [(b"", True)]
    assert [last for _, last in cut_into_parts([bytes(16 * MIB)], key="x")] == [False, True]
