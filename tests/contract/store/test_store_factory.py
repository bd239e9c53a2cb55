from pathlib import Path

import pytest

from backup_worker.errors import SpoolFull, StoreUnreachable, UsageError
from backup_worker.store.factory import open_store
from backup_worker.store.spooled import Spool
from tests.contract.store import servers
from tests.contract.store.test_store_contract import keys, read


def test_a_directory(tmp_path: Path) -> None:
    open_store(f"file://{tmp_path}/a%20b").put("x", [b"data"])
    assert (tmp_path / "a b" / "x").read_bytes() == b"data"


def test_memory_forgets() -> None:
    open_store("memory:").put("x", [b"data"])
    assert keys(open_store("memory:")) == []


def test_a_bucket_with_a_prefix(moto_endpoint: str) -> None:
    client = servers.owner(moto_endpoint)
    client.create_bucket(Bucket="factory")
    open_store("s3://factory/a/b/", endpoint=moto_endpoint).put("x", [b"data"])
    assert client.list_objects_v2(Bucket="factory")["Contents"][0]["Key"] == "a/b/x"
    client.close()
    assert read(open_store("s3://factory", endpoint=moto_endpoint), "a/b/x") == b"data"


@pytest.mark.parametrize(
    "url",
    [
        *["", "/backup", "file:", "file:///", "file://backup", "file://host/backup"],
        *["s3://", "s3:///x", "s3://bucket/../x", "s3://bucket/x?y=1", "http://x/y"],
        *["memory:x", "file:///x#y"],
    ],
)
def test_what_is_no_store(url: str) -> None:
    with pytest.raises(UsageError):
        open_store(url)


def test_a_directory_that_cannot_be_made() -> None:
    with pytest.raises(StoreUnreachable):
        open_store("file:///no/such/place")


def test_streams_to_a_bucket_go_through_the_spool(
    moto_endpoint: str, aws_credentials: None, tmp_path: Path
) -> None:
    signs: list[int] = []
    spool = Spool(tmp_path / "spool", 1024, lambda: signs.append(1))
    client = servers.owner(moto_endpoint)
    client.create_bucket(Bucket="spooled")
    client.close()
    store = open_store("s3://spooled", endpoint=moto_endpoint, spool=spool)
    with pytest.raises(SpoolFull):
        store.put("x", iter([bytes(1025)]))
    store.put("x", iter([bytes(1024)]))
    assert store.head("x").size == 1024
    assert signs


def test_streams_to_a_directory_need_no_spool(tmp_path: Path) -> None:
    store = open_store(f"file://{tmp_path}/store", spool=Spool(tmp_path / "spool", 1024))
    assert store.put("x", iter([bytes(5000)])).size == 5000
    assert not (tmp_path / "spool").exists()
