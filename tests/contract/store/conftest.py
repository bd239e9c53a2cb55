"""Every store that the contract's suite runs against."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from backup_worker.store.contract import Store
from backup_worker.store.file import FileStore
from backup_worker.store.memory import MemoryStore
from backup_worker.store.observed import ObservedStore
from backup_worker.store.s3 import S3Store
from tests.contract.store import servers


@pytest.fixture(scope="session")
def aws_credentials() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in servers.CREDENTIALS.items():
            patch.setenv(name, value)
        for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION"):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(scope="session")
def moto_endpoint(aws_credentials: None) -> Iterator[str]:
    with servers.moto() as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def versitygw_endpoint(
    aws_credentials: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    with servers.versitygw(tmp_path_factory.mktemp("versitygw")) as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def moto_store(moto_endpoint: str) -> S3Store:
    return servers.make_s3_store(moto_endpoint)


@pytest.fixture(scope="session")
def versitygw_store(versitygw_endpoint: str) -> S3Store:
    return servers.make_s3_store(versitygw_endpoint)


@pytest.fixture(params=["memory", "observed", "file", "moto", "versitygw"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """Give an empty store of each kind."""
    if request.param == "memory":
        return MemoryStore()
    if request.param == "observed":
        return ObservedStore(MemoryStore())
    if request.param == "file":
        return FileStore(tmp_path / "store")
    return emptied(request.getfixturevalue(f"{request.param}_store"))


@pytest.fixture
def real_s3(versitygw_store: S3Store) -> S3Store:
    """Give an empty store on a real S3 server process."""
    return emptied(versitygw_store)


def emptied(store: S3Store) -> S3Store:
    """Remove every object: a new store for each test would take a second for its client."""
    for found in list(store.list()):
        store.delete(found.key)
    return store
