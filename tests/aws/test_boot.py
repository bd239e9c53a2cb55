"""The stack's user-data boots three machines to a cluster that survives what befalls machines."""

import logging
import platform
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.aws.machines import (
    LOG_GROUP,
    VOLUME_BYTES,
    Machine,
    Machines,
    build_image,
    machines,
    may_grow,
    network,
    plan_of,
)
from tests.aws.surroundings import account, metadata
from tests.docker.stack import REPOSITORY, docker, eventually
from tests.processes.ledger import Ledger
from toolchain import node_packages
from toolchain.layout import locate

_LOG = logging.getLogger(__name__)

SUBNET = "10.72.0.0/22"
GATEWAY = "10.72.0.1"
PORT = 34_080
UNITS = (
    *("redis-ha-data", "redis-ha-sentinel", "redis-ha-worker"),
    *("redis-ha-telemetry", "redis-ha-redis-exporter", "redis-ha-exporter"),
)
READY = "/usr/local/bin/redis-ha-node-ready"
SETTINGS = {"target": "aws", "vpcCidr": SUBNET, "ioThreads": 1, "backupInterval": 60}
pytestmark = pytest.mark.timeout(600)

# A crash is seen by the witnesses at once, a lost machine after down-after (5 s).
FAILOVER_SECONDS = 30.0


@pytest.fixture(scope="module")
def bundle() -> Path:
    where = locate({}, home=Path.home(), checkout=REPOSITORY)
    architecture = {"aarch64": "arm64"}.get(platform.machine(), "amd64")
    return node_packages.make(
        where, engine="redis-8", architecture=architecture, added=[], without_agent=True
    )


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
        took = eventually(
            lambda: all(machine.well() for machine in made.made),
            within=150,
            what="all servers are healthy",
            every=0.5,
        )
        _LOG.info("all servers of three empty machines were healthy after %.0f s", took)
        yield made


def _master(cluster: Machines, *, other_than: Machine | None = None) -> Machine:
    """Wait for a master that the sentinels' majority names; writers may know a new one first."""
    found: list[Machine] = []

    def named() -> bool:
        master = cluster.master()
        found[:] = [each for each in cluster.made if each is master and each is not other_than]
        return bool(found)

    eventually(named, within=FAILOVER_SECONDS, what="a master")
    return found[0]


def _held(cluster: Machines) -> set[str]:
    """Name the keys that are held, once every machine holds the same."""
    found: list[set[str]] = []

    def same() -> bool:
        found[:] = [machine.keys(cluster) for machine in cluster.made]
        return all(keys == found[0] for keys in found)

    eventually(same, within=30, what="the same keys on all machines", every=0.5)
    return found[0]


def test_first_boot_needs_no_hand(cluster: Machines) -> None:
    """The first master is the plan's. Once a machine says that the next may go, it may.

    Healthy servers alone are not enough: the sentinels don't know the replicas yet.
    """
    began = time.monotonic()
    for machine in cluster.made:
        assert machine.inside("redis-ha-node-ready").startswith("ok ")
    assert cluster.healthy()
    _LOG.info("the gates opened %.1f s after the servers were healthy", time.monotonic() - began)
    assert _master(cluster) is cluster.made[0]
    for machine in cluster.made:
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
    roles = {"redis": "data", "backup-worker": "worker"}
    # A temporary file that goes while it is looked at makes find complain.
    listed = cluster.made[1].inside(
        *("find", "/etc/redis-ha", "/data/redis", "/data/sentinel", "/data/backup-worker"),
        *("-type", "f", "-not", "-name", "boot.json", "-printf", "%m %u %p\n"),
        check=False,
    )
    assert "/etc/redis-ha/worker/signing.key" in listed
    assert "/data/redis/appendonlydir/" in listed
    for mode, user, path in (line.split() for line in listed.splitlines()):
        _, root, first, second, *_ = path.split("/")
        role = roles.get(first, first) if root == "data" else second
        assert user == f"redis-ha-{role}", path
        assert mode == "600", path


def test_units_let_the_programs_do_little(cluster: Machines) -> None:
    shown = cluster.made[0].inside("systemd-analyze", "security", "--no-pager")
    scores = {line.split()[0]: float(line.split()[1]) for line in shown.splitlines()[1:]}
    assert all(scores[f"{unit}.service"] <= 1.5 for unit in UNITS), shown
    unit = "redis-ha-growth.service"
    rare = cluster.made[0].inside("systemd-analyze", "security", "--no-pager", unit)
    assert float(rare.rpartition(": ")[2].split()[0]) <= 3.0, rare
    _LOG.info("%s, %s", rare.splitlines()[-1], {unit: scores[f"{unit}.service"] for unit in UNITS})


def test_exporters_tell_of_their_machine_and_of_nothing_else(cluster: Machines) -> None:
    for machine in cluster.made:
        data, sentinel = (
            cluster.scrape(machine, 9121, f"/scrape?target=rediss://{node.host}:{node.port}")
            for node in (machine.member.data, machine.member.sentinel)
        )
        assert "\nredis_up 1\n" in data
        assert "redis_memory_used_bytes" in data
        assert "\nredis_up 1\n" in sentinel
        assert "redis_sentinel_masters 1\n" in sentinel
        lines = machine.inside("ps", "-e", "-o", "args=")
        assert not [word for word in cluster.passwords.values() if word in lines]
        eventually(
            lambda m=machine: "\nredis_ha_ready 1.0\n" in cluster.scrape(m, 9122, "/metrics"),
            within=60,
            what="this machine sees the cluster ready for a failover",
            every=1,
        )
        told = cluster.scrape(machine, 9122, "/metrics")
        assert "\nredis_ha_master_available 1.0\n" in told
        assert "\nredis_ha_round_trip_seconds 0." in told
        assert told.count("redis_ha_node_up{") == len(cluster.made)


def test_an_exporter_that_is_sent_elsewhere_carries_no_password_there(cluster: Machines) -> None:
    with ThreadPoolExecutor() as pool, socket.create_server((GATEWAY, 0)) as listener:
        path = f"/scrape?target=redis://{GATEWAY}:{listener.getsockname()[1]}"
        scraped = pool.submit(cluster.scrape, cluster.made[0], 9121, path)
        listener.settimeout(10)
        with listener.accept()[0] as stranger:
            stranger.settimeout(10)
            heard = stranger.recv(4096)
        assert "redis_up 0" in scraped.result()
    assert b"CLIENT" in heard
    assert cluster.passwords["exporter"].encode() not in heard


def test_stopped_master_hands_over_and_loses_nothing(cluster: Machines) -> None:
    old = _master(cluster)
    with Ledger(cluster.access("app"), cluster.data_nodes).writing() as ledger:
        ledger.wait_for_writes(500)
        old.inside("systemctl", "stop", "redis-ha-data")
        ledger.wait_for_writes(500)
    assert ledger.missing_on(_master(cluster, other_than=old).client(cluster)) == []
    _LOG.info("%d writes, none lost, %.2f s gap", ledger.acknowledged, ledger.longest_gap)
    old.inside("systemctl", "start", "redis-ha-data")
    cluster.wait_until_healthy(within=60)


def test_machine_that_shuts_down_hands_over_as_well(cluster: Machines) -> None:
    old = _master(cluster)
    with Ledger(cluster.access("app"), cluster.data_nodes).writing() as ledger:
        ledger.wait_for_writes(500)
        docker("stop", "--time", "60", old.name)
        try:
            ledger.wait_for_writes(500)
        finally:
            docker("start", old.name)
    assert ledger.missing_on(_master(cluster, other_than=old).client(cluster)) == []
    cluster.wait_until_healthy(within=90)
    assert _master(cluster) is not old


def test_killed_machine_is_failed_over_and_its_replacement_follows(cluster: Machines) -> None:
    old = _master(cluster)
    with Ledger(cluster.access("app"), cluster.data_nodes).writing() as ledger:
        ledger.wait_for_writes(500)
    held = _held(cluster)
    began = time.monotonic()
    old.kill()
    _master(cluster, other_than=old)
    _LOG.info("a new master %.1f s after the machine was gone", time.monotonic() - began)
    old.start()
    took = cluster.wait_until_healthy(within=180)
    _LOG.info("the replacement followed after %.0f s", took)
    with old.client(cluster) as client:
        assert client.role()[0] == "slave"
    assert old.keys(cluster) == held
    assert "formatted" not in old.inside("journalctl", "-u", "redis-ha-boot", "--no-pager")
    assert old.inside("redis-ha-node-ready").startswith("ok ")


def test_file_system_follows_a_volume_that_was_made_larger(cluster: Machines) -> None:
    """Where this host may not give the right to it, that is told, and the node goes on."""
    machine, unit = cluster.made[1], "redis-ha-growth"
    life = machine.run_id(cluster)
    assert machine.inside("systemctl", "is-active", f"{unit}.timer") == "active"
    machine.inside("systemctl", "start", f"{unit}.service", check=False)
    told = machine.inside("journalctl", "--no-pager", "-u", f"{unit}.service")
    assert "Deactivated successfully" in told, told
    assert "grown" not in told
    machine.make_disk_larger(2 * VOLUME_BYTES)
    machine.inside("systemctl", "start", f"{unit}.service", check=may_grow())
    told = machine.inside("journalctl", "--no-pager", "-u", f"{unit}.service")
    size = machine.inside("findmnt", "--noheadings", "--bytes", "--output", "SIZE", "/data")
    if may_grow():
        assert '"grown"' in told
        assert int(size) > 1.8 * VOLUME_BYTES
    else:
        assert '"not-grown"' in told, told
        assert "resize2fs" in told
    cluster.wait_until_healthy(within=60)
    assert machine.run_id(cluster) == life


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


# The first machine alone is looked at for a minute, and boots are slow on a busy host.
@pytest.mark.timeout(1200)
def test_a_cluster_comes_back_around_its_old_volumes_one_machine_after_the_other(
    cluster: Machines,
) -> None:
    """As after a destroy that kept the volumes: no gate may wait for a machine that comes later."""
    held = _held(cluster)
    _LOG.info("%s was master when all machines were killed", _master(cluster).name)
    for machine in cluster.made:
        machine.kill()
    told = []
    for machine in cluster.made:
        machine.start()
        began = time.monotonic()
        eventually(lambda m=machine: m.may_run(READY), within=60, what="the machine can be asked")
        told.append(machine.inside(READY))
        _LOG.info("%s: %s after %.0f s", machine.name, told[-1], time.monotonic() - began)
    assert told[0].startswith("nothing else runs"), told
    cluster.wait_until_healthy(within=120)
    assert _held(cluster) == held
