"""Changed files reach running servers, who has left is forgotten: real servers, no restart."""

import json
import secrets
import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
import redis

from infra.live import digest, manifest
from redis_ha.applied import wait_until_applied
from redis_ha.connection import Credentials
from redis_ha.scaling import wait_until_forgotten
from redis_ha.site import Member, Site
from tests.processes.cluster import Cluster, Process, Settings
from tests.processes.cluster_files import MASTER_NAME, PASSWORDS, certificates
from tests.processes.ledger import Ledger


def folder(process: Process) -> Path:
    return process.directory / "config"


def write(process: Process, *, torn: int = 0, **texts: str) -> str:
    """Change files of a node, the manifest last; return what the stack's output would name them.

    Of what is `torn` so many characters lack in the end.
    """
    config = folder(process)
    changed = {name.replace("_", "."): text for name, text in texts.items()}
    for name, text in changed.items():
        (config / name).write_text(text[: len(text) - torn])
    there = {
        str(path.relative_to(config)): path.read_text()
        for path in config.rglob("*")
        if path.is_file() and path.name != "manifest.json"
    }
    listed = dict(sorted((there | changed).items()))
    (config / "manifest.json").write_text(manifest(listed))
    return digest(manifest(listed))


def read(process: Process, name: str) -> str:
    return (folder(process) / name).read_text()


def site(cluster: Cluster) -> Site:
    data = tuple(Member(n.name, n.address) for n in cluster.data_nodes)
    sentinels = tuple(Member(n.name, n.address) for n in cluster.sentinels)
    return Site(cluster.access(), None, data, sentinels)


def everybody(cluster: Cluster) -> list[Process]:
    return [*cluster.data_nodes, *cluster.sentinels]


def with_second(users: str, passwords: Mapping[str, str]) -> str:
    """Let every user of an ACL file log in with a second password, too."""
    for user, password in passwords.items():
        second = sha256(password.encode()).hexdigest()
        users = users.replace(f"user {user} on #", f"user {user} on #{second} #")
    return users


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Give a guarded cluster whose files have manifests, and certificates of their own."""
    cluster = Cluster.prepare(tmp_path_factory.mktemp("watched"), Settings(guarded=True))
    try:
        for process in everybody(cluster):
            write(process)
        cluster.start_all()
        yield cluster
    finally:
        cluster.end()


def test_second_passwords_new_ones_and_settings_are_applied_while_clients_write(
    watched: Cluster,
) -> None:
    fresh = {user: secrets.token_hex(16) for user in PASSWORDS}
    pids = [process.server_pid for process in everybody(watched)]
    # A busy machine's stall is no refusal.
    patient = replace(watched.access("app"), timeout=10.0)
    with Ledger(patient, [node.address for node in watched.data_nodes]).writing() as ledger:
        ledger.wait_for_writes(200)
        both = {
            p.name: write(p, users_acl=with_second(read(p, "users.acl"), fresh))
            for p in everybody(watched)
        }
        wait_until_applied(site(watched), both, patience=30)
        new = {p.name: write(p, **using(p, fresh)) for p in everybody(watched)}
        wait_until_applied(site(watched), new, patience=30)
        ledger.wait_for_writes(200)
    assert ledger.refusal == ""
    assert [process.server_pid for process in everybody(watched)] == pids
    for process in watched.data_nodes:
        with process.client() as client:
            assert client.config_get("masterauth") == {"masterauth": fresh["replica"]}
            assert client.config_get("maxmemory") == {"maxmemory": str(64 << 20)}
    for process in everybody(watched):
        for password in (PASSWORDS["app"], fresh["app"]):
            user = Credentials("app", password)
            access = watched.access()
            with access.connect(process.address, credentials=user) as client:
                client.execute_command("ROLE")


def using(process: Process, passwords: Mapping[str, str]) -> dict[str, str]:
    """Give files that use other passwords, and a setting that is new."""
    texts = {}
    for name in ("redis.conf", "sentinel.conf", "node.json"):
        if (folder(process) / name).is_file():
            text = read(process, name)
            for user in ("replica", "sentinel", "sentinel-peer", "node"):
                text = text.replace(PASSWORDS[user], passwords[user])
            more = "maxmemory 64mb\n" if name == "redis.conf" else ""
            texts[name.replace(".", "_")] = text + more
    return texts


def test_a_master_killed_after_that_is_replaced_and_followed(watched: Cluster) -> None:
    old = watched.master
    old.kill()
    watched.wait_for_master(old)
    watched.start_all()
    with old.client() as client:
        assert client.config_get("maxmemory") == {"maxmemory": str(64 << 20)}


def test_torn_files_change_nothing_until_they_are_whole(watched: Cluster) -> None:
    node = watched.data_nodes[0]
    whole = read(node, "redis.conf").replace("maxmemory 64mb", "maxmemory 96mb")
    expected = write(node, redis_conf=whole, torn=20)
    with pytest.raises(Exception, match="not applied within"):
        wait_until_applied(site(watched), {node.name: expected}, patience=3)
    with node.client() as client:
        assert client.config_get("maxmemory") == {"maxmemory": str(64 << 20)}
    (folder(node) / "redis.conf").write_text(whole)
    wait_until_applied(site(watched), {node.name: expected}, patience=30)


def test_what_a_running_server_refuses_is_said_and_no_state_is_claimed(watched: Cluster) -> None:
    node = watched.data_nodes[0]
    conf = read(node, "redis.conf")
    refused = write(node, redis_conf=conf + "io-threads 3\n")

    health = node.directory / "run" / "health"

    def says_so() -> bool:
        return "not applied: CONFIG SET io-threads" in health.read_text()

    watched.wait_for(says_so)
    with pytest.raises(Exception, match="not applied within"):
        wait_until_applied(site(watched), {node.name: refused}, patience=2)
    assert health.read_text().startswith("ok ")
    back = write(node, redis_conf=conf)
    wait_until_applied(site(watched), {node.name: back}, patience=30)


def test_a_new_certificate_is_what_new_connections_see(watched: Cluster) -> None:
    node = watched.data_nodes[1]
    address = (node.address.host, node.address.port)
    before = ssl.get_server_certificate(address)
    _, renewed, _ = certificates("127.0.0.1", "127.0.0.9")
    watched.tls.certificate.write_bytes(renewed)
    # The test's nodes share their certificate; the copy beside their files tells of the change.
    (folder(node) / "tls").mkdir(exist_ok=True)
    (folder(node) / "tls" / "node.crt").write_bytes(renewed)
    state = write(node)
    wait_until_applied(site(watched), {node.name: state}, patience=30)
    assert ssl.get_server_certificate(address) == renewed.decode() != before
    watched.wait_until_healthy()


def test_a_node_that_left_is_forgotten_by_every_sentinel_and_none_is_blind(
    watched: Cluster,
) -> None:
    leaver = watched.replicas[-1]
    leaver.stop()
    for process in everybody(watched):
        if process is not leaver:
            document = json.loads(read(process, "node.json"))
            kept = [n for n in document["data_nodes"] if n["name"] != leaver.name]
            write(process, node_json=json.dumps(document | {"data_nodes": kept}))
    seen: set[int] = set()

    def look(seconds: float) -> None:
        seen.update(listed(watched))
        time.sleep(seconds / 5)

    gone = [Member(leaver.name, leaver.address)]
    wait_until_forgotten(site(watched), gone, patience=120, sleep=look)
    # The replica that stays was known by whoever answered, at any time.
    assert seen
    assert 0 not in seen
    assert listed(watched) == [1, 1, 1]
    watched.data_nodes.remove(leaver)
    watched.wait_until_healthy()


def listed(cluster: Cluster) -> list[int]:
    """Say how many replicas each sentinel that answers lists."""
    counts = []
    for sentinel in cluster.sentinels:
        try:
            with sentinel.client() as client:
                counts.append(len(client.sentinel_slaves(MASTER_NAME)))
        except (redis.RedisError, OSError):
            continue
    return counts
