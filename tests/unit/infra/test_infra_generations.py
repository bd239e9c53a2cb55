"""What a rotation's settings make of passwords, certificates, the CA and the backup's keys."""

import json

import pytest

from infra.config import ClusterConfig
from infra.errors import ConfigRefused
from infra.generations import Generation, nth
from infra.settings import parse
from tests.unit.infra.recorded_graph import Graph, record


def resources(graph: Graph, kind: str) -> set[str]:
    return set(graph.of_type(kind))


def upload(graph: Graph, node: str, file: str) -> str:
    uploads = graph.containers[f"{node}-files-carrier"].inputs["uploads"]
    return next(str(u["content"]) for u in uploads if u["file"].endswith(f"/{file}"))


def fixed(graph: Graph, node: str) -> str:
    labels = graph.containers[node].inputs["labels"]
    return next(str(each["value"]) for each in labels if each["label"] == "redis-ha.fixed")


@pytest.fixture(scope="module")
def first() -> Graph:
    return record({})


def test_the_form_of_a_generation() -> None:
    generations = parse(
        ClusterConfig, {"passwordGeneration": "1+2", "authorityGeneration": "7"}
    ).generations
    assert generations.password_generation == Generation(1, 2)
    assert generations.password_generation.all == (1, 2)
    assert generations.described() == {
        "users": "1+2",
        "ca": "7",
        "certs": "1",
        "backup-key": "1",
    }
    assert (nth("password-app", 1), nth("password-app", 2)) == ("password-app", "password-app-2")


@pytest.mark.parametrize("value", ["", "0", "1+", "1+1", "1+3", "+2", "1+2+3", "one"])
def test_what_is_no_generation_is_refused(value: str) -> None:
    with pytest.raises(ConfigRefused, match="passwordGeneration"):
        parse(ClusterConfig, {"passwordGeneration": value})


def test_the_first_passwords_stay_when_the_second_come(first: Graph) -> None:
    both = record({"passwordGeneration": "1+2"})
    before = resources(first, "RandomPassword")
    assert resources(both, "RandomPassword") == before | {f"{name}-2" for name in before}
    assert both.outputs["env"] == first.outputs["env"]
    app = next(
        line for line in upload(both, "redis-1", "users.acl").splitlines() if " app on" in line
    )
    assert app.count("#") == 2
    assert upload(both, "redis-1", "redis.conf") == upload(first, "redis-1", "redis.conf")
    assert fixed(both, "redis-1") == fixed(first, "redis-1")
    assert fixed(both, "sentinel-1") == fixed(first, "sentinel-1")
    assert both.outputs["files"] != first.outputs["files"]


def test_the_second_passwords_are_used_by_everybody_at_once(first: Graph) -> None:
    used = record({"passwordGeneration": "2+1"})
    assert used.outputs["env"]["REDIS_PASSWORD"] != first.outputs["env"]["REDIS_PASSWORD"]
    for node, file in (
        ("redis-1", "redis.conf"),
        ("redis-1", "node.json"),
        ("sentinel-1", "sentinel.conf"),
    ):
        assert upload(used, node, file) != upload(first, node, file)
    alone = record({"passwordGeneration": "2"})
    assert all(name.endswith("-2") for name in resources(alone, "RandomPassword"))
    assert upload(alone, "redis-1", "users.acl").count(" on #") == 9


def test_two_authorities_are_trusted_and_the_first_named_signs(first: Graph) -> None:
    both = record({"authorityGeneration": "1+2"})
    assert both.outputs["ca"] != first.outputs["ca"]
    assert both.outputs["ca"].startswith(first.outputs["ca"])
    assert upload(both, "redis-1", "tls/node.crt") == upload(first, "redis-1", "tls/node.crt")
    assert fixed(both, "redis-1") == fixed(first, "redis-1")
    assert fixed(both, "sentinel-1") != fixed(first, "sentinel-1")
    signed = record({"authorityGeneration": "2+1"}).of_type("LocallySignedCert")["redis-1-cert"]
    assert "ca-cert-2" in json.dumps(signed.inputs["caCertPem"])


def test_new_certificates_have_keys_of_their_own(first: Graph) -> None:
    renewed = record({"certificateGeneration": "2"})
    assert "redis-1-key-2" in resources(renewed, "PrivateKey")
    assert "redis-1-key" not in resources(renewed, "PrivateKey")
    assert renewed.outputs["ca"] == first.outputs["ca"]
    assert fixed(renewed, "redis-1") == fixed(first, "redis-1")


def test_backups_are_for_the_new_identity_and_the_old_is_kept(first: Graph) -> None:
    both = record({"backupKeyGeneration": "2+1"})
    new, old = both.outputs["backupIdentity"].split()
    assert old == first.outputs["backupIdentity"]
    assert new.startswith("AGE-SECRET-KEY-1")
    assert len(both.outputs["backupRecipients"]) == 1
    (old_recipient,) = first.outputs["backupRecipients"]
    assert first.outputs["backupKeys"] == {"1": old_recipient}
    assert both.outputs["backupKeys"] == {
        "2": both.outputs["backupRecipients"][0],
        "1": old_recipient,
    }
    assert first.outputs["backupSigner"] in both.outputs["backupSigner"].split(",")
    assert "backupIdentity" in both.secret_outputs
