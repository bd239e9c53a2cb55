"""A real S3 server that is slow, hangs, forgets, breaks off; and many writers at once."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from backup_worker.errors import (
    AlreadyExists,
    BackupError,
    DeletionRefused,
    ObjectNotFound,
    StoreUnreachable,
)
from backup_worker.lease import Lease
from backup_worker.store.contract import TransientStoreError
from backup_worker.store.retrying import Patience, RetryingStore
from backup_worker.store.s3 import MIB, S3Store
from tests.contract.store import servers
from tests.contract.store.fault_proxy import Faults, fault_proxy
from tests.contract.store.test_store_contract import content, keys, pieces, read

BUCKET = "faults"
QUICK = Patience(tries=4, budget=30, longest_pause=0.05)
WRITERS = 8


class Faulty:
    """A bucket behind a proxy that breaks connections."""

    def __init__(self, endpoint: str, direct: str, faults: Faults) -> None:
        self.endpoint = endpoint
        self.direct = direct
        self.faults = faults
        self.client = servers.owner(direct)
        self.client.create_bucket(Bucket=BUCKET)

    def store(self, *, quick: bool = False) -> S3Store:
        """Open it through the proxy, with connections of its own."""
        return S3Store(BUCKET, prefix="a/", endpoint=self.endpoint, quick=quick)

    def unfinished(self) -> list[str]:
        """Name the uploads that were begun and not ended."""
        uploads = self.client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", ())
        return [upload["UploadId"] for upload in uploads]

    def abort_unfinished(self) -> None:
        """Do what a bucket's lifecycle rule does; a lost answer to the first request leaves one."""
        for upload in self.unfinished():
            self.client.abort_multipart_upload(Bucket=BUCKET, Key="a/x", UploadId=upload)

    def whole(self) -> S3Store:
        """Open it without the proxy."""
        return S3Store(BUCKET, prefix="a/", endpoint=self.direct)


@pytest.fixture(scope="module")
def proxied(versitygw_endpoint: str) -> Iterator[Faulty]:
    target = urlsplit(versitygw_endpoint)
    with fault_proxy((str(target.hostname), int(target.port or 0))) as (endpoint, faults):
        faulty = Faulty(endpoint, versitygw_endpoint, faults)
        yield faulty
        faulty.client.close()


@pytest.fixture
def faulty(proxied: Faulty) -> Iterator[Faulty]:
    """Give an empty bucket without a fault switched on, and switch off what is left after."""
    store = proxied.whole()
    for found in list(store.list()):
        store.delete(found.key)
    yield proxied
    proxied.faults.clear()
    proxied.abort_unfinished()


def race(faulty: Faulty, size: int) -> list[int]:
    """Let several write the same key if it is absent; return who believes to have won."""
    stores = [faulty.store() for _ in range(WRITERS)]
    barrier, won = threading.Barrier(WRITERS), []

    def write(number: int) -> None:
        def late() -> Iterator[bytes]:
            barrier.wait(20)
            yield bytes([number]) * size

        try:
            stores[number].put("x", late(), if_absent=True)
        except AlreadyExists:
            return
        won.append(number)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return won


@pytest.mark.parametrize(
    ("size", "request_line", "lost"),
    [(1000, b"PUT ", 0), (1000, b"PUT ", 3), (1000, b"PUT ", WRITERS), (9 * MIB, b"uploadId", 4)],
)
def test_one_of_many_wins_and_knows_it_whoever_s_answer_is_lost(
    faulty: Faulty, size: int, request_line: bytes, lost: int
) -> None:
    faulty.faults.only, faulty.faults.lose_response = request_line, lost
    won = race(faulty, size)
    assert faulty.faults.lose_response == 0
    assert len(won) == 1
    assert read(faulty.whole(), "x") == bytes(won) * size


@pytest.mark.parametrize("fault", ["broken", "reset_request", "lose_response"])
@pytest.mark.parametrize("step", [b"?uploads", b"partNumber=2", b"POST "])
def test_a_multipart_upload_survives_a_fault_in_each_step(
    faulty: Faulty, fault: str, step: bytes
) -> None:
    setattr(faulty.faults, fault, 1)
    faulty.faults.only, faulty.faults.after = step, 100
    data = content(20 * MIB)
    assert faulty.store().put("x", pieces(data)).size == len(data)
    assert getattr(faulty.faults, fault) == 0
    assert read(faulty.whole(), "x") == data


@pytest.mark.parametrize(
    ("fault", "step"),
    [
        ("broken", b"partNumber=2"),
        ("reset_request", b"partNumber=2"),
        ("broken", b"POST /faults/a/x?uploadId"),
    ],
)
def test_a_multipart_upload_that_fails_for_good_is_aborted(
    faulty: Faulty, fault: str, step: bytes
) -> None:
    setattr(faulty.faults, fault, 1000)
    faulty.faults.only, faulty.faults.after = step, 100
    with pytest.raises(TransientStoreError):
        faulty.store().put("x", pieces(content(20 * MIB)))
    assert getattr(faulty.faults, fault) < 1000
    assert keys(faulty.whole()) == []
    assert faulty.unfinished() == []


def test_a_server_that_does_not_answer_costs_the_lease_s_store_five_seconds(
    faulty: Faulty,
) -> None:
    store = faulty.store(quick=True)
    faulty.faults.hang = 1
    began = time.monotonic()
    with pytest.raises(TransientStoreError):
        store.put("x", [b"data"])
    assert 4 < time.monotonic() - began < 8
    assert faulty.faults.hang == 0
    store.put("x", [b"data"])
    assert read(store, "x") == b"data"


def test_a_quick_store_does_not_try_again(faulty: Faulty) -> None:
    store = faulty.store(quick=True)
    faulty.faults.busy = 2
    with pytest.raises(TransientStoreError):
        store.put("x", [b"data"])
    assert faulty.faults.busy == 1


def test_a_slow_server_is_waited_for(faulty: Faulty) -> None:
    faulty.faults.rate = 8 * MIB
    data = content(20 * MIB)
    began = time.monotonic()
    faulty.store().put("x", pieces(data))
    assert time.monotonic() - began > 2
    faulty.faults.rate = 0
    assert read(faulty.whole(), "x") == data


@pytest.mark.parametrize("after", [0, 100, 300_000, 3 * MIB])
def test_a_reader_through_a_bad_network_sees_all_or_an_error(faulty: Faulty, after: int) -> None:
    data = content(6 * MIB)
    faulty.whole().put("x", [data])
    faulty.faults.after, faulty.faults.cut_response = after, 100
    got = bytearray()
    with pytest.raises(TransientStoreError):
        got.extend(byte for chunk in faulty.store().get("x") for byte in chunk)
    assert data.startswith(bytes(got))
    assert len(got) < len(data)
    faulty.faults.cut_response = 3
    store = RetryingStore(faulty.store(), patience=Patience(8, 30, 0.05))
    assert read(store, "x") == data


def test_an_answer_without_a_length_is_no_description(faulty: Faulty) -> None:
    faulty.whole().put("x", [b"data"])
    faulty.faults.after, faulty.faults.cut_response = 20, 100
    with pytest.raises(TransientStoreError):
        faulty.store().head("x")


def test_a_stale_list_hides_and_never_invents(faulty: Faulty) -> None:
    store = faulty.store()
    store.put("x", [b"first"])
    faulty.faults.only, faulty.faults.stale_list = b"list-type=2", 100
    store = faulty.store()
    assert keys(store) == []
    with pytest.raises(AlreadyExists):
        store.put("x", [b"second"], if_absent=True)
    assert read(store, "x") == b"first"
    assert store.head("x").size == 5
    faulty.faults.clear()
    assert keys(faulty.store()) == ["x"]


def test_a_stale_list_gives_nobody_a_lease_that_is_held(faulty: Faulty) -> None:
    assert Lease(faulty.whole(), "holder").try_acquire() == 1
    faulty.faults.only, faulty.faults.stale_list = b"list-type=2", 100
    late = Lease(faulty.store(), "late")
    for _ in range(3):
        assert late.try_acquire() is None
    assert keys(faulty.whole()) == ["lease/0000000001.json"]


@pytest.mark.usefixtures("aws_credentials")
def test_a_locked_object_is_not_deleted_and_that_is_said(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with servers.versitygw(tmp_path / "data") as endpoint:
        client = servers.owner(endpoint)
        client.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
        rule = {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 1}}
        client.put_object_lock_configuration(
            Bucket="locked",
            ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule},
        )
        client.close()
        store = S3Store("locked", endpoint=endpoint)
        store.put("x", [b"data"], if_absent=True)
        store.put("large", pieces(content(9 * MIB)), if_absent=True)
        for key in ("x", "large"):
            with pytest.raises(DeletionRefused, match="object lock") as raised:
                store.delete(key)
            assert not isinstance(raised.value, StoreUnreachable)
        assert keys(store) == ["large", "x"]
        assert read(store, "x") == b"data"


@pytest.mark.usefixtures("aws_credentials")
def test_with_versions_a_locked_object_is_hidden_and_its_version_stays(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "versions").mkdir()
    versions = ("--versioning-dir", str(tmp_path / "versions"))
    with servers.versitygw(tmp_path / "data", posix=versions) as endpoint:
        client = servers.owner(endpoint)
        client.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
        store = S3Store("locked", endpoint=endpoint)
        store.put("x", [b"data"])
        store.delete("x")
        assert keys(store) == []
        with pytest.raises(ObjectNotFound):
            read(store, "x")
        kept = client.list_object_versions(Bucket="locked")["Versions"]
        assert [(version["Key"], version["Size"]) for version in kept] == [("x", 4)]
        client.close()


@pytest.mark.usefixtures("aws_credentials")
def test_a_worker_that_may_not_delete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, restricted_user: str
) -> None:
    store = S3Store("bucket", endpoint=restricted_user)
    store.put("x", [b"data"], if_absent=True)
    store.put("large", pieces(content(9 * MIB)))
    assert keys(store) == ["large", "x"]
    assert read(store, "x") == b"data"
    with pytest.raises(ObjectNotFound):
        read(store, "none")
    with pytest.raises(DeletionRefused, match="lifecycle"):
        store.delete("x")
    with pytest.raises(DeletionRefused, match="PutObjectTagging"):
        store.expire("x")
    for number in range(13):
        lease = Lease(store, f"worker {number}")
        assert lease.try_acquire() == number + 1
        lease.release()


@pytest.fixture
def restricted_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Be a user whose policy lets it put, get and list; give the server's endpoint."""
    (tmp_path / "iam").mkdir()
    (tmp_path / "data").mkdir()
    with servers.versitygw(tmp_path / "data", "--iam-dir", str(tmp_path / "iam")) as endpoint:
        servers.create_user(endpoint, "worker", "secret-of-the-worker")
        servers.allow(endpoint, "worker", bucket="bucket", actions=("PutObject", "GetObject"))
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "worker")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-of-the-worker")
        yield endpoint


@pytest.mark.parametrize("wrong", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
@pytest.mark.parametrize("operation", ["put", "get", "head", "list", "delete"])
def test_wrong_credentials_are_named_by_every_operation(
    versitygw_endpoint: str, monkeypatch: pytest.MonkeyPatch, wrong: str, operation: str
) -> None:
    monkeypatch.setenv(wrong, "wrong")
    if (wrong, operation) == ("AWS_ACCESS_KEY_ID", "head"):
        pytest.skip("this server answers 404, without a word, as if the object were not there")
    store = S3Store("bucket", endpoint=versitygw_endpoint)
    attempts = {
        "put": lambda: store.put("x", [b"data"]),
        "get": lambda: read(store, "x"),
        "head": lambda: store.head("x"),
        "list": lambda: keys(store),
        "delete": lambda: store.delete("x"),
    }
    with pytest.raises(BackupError, match="check the credentials") as raised:
        attempts[operation]()
    assert isinstance(raised.value, StoreUnreachable)
    assert not isinstance(raised.value, TransientStoreError)
    assert raised.value.exit_code == 5
