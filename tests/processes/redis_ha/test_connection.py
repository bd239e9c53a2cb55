"""Connections trust the cluster's CA and nothing else, and fail at once."""

import subprocess
import time
from pathlib import Path

import pytest
import redis

from redis_ha.connection import Address, Credentials, connect
from tests.processes.cluster import Cluster
from tests.processes.cluster_files import PASSWORDS
from tests.processes.ports import free_ports


def test_a_foreign_ca_is_not_trusted(cluster: Cluster, tmp_path: Path) -> None:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-subj", "/CN=stranger", "-days", "1",
         "-keyout", tmp_path / "stranger.key", "-out", tmp_path / "stranger.crt"],
        check=True, capture_output=True,
    )  # fmt: skip
    credentials = Credentials("app", PASSWORDS["app"])
    address = cluster.master.address
    with (
        connect(address, credentials=credentials, ca=tmp_path / "stranger.crt") as client,
        pytest.raises(redis.ConnectionError, match="CERTIFICATE_VERIFY_FAILED"),
    ):
        client.ping()
    by_name = Address("localhost", address.port)
    with (
        connect(by_name, credentials=credentials, ca=cluster.tls.ca) as client,
        pytest.raises(redis.ConnectionError, match="localhost"),
    ):
        client.ping()


def test_nobody_there_is_said_at_once(cluster: Cluster) -> None:
    credentials = Credentials("app", PASSWORDS["app"])
    address = Address("127.0.0.1", free_ports(1)[0])
    began = time.monotonic()
    with (
        connect(address, credentials=credentials, ca=cluster.tls.ca) as client,
        pytest.raises(redis.ConnectionError),
    ):
        client.ping()
    assert time.monotonic() - began < 1
