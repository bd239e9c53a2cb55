"""A certificate that has expired, on real servers: what each command and the client say of it."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from redis_ha.client import Client
from redis_ha.errors import AccessDenied
from tests.processes import cluster_files as files
from tests.processes.cluster import Cluster, Process
from tests.processes.redis_ha.operator_command import OperatorCommand
from tests.processes.redis_ha.test_operator_bad_input import sentence

AGE = timedelta(days=2, hours=3)


@pytest.fixture
def expired(tmp_path: Path) -> Path:
    """Give a certificate of the cluster's CA, for the nodes' key, that is no longer valid."""
    return files.write_tls(tmp_path / "expired", ends_in=-AGE).certificate


def day() -> str:
    """Return the day on which it expired, as it is said."""
    return f"its certificate has expired on {datetime.now(UTC) - AGE:%Y-%m-%d} "


def present(node: Process, certificate: Path) -> None:
    """Have a data node show another certificate to whoever connects from now on."""
    with node.client() as client:
        client.execute_command("CONFIG", "SET", "tls-cert-file", str(certificate))


def test_of_one_replica_is_said_with_its_name_and_the_day(
    cluster: Cluster, operator: OperatorCommand, expired: Path
) -> None:
    replica = cluster.replicas[0]
    name = operator.name_of(replica.address)
    present(replica, expired)
    for command, code in (("status", 1), ("health", 1), ("doctor", None)):
        done = operator.run(command)
        assert done.returncode == code if code is not None else done.returncode
        said = [line for line in done.stdout.splitlines() if "has expired" in line]
        assert any(name in line or str(replica.address) in line for line in said), done.stdout
    assert day() in operator.run("status").stdout
    refused = operator.run("failover", "--yes", timeout=90)
    assert refused.returncode == 7
    assert re.search(
        rf"({name}|{replica.address}) .*certificate has expired on ", sentence(refused)
    )


def test_of_the_whole_cluster_is_one_sentence(
    cluster: Cluster, operator: OperatorCommand, expired: Path
) -> None:
    for node in cluster.data_nodes:
        present(node, expired)
    expired.replace(cluster.tls.certificate)
    for sentinel in cluster.sentinels:
        sentinel.stop().start()
    cluster.wait_for(lambda: "has expired" in operator.run("status").stderr, 10.0)
    for command in (("status",), ("health",), ("failover", "--yes")):
        done = operator.run(*command)
        assert done.returncode == 6, done
        assert day() in sentence(done)
        assert "sentinel-3" in sentence(done)
    with pytest.raises(AccessDenied) as denied:
        Client(cluster.access("app")).open()
    assert "certificate has expired on " in str(denied.value)
    assert re.search(r"127\.0\.0\.1:\d+", str(denied.value))
