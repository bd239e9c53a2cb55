"""The stack's user-data boots three machines to a cluster that survives what befalls machines."""

import logging
import platform
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from redis_ha.discovery import ask_node
from tests.aws.machines import LOG_GROUP, Machine, Machines, build_image, machines, network, plan_of
from tests.aws.surroundings import account, metadata
from tests.docker.stack import REPOSITORY, docker, eventually
from tests.processes.ledger import Ledger
from toolchain import node_packages
from toolchain.layout import locate

_LOG = logging.getLogger(__name__)

SUBNET = "10.72.0.0/22"
GATEWAY = "10.72.0.1"
PORT = 34_080
UNITS = ("redis-ha-data", "redis-ha-sentinel", "redis-ha-worker", "redis-ha-telemetry")
SETTINGS = {"target": "aws", "vpcCidr": SUBNET, "ioThreads": 1, "backupInterval": 60}
pytestmark = pytest.mark.timeout(600)

# A crash is seen by the witnesses at once, a lost machine after down-after (5 s).
FAILOVER_SECONDS = 30.0


@pytest.fixture(scope="module")
def bundle() -> Path:
    where = locate({}, home=Path.home(), checkout=REPOSITORY)
    architecture = {"aarch64": "arm64"}.get(platform.machine(), "amd64")
    return node_packages.make(where, engine="redis-8", architecture=architecture, added=[])


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, bundle: Path) -> Iterator[Machines]:
    build_image()
    plan, name = plan_of(SETTINGS), "aws-boot-test"
    with (
        network(name, SUBNET) as bridge,
        metadata(bridge),
        account(GATEWAY, PORT) as here,
        machines(tmp_path_factory.mktemp("machines"), plan, here, name, bundle) as made,
    ):
        took = made.wait_until_healthy(within=150)
        _LOG.info("three empty machines were a healthy cluster after %.0f s", took)
        yield made


def _master(cluster: Machines) -> Machine:
    master = cluster.master()
    assert master is not None
    return master


def _promoted(cluster: Machines, old: Machine) -> bool:
    master = cluster.master()
    return master is not None and master is not old


def test_first_boot_needs_no_hand(cluster: Machines) -> None:
    """The first master is the plan's, every machine says that the next may go."""
    assert _master(cluster) is cluster.made[0]
    for machine in cluster.made:
        assert machine.inside("redis-ha-node-ready").startswith("ok ")
        assert machine.inside("systemctl", "is-active", *UNITS).split() == ["active"] * len(UNITS)


def test_user_data_is_what_cloud_init_takes(cluster: Machines) -> None:
    machine = cluster.made[0]
    seed = "/var/lib/cloud/seed/nocloud/user-data"
    assert "Valid schema" in machine.inside("cloud-init", "schema", "--config-file", seed)
    eventually(
        lambda: "done" in machine.inside("cloud-init", "status", check=False),
        within=30,
        what="cloud-init is done",
    )


def test_secrets_are_on_the_machine_for_their_role_alone(cluster: Machines) -> None:
    roles = {"redis": "data", "sentinel": "sentinel", "backup-worker": "worker"}
    # A temporary file that goes while it is looked at makes find complain.
    listed = cluster.made[1].inside(
        *("find", "/etc/redis-ha", "/data/redis", "/data/sentinel", "/data/backup-worker"),
        *("-type", "f", "-not", "-name", "boot.json", "-printf", "%m %u %p\n"),
        check=False,
    )
    assert "/etc/redis-ha/worker/signing.key" in listed
    assert "/data/redis/appendonlydir/" in listed
    for mode, user, path in (line.split() for line in listed.splitlines()):
        role = roles.get(path.split("/")[2]) or path.split("/")[3]
        assert user == f"redis-ha-{role}", path
        assert mode == "600", path


def test_units_let_the_programs_do_little(cluster: Machines) -> None:
    shown = cluster.made[0].inside("systemd-analyze", "security", "--no-pager")
    scores = {line.split()[0]: float(line.split()[1]) for line in shown.splitlines()[1:]}
    assert all(scores[f"{unit}.service"] <= 1.5 for unit in UNITS), shown


def test_stopped_master_hands_over_and_loses_nothing(cluster: Machines) -> None:
    old = _master(cluster)
    with Ledger(cluster.access("app"), cluster.data_nodes).writing() as ledger:
        ledger.wait_for_writes(500)
        old.inside("systemctl", "stop", "redis-ha-data")
        ledger.wait_for_writes(500)
    assert _promoted(cluster, old)
    assert ledger.missing_on(_master(cluster).client(cluster)) == []
    _LOG.info("%d writes, none lost, %.2f s gap", ledger.acknowledged, ledger.longest_gap)
    old.inside("systemctl", "start", "redis-ha-data")
    cluster.wait_until_healthy(within=60)


def test_machine_that_shuts_down_hands_over_as_well(cluster: Machines) -> None:
    old = _master(cluster)
    with Ledger(cluster.access("app"), cluster.data_nodes).writing() as ledger:
        ledger.wait_for_writes(500)
        docker("stop", "--time", "60", old.name)
        ledger.wait_for_writes(500)
    assert ledger.missing_on(_master(cluster).client(cluster)) == []
    docker("start", old.name)
    cluster.wait_until_healthy(within=90)
    assert _master(cluster) is not old


def test_killed_machine_is_failed_over_and_its_replacement_follows(cluster: Machines) -> None:
    old = _master(cluster)
    with Ledger(cluster.access("app"), cluster.data_nodes).writing() as ledger:
        ledger.wait_for_writes(500)
    held = ask_node(cluster.access(), old.address).keys
    began = time.monotonic()
    old.kill()
    eventually(lambda: _promoted(cluster, old), within=FAILOVER_SECONDS, what="a new master")
    _LOG.info("a new master %.1f s after the machine was gone", time.monotonic() - began)
    old.start()
    took = cluster.wait_until_healthy(within=180)
    _LOG.info("the replacement followed after %.0f s", took)
    back = cluster.views()[old.address]
    assert (back.role, back.keys) == ("slave", held)
    assert "formatted" not in old.inside("journalctl", "-u", "redis-ha-boot", "--no-pager")
    assert old.inside("redis-ha-node-ready").startswith("ok ")


def test_workers_put_backups_into_the_bucket_with_the_machines_role(cluster: Machines) -> None:
    eventually(
        lambda: any("manifest" in key for key in cluster.account.keys_below("backup/")),
        within=120,
        what="a snapshot in the bucket",
    )


def test_each_machine_tells_cloudwatch_that_it_is_well(cluster: Machines) -> None:
    watch, logs = cluster.account.client("cloudwatch"), cluster.account.client("logs")
    streams = logs.describe_log_streams(logGroupName=LOG_GROUP)["logStreams"]
    names = {machine.member.data.name for machine in cluster.made}
    assert {each["logStreamName"] for each in streams} == names
    listed = watch.list_metrics(Namespace="RedisHA", MetricName="Healthy")["Metrics"]
    told = {each["Value"] for m in listed for each in m["Dimensions"] if each["Name"] == "Node"}
    assert told == names
