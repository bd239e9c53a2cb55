"""A live Redis is taken over: nothing that it acknowledged is lost, nothing restarts."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.processes.adopt.conftest import Shared
from tests.processes.adopt.source import OldRedis, Writer, old_redis
from tests.processes.ports import free_ports
from tests.processes.restore import dataset
from tests.processes.restore.test_host import beside
from tests.processes.restore.test_live import assert_calm

# What OPERATIONS.md says that the source's user needs.
NEEDED = "+ping +info +time +psync +replconf +replicaof +client|pause +client|unpause"


def test_a_plain_redis_is_taken_over_while_it_is_written(
    empty: Shared, old: OldRedis, figure: Callable[[str], None]
) -> None:
    cluster, worker = empty
    processes, master = [view.run_id for view in cluster.views()], cluster.master

    with Writer(old).writing() as writer:
        finished = worker.run("adopt", "--yes", "--json", old.name)
        assert finished.code == 0, finished.stderr

    assert writer.refused > 0
    assert len(writer.acknowledged) > 100
    with cluster.master.client(timeout=30.0) as client:
        assert writer.lost(client) == []
    assert cluster.digests() == [old.digest()] * 3
    assert dataset.functions(cluster) == [{"old"}] * 3
    assert not old.is_writable()
    assert [view.run_id for view in cluster.views()] == processes
    assert cluster.master is master
    assert finished.json["full_syncs"] == 0
    assert_calm(cluster, worker)
    with cluster.master.client() as client:
        assert client.set("after", "1")
    figure(
        f"{len(writer.acknowledged)} writes, 0 lost, held back {finished.json['paused']:.2f} s,"
        f" {sum(finished.json['seconds'].values()):.1f} s in all"
    )


def test_a_dry_run_says_what_it_found_and_changes_nothing(empty: Shared, old: OldRedis) -> None:
    cluster, worker = empty
    finished = worker.run("adopt", "--dry-run", "--json", old.name)
    assert finished.code == 0, finished.stderr
    levels = {one["name"]: one["level"] for one in finished.json["findings"]}
    assert (levels["data format"], levels["cluster"], levels["kind"]) == ("ok", "ok", "ok")
    assert finished.json["keys"] == 6000
    assert old.is_writable()
    assert cluster.digests() == ["0" * 40] * 3


def test_redis_ha_hands_over_to_the_worker_and_its_exit_code_comes_back(
    empty: Shared, old: OldRedis
) -> None:
    _, worker = empty

    def redis_ha(*words: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "redis_ha", "adopt", *words]
        environment = os.environ | worker.environment
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    shown = redis_ha(old.name, "--dry-run")
    assert shown.returncode == 0, shown.stderr
    assert f"source\t{old.name}" in shown.stdout
    assert redis_ha("nowhere").returncode == 2
    assert "redis-ha adopt 10.0.0.5:6379 --dry-run" in redis_ha("--help").stdout


def test_what_the_cluster_holds_is_replaced_only_when_asked_and_kept(
    empty: Shared, old: OldRedis
) -> None:
    cluster, worker = empty
    with cluster.master.client() as client:
        client.set("precious", "1")
    cluster.wait_until_healthy()
    before = cluster.digest()

    refused = worker.run("adopt", "--yes", old.name)
    assert refused.code == 7
    assert "--replace" in refused.complaint
    assert cluster.digests() == [before] * 3
    assert old.is_writable()

    finished = worker.run("adopt", "--yes", "--json", "--replace", old.name)
    assert finished.code == 0, finished.stderr
    assert cluster.digests() == [old.digest()] * 3
    assert worker.restore(finished.json["safety_snapshot"]).code == 0
    assert cluster.digests() == [before] * 3
    assert_calm(cluster, worker)


def test_a_tls_source_with_an_acl_user(empty: Shared, tmp_path: Path) -> None:
    cluster, worker = empty
    tls = cluster.tls
    password = tmp_path / "password"
    password.write_text("s3cret\n")
    lines = (
        "port 0",
        f"tls-cert-file {tls.certificate}",
        f"tls-key-file {tls.key}",
        f"tls-ca-cert-file {tls.ca}",
        "tls-auth-clients no",
        "user default off",
        "user admin on >s3cret ~* &* +@all",
        f"user mover on >s3cret resetkeys -@all {NEEDED}",
    )
    options: dict[str, object] = {
        "ssl": True,
        "ssl_ca_certs": str(tls.ca),
        "username": "admin",
        "password": "s3cret",
    }
    port = free_ports(1)[0]
    old = OldRedis(port, tmp_path / "old", (*lines, f"tls-port {port}"), options)
    try:
        old.start().fill()
        login = ("--user", "mover", "--password-file", str(password))
        wrong = worker.run("adopt", "--yes", "--tls", "--ca", str(tls.ca), old.name)
        assert wrong.code == 6
        assert "NOAUTH" in wrong.complaint or "Authentication" in wrong.complaint
        finished = worker.run("adopt", "--yes", "--tls", "--ca", str(tls.ca), *login, old.name)
        assert finished.code == 0, finished.stderr
        assert cluster.digests() == [old.digest()] * 3
        assert not old.is_writable()
        assert "s3cret" not in finished.stdout + finished.stderr
    finally:
        old.stop()
    assert_calm(cluster, worker)


def test_a_source_with_a_password_only(empty: Shared, tmp_path: Path) -> None:
    cluster, worker = empty
    with old_redis(tmp_path / "old", ("requirepass s3cret",), {"password": "s3cret"}) as old:
        finished = worker.run("adopt", "--yes", old.name, REDIS_ADOPT_PASSWORD="s3cret")
        assert finished.code == 0, finished.stderr
        assert cluster.digests() == [old.digest()] * 3
    assert_calm(cluster, worker)


def test_from_the_operators_machine_the_password_goes_into_the_container(
    empty: Shared, tmp_path: Path
) -> None:
    cluster, worker = empty
    host = beside(worker, tmp_path)
    password = tmp_path / "password"
    password.write_text("s3cret\n")
    with old_redis(tmp_path / "old", ("requirepass s3cret",), {"password": "s3cret"}) as old:
        command = ("adopt", "--yes", "--json", "--password-file", str(password), old.name)
        finished = host.run(*command)
        assert finished.code == 0, finished.stderr
        assert finished.json["master"] == str(cluster.master.address)
        assert cluster.digests() == [old.digest()] * 3
        # Its exit code comes back as well: an adopted source is no source any more.
        assert host.run(*command).code == 7
    assert_calm(cluster, worker)


def test_a_source_that_cant_be_taken_over_is_refused_with_every_reason(
    empty: Shared, tmp_path: Path
) -> None:
    cluster, worker = empty
    lines = ("databases 32", "maxmemory-policy noeviction")
    with old_redis(tmp_path / "old", lines) as old:
        with old.client(db=20) as client:
            client.set("far", "1")
        refused = worker.run("adopt", "--dry-run", "--json", old.name)
        assert refused.code == 7
        found = {one["name"]: one for one in json.loads(refused.stdout)["findings"]}
        assert found["databases"]["level"] == "refused"
        assert "databases up to 20" in refused.complaint
        assert old.is_writable()
    gone = worker.run("adopt", "--dry-run", old.name)
    assert gone.code == 6
    assert "reach the source" in gone.complaint
    assert_calm(cluster, worker)


def test_a_node_of_the_cluster_is_no_source(empty: Shared, tmp_path: Path) -> None:
    cluster, worker = empty
    password = worker.environment["REDIS_OPERATOR_PASSWORD"]
    refused = worker.run(
        "adopt", "--dry-run", "--tls", "--ca", str(cluster.tls.ca), "--user", "operator",
        str(cluster.master.address), REDIS_ADOPT_PASSWORD=password,
    )  # fmt: skip
    assert refused.code == 7
    assert "data node of this cluster" in refused.complaint


def test_a_source_that_is_written_even_as_a_replica_is_closed_all_the_same(
    empty: Shared, tmp_path: Path
) -> None:
    cluster, worker = empty
    with old_redis(tmp_path / "old", ("replica-read-only no",)) as old:
        with Writer(old).writing() as writer:
            finished = worker.run("adopt", "--yes", "--json", old.name)
            assert finished.code == 0, finished.stderr
        assert not old.is_writable()
        with cluster.master.client(timeout=30.0) as client:
            assert writer.lost(client) == []
        assert cluster.digests() == [old.digest()] * 3
    assert_calm(cluster, worker)


def test_a_source_that_cant_be_closed_is_refused_by_the_dry_run(
    empty: Shared, tmp_path: Path
) -> None:
    _, worker = empty
    with old_redis(tmp_path / "old", ('rename-command REPLICAOF ""',)) as old:
        refused = worker.run("adopt", "--dry-run", old.name)
        assert refused.code == 7
        assert "may not replicaof" in refused.complaint
        assert old.is_writable()


def test_a_source_that_turns_out_not_to_be_closable_waits_for_no_second_try(
    empty: Shared, tmp_path: Path
) -> None:
    """Its user may not ask what it may: the dry run can only warn."""
    cluster, worker = empty
    lines = ("replica-read-only no", "user default on nopass ~* &* +@all -config -acl")
    with old_redis(tmp_path / "old", lines) as old:
        with Writer(old).writing() as writer:
            finished = worker.run("adopt", "--yes", old.name)
            assert finished.code == 1
            assert "can't be closed" in finished.complaint
            assert "taken back: the source is writable again" in finished.complaint
        assert writer.longest_gap < 10
        assert writer.refused == 0
    assert cluster.digests() == ["0" * 40] * 3
    assert_calm(cluster, worker)
