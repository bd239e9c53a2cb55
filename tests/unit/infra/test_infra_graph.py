"""The graph of the docker target: what the official provider demands, in the order it must be."""

import itertools
import json
import re
from pathlib import Path

import pytest

from infra.config import ClusterConfig, Limits
from infra.deployment import deploy
from infra.errors import PlanRefused
from infra.planner import make_plan
from infra.settings import parse
from infra.targets.docker import host
from tests.unit.infra.recorded_graph import (
    REPOSITORY,
    Graph,
    Registered,
    hidden_words,
    leave_out_secrets,
    record,
)

ORDER = ["sentinel-1", "sentinel-2", "sentinel-3", "redis-1", "redis-2", "redis-3", "backup-worker"]
MONITORS = ["redis-exporter", "ha-exporter", "prometheus", "alertmanager"]


def members(graph: Graph) -> dict[str, Registered]:
    """The cluster's own containers, without those who watch them."""
    return {name: graph.containers[name] for name in ORDER}


def files_of(graph: Graph, name: str) -> list[dict[str, str]]:
    """What is copied into a container, or into the volume that it reads its files from."""
    holder = graph.containers.get(f"{name}-files-carrier", graph.containers[name])
    uploads: list[dict[str, str]] = holder.inputs["uploads"]
    return uploads


@pytest.fixture(scope="module")
def graph() -> Graph:
    return record({})


def test_each_container_waits_for_the_one_before(graph: Graph) -> None:
    urns = {name: container.urn for name, container in members(graph).items()}
    assert {name for name in graph.containers if not name.endswith("-carrier")} == {
        *(*ORDER, *MONITORS)
    }
    for before, name in itertools.pairwise(ORDER):
        assert urns[before] in graph.containers[name].dependencies
    earlier = {name: set(ORDER[:i]) for i, name in enumerate(ORDER)}
    for name, container in members(graph).items():
        on = {other for other, urn in urns.items() if urn in container.dependencies}
        assert on <= earlier[name]


def test_replacement_is_rolling_and_leaves_time_to_hand_over(graph: Graph) -> None:
    for container in members(graph).values():
        assert container.options.deleteBeforeReplace
        assert container.inputs["wait"] is True
        assert container.inputs["mustRun"] is True
        assert container.inputs["destroyGraceSeconds"] == container.inputs["stopTimeout"] == 30
        assert container.inputs["restart"] == "unless-stopped"


def test_containers_are_confined(graph: Graph) -> None:
    for name in (*ORDER, *MONITORS):
        inputs = graph.containers[name].inputs
        assert inputs["user"] == "10001:10001"
        assert inputs["capabilities"] == {"drops": ["ALL"]}
        assert inputs["securityOpts"] == ["no-new-privileges:true"]
        assert inputs["memorySwap"] == 2 * inputs["memory"] > 0
        assert {u["name"]: u["hard"] for u in inputs["ulimits"]} == {"nofile": 10240, "nproc": 2048}
        assert all(port["ip"] == "127.0.0.1" for port in inputs.get("ports", []))
        assert not inputs.get("privileged")
        assert "cpus" not in inputs


def test_values_are_written_as_the_provider_reads_them_back(graph: Graph) -> None:
    for name, container in members(graph).items():
        check = container.inputs["healthcheck"]
        assert check["tests"] == ["CMD", "redis-ha-health"]
        assert check["startPeriod"] == ("1m0s" if name == "backup-worker" else "3m0s")
        assert re.fullmatch(r"\d+s", check["interval"])
        assert container.inputs["image"] == "sha256:made"
        # Left out, the image's own would be read back and differ from nothing.
        assert container.inputs["workingDir"] == "/data"
        uploads = files_of(graph, name)
        assert all(re.fullmatch("0[0-7]{3}", u["permissions"]) for u in uploads)


def test_cpus_are_written_in_their_shortest_form() -> None:
    limited = record({"cpus": "4.50"})
    assert limited.containers["redis-1"].inputs["cpus"] == "4.5"


def test_more_cpus_than_the_host_has_are_refused_before_anything_is_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plan = make_plan(parse(ClusterConfig, {"cpus": "4.5"}))
    monkeypatch.setattr(host, "docker_cpus", lambda: 4)
    # No engine is here: a resource would fail.
    with pytest.raises(PlanRefused, match=r"cpus = 4.5: the Docker host has 4, .* 4 or less"):
        deploy(plan, root=REPOSITORY)


@pytest.mark.parametrize(("there", "refused"), [(None, 0), (5, 0), (4, 1)])
def test_a_docker_that_does_not_say_refuses_nothing(there: int | None, refused: int) -> None:
    assert len(list(host.missing_cpus(Limits(cpus="4.5"), there=there))) == refused


@pytest.mark.parametrize(
    ("answer", "cpus"), [("echo 4", 4), ("echo 0; exit 1", None), ("echo '<no value>'", None)]
)
def test_docker_is_asked_how_many_it_has(
    answer: str, cpus: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "docker").write_text(f"#!/bin/sh\n{answer}\n")
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    assert host.docker_cpus() == cpus
    monkeypatch.setenv("PATH", "")
    assert host.docker_cpus() is None


def test_the_image_is_built_from_the_checkout_whenever_its_content_changes(graph: Graph) -> None:
    image = graph.of_type("RemoteImage")["node-image"].inputs
    content = image["triggers"]["content"]
    assert image["name"] == f"redis-ha:redis-8-{content}"
    assert image["keepLocally"] is True
    assert image["build"] == {
        "context": ".",
        "dockerfile": "node/Dockerfile",
        "target": "node",
        "buildArgs": {"BASE_IMAGE": "debian:trixie-slim", "ENGINE": "redis-8"},
        "useLegacyBuilder": True,
    }
    older = record({"engine": "redis-7"}).of_type("RemoteImage")["node-image"].inputs
    assert older["build"]["buildArgs"]["BASE_IMAGE"] == "debian:bookworm-slim"
    assert older["triggers"]["content"] != content


def test_another_date_is_another_image() -> None:
    days = ["", "2026-11-30", "2026-12-31"]
    for name, repository in {"node": "redis-ha", "monitoring": "redis-ha-monitoring"}.items():
        images = [
            record({"imageDate": day}).of_type("RemoteImage")[f"{name}-image"].inputs
            for day in days
        ]
        arguments = [image["build"]["buildArgs"].get("IMAGE_DATE", "") for image in images]
        assert arguments == days
        contents = {image["triggers"]["content"] for image in images}
        assert {image["name"] for image in images} == {
            f"{repository}:redis-8-{content}" for content in contents
        }
        assert len(contents) == len(days), "the containers' image has another name: they roll"


def test_every_node_has_its_files_address_and_volume(graph: Graph) -> None:
    files = {
        name: [u["file"].removeprefix("/etc/redis-ha/") for u in files_of(graph, name)]
        for name in members(graph)
    }
    tls = ["tls/ca.crt", "tls/node.crt", "tls/node.key"]
    assert files["redis-2"] == ["node.json", "redis.conf", "users.acl", *tls, "manifest.json"]
    assert files["sentinel-2"] == ["node.json", "sentinel.conf", "users.acl", *tls, "manifest.json"]
    assert files["backup-worker"] == ["worker.env", "signing.key", *tls]
    second = graph.containers["redis-2"].inputs
    assert second["networksAdvanced"] == [{"name": "redis-ha", "ipv4Address": "172.28.0.12"}]
    assert second["volumes"] == [
        {"containerPath": "/data", "volumeName": "redis-2-data"},
        {"containerPath": "/etc/redis-ha", "readOnly": True, "volumeName": "redis-2-files"},
    ]
    assert second["ports"] == [{"internal": 6380, "external": 6380, "ip": "127.0.0.1"}]
    assert (second["entrypoints"], second["command"]) == (["redis-ha-node"], ["data"])
    assert "ports" not in graph.containers["backup-worker"].inputs


def test_a_folder_store_outlives_the_stack_and_no_other_volume_does(graph: Graph) -> None:
    volumes = graph.of_type("Volume")
    assert [name for name, v in volumes.items() if v.options.retainOnDelete] == [
        "backup-worker-store"
    ]
    bucket = record({"backupStore": "s3://bucket/prefix"})
    assert "backup-worker-store" not in bucket.of_type("Volume")


def test_no_secret_is_readable_in_the_state(graph: Graph) -> None:
    for each in graph.registered:
        seen = json.dumps(leave_out_secrets(each.properties))
        assert not hidden_words(seen), each.name
    assert hidden_words(json.dumps(files_of(graph, "redis-1")))


def test_secret_outputs_are_secret_and_the_others_hold_none(graph: Graph) -> None:
    assert graph.secret_outputs == {"env", "backupIdentity"}
    open_outputs = {k: v for k, v in graph.outputs.items() if k not in graph.secret_outputs}
    assert not hidden_words(json.dumps(open_outputs))
    assert graph.outputs["backupIdentity"].startswith("AGE-SECRET-KEY-1")
    assert graph.outputs["backupRecipients"][0].startswith("age1")
    assert open_outputs.keys() == {
        *("nodes", "sentinels", "monitoring", "subnet", "ca", "files"),
        *("backupRecipients", "backupKeys", "backupSigner", "plan", "generations"),
    }


def test_recipients_of_the_operator_replace_the_stacks_identity() -> None:
    recipient = "age1" + "q" * 58
    graph = record({"backupRecipients": json.dumps([recipient])})
    assert not {"backupIdentity", "backupKeys"} & graph.outputs.keys()
    assert graph.outputs["backupRecipients"] == [recipient]
    assert not graph.of_type("RandomBytes")
    assert graph.outputs["env"]["REDIS_BACKUP_RECIPIENT"] == recipient


def test_the_environment_names_what_a_client_on_the_host_needs(graph: Graph) -> None:
    env = graph.outputs["env"]
    assert env["REDIS_SENTINEL_HOST_3"] == "172.28.0.23"
    assert env["REDIS_SENTINEL_PORT_3"] == "26381"
    assert env["REDIS_USERNAME"] == "app"
    assert env["REDIS_BACKUP_CONTAINER"] == "backup-worker"
    assert env["REDIS_EXPORTER_CONTAINER"] == "ha-exporter"
    assert "REDIS_EXPORTER_CONTAINER" not in record({"monitoring": "false"}).outputs["env"]
    assert env["REDIS_BACKUP_TRUSTED_SIGNERS"] == graph.outputs["backupSigner"]


def test_two_stacks_share_nothing_on_a_host(graph: Graph) -> None:
    settings = {"namePrefix": "two-", "portOffset": "3000", "subnet": "172.29.0.0/24"}
    other = record(settings)
    for kind in ("Container", "Volume", "Network", "RemoteImage"):
        ours = {r.inputs["name"] for r in graph.of_type(kind).values()}
        theirs = {r.inputs["name"] for r in other.of_type(kind).values()}
        assert not ours & theirs
    ports = [
        n["hostPort"]
        for g in (graph, other)
        for n in (*g.outputs["nodes"], *g.outputs["monitoring"])
    ]
    assert len(ports) == len(set(ports))


def test_every_certificate_names_its_node(graph: Graph) -> None:
    request = graph.of_type("CertRequest")["redis-2-request"].inputs
    assert request["ipAddresses"] == ["172.28.0.12", "127.0.0.1"]
    assert request["dnsNames"] == ["redis-2", "localhost"]
    exporters = {"redis-exporter-cert", "ha-exporter-cert"}
    assert set(graph.of_type("LocallySignedCert")) == {f"{name}-cert" for name in ORDER} | exporters
