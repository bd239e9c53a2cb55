"""Rendered files: what they must hold, what they must never hold, and keys in others' forms."""

import base64
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jinja2 import UndefinedError

from age import Identity
from infra.acl import USER_NAMES, USERS, render_users
from infra.config import ClusterConfig
from infra.keys import age_identity, age_recipient, signer_of
from infra.planner import Plan, make_plan
from infra.rendering import (
    FILE_NAMES,
    BackupKeys,
    env_file,
    host_environment,
    node_files,
    redis_conf,
    worker_environment,
)
from infra.settings import parse
from infra.targets.docker.container import go_duration
from infra.targets.docker.context import LEFT_OUT, SOURCES, context_files, context_hash
from infra.topology import Node
from redis_ha.environment import parse_env_file

REPOSITORY = Path(__file__).parents[3]
PASSWORDS = {user: f"secret-of-{user}" for user in USER_NAMES}
KEYS = BackupKeys(("age1a", "age1b"), "c2lnbmVy")


def plan(**settings: str) -> Plan:
    return make_plan(parse(ClusterConfig, settings))


def test_a_data_node_holds_no_role_and_only_the_passwords_it_uses() -> None:
    made = plan()
    files = node_files(made, made.topology.data_nodes[1], passwords=PASSWORDS)
    assert tuple(files) == FILE_NAMES["data"]
    directives = [line.split(maxsplit=1)[0] for line in files["redis.conf"].splitlines() if line]
    assert "replicaof" not in directives
    in_clear = {user for user in USER_NAMES if PASSWORDS[user] in "".join(files.values())}
    assert in_clear == {"replica", "node"}


def test_a_sentinel_holds_only_the_passwords_it_uses() -> None:
    made = plan()
    files = node_files(made, made.topology.sentinels[0], passwords=PASSWORDS)
    assert tuple(files) == FILE_NAMES["sentinel"]
    in_clear = {user for user in USER_NAMES if PASSWORDS[user] in "".join(files.values())}
    assert in_clear == {"sentinel", "sentinel-peer", "node", "witness"}
    assert "sentinel monitor mymaster 172.28.0.11 6379 2\n" in files["sentinel.conf"]


def test_the_worker_cannot_administrate_and_its_file_has_a_line_per_setting() -> None:
    text = env_file(worker_environment(plan(), passwords=PASSWORDS, keys=KEYS))
    assert {u for u in USER_NAMES if PASSWORDS[u] in text} == {"backup", "replica"}
    settings = dict(line.split("=", 1) for line in text.splitlines())
    assert settings["REDIS_BACKUP_RECIPIENT"] == "age1a,age1b"
    assert settings["REDIS_BACKUP_SCRATCH_HOST"] == "172.28.0.31"
    assert settings["REDIS_BACKUP_ENABLED"] == "true"
    assert not any(name.startswith("AWS_") for name in settings)


def test_an_env_file_keeps_every_value() -> None:
    values = ["plain", "it's", 'say "x"', "a #b", "#c", r"back\slash", " ends ", "a b", "x#y$z", ""]
    settings = {f"VALUE_{number}": value for number, value in enumerate(values)}
    assert parse_env_file(env_file(settings), name="it") == settings


def test_an_object_store_brings_its_own_settings() -> None:
    made = plan(
        backupStore="s3://bucket/prefix",
        backupS3Endpoint="http://10.0.0.9:7070",
        backupS3AccessKeyId="AK",
        backupS3SecretAccessKey="SK",
    )
    settings = worker_environment(made, passwords=PASSWORDS, keys=KEYS)
    assert settings["REDIS_BACKUP_S3_ENDPOINT"] == "http://10.0.0.9:7070"
    assert settings["AWS_SECRET_ACCESS_KEY"] == "SK"
    assert "AWS_SECRET_ACCESS_KEY" not in host_environment(made, passwords=PASSWORDS, keys=KEYS)


def test_the_host_knows_what_nodes_and_containers_are_called() -> None:
    settings = host_environment(plan(namePrefix="two-"), passwords=PASSWORDS, keys=KEYS)
    assert settings["REDIS_NODE_NAME_3"] == "redis-3"
    assert settings["REDIS_NODE_HOST_3"] == "172.28.0.13"
    assert settings["REDIS_NODE_PORT_3"] == "6381"
    assert settings["REDIS_NODE_CONTAINER_3"] == "two-redis-3"
    assert settings["REDIS_SENTINEL_CONTAINER_2"] == "two-sentinel-2"
    assert "REDIS_NODE_NAME_4" not in settings


def test_node_json_names_every_member() -> None:
    made = plan()
    files = node_files(made, made.topology.sentinels[2], passwords=PASSWORDS)
    node = json.loads(files["node.json"])
    assert (node["name"], node["role"], node["port"]) == ("sentinel-3", "sentinel", 26381)
    assert [n["name"] for n in node["data_nodes"]] == ["redis-1", "redis-2", "redis-3"]
    assert node["initial_master"] == "redis-1"
    assert node["password"] == PASSWORDS["node"]


def test_a_witness_lives_beside_sentinels_only_and_can_be_left_out() -> None:
    def described(made: Plan, node: Node) -> dict[str, Any]:
        files = node_files(made, node, passwords=PASSWORDS)
        return dict(json.loads(files["node.json"]))

    made = plan(downAfterMs="4000")
    witness = described(made, made.topology.sentinels[0])["witness"]
    assert witness["down_after_ms"] == 4000
    assert "witness" not in described(made, made.topology.data_nodes[0])
    assert "witness" not in described(plan(witness="false"), made.topology.sentinels[0])
    for given, expected in (("true", "true"), ("false", "false")):
        host = host_environment(plan(witness=given), passwords=PASSWORDS, keys=KEYS)
        assert host["REDIS_WITNESS"] == expected


def test_a_missing_value_is_an_error_not_an_empty_line() -> None:
    made = plan()
    with pytest.raises(UndefinedError):
        redis_conf(made, made.topology.data_nodes[0], passwords={})


def test_settings_reach_the_files() -> None:
    made = plan(save="", engine="redis-7", ioThreadsDoReads="false", debugCommand="local")
    text = redis_conf(made, made.topology.data_nodes[0], passwords=PASSWORDS)
    assert '\nsave ""\n' in text
    assert "\nio-threads-do-reads no\n" in text
    assert "\nenable-debug-command local\n" in text
    newer = plan(engine="valkey-8")
    text = redis_conf(newer, newer.topology.data_nodes[0], passwords=PASSWORDS)
    assert "io-threads-do-reads" not in text


@pytest.mark.parametrize("side", ["data", "sentinel"])
def test_passwords_are_only_hashes_and_the_default_user_is_off(side: str) -> None:
    text = render_users(side, PASSWORDS)  # type: ignore[arg-type]
    assert text.startswith("user default off resetpass ")
    assert not any(password in text for password in PASSWORDS.values())
    there = [u.name for u in USERS if (u.data if side == "data" else u.sentinel) is not None]
    assert [line.split()[1] for line in text.splitlines()[1:]] == there


def test_a_signer_is_the_raw_key() -> None:
    public = ed25519.Ed25519PrivateKey.generate().public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    raw = public.public_bytes(Encoding.Raw, PublicFormat.Raw)
    assert signer_of(pem) == base64.b64encode(raw).decode()


def test_a_signer_of_another_kind_is_refused() -> None:
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    with pytest.raises(ValueError, match="Ed25519"):
        signer_of(pem)


def test_identity_and_recipient_belong_together() -> None:
    seed = base64.b64encode(bytes(range(32))).decode()
    assert str(Identity.parse(age_identity(seed)).to_public()) == age_recipient(seed)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (59, "59s"), (60, "1m0s"), (3661, "1h1m1s"), (7200, "2h0m0s")]
)
def test_durations_are_written_as_go_prints_them(seconds: int, text: str) -> None:
    assert go_duration(seconds) == text


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in ("age", "backup_worker", "node", "redis_ha"):
        (tmp_path / name / "part").mkdir(parents=True)
        (tmp_path / name / "part" / "file.py").write_text(f"in {name}")
    (tmp_path / ".dockerignore").write_text("*")
    return tmp_path


def test_the_context_hash_sees_content_names_modes_and_arguments(checkout: Path) -> None:
    arguments = {"ENGINE": "redis-8"}
    seen = {context_hash(checkout, arguments), context_hash(checkout, {"ENGINE": "redis-7"})}
    changed = checkout / "node" / "part" / "file.py"
    changed.write_text("else")
    seen.add(context_hash(checkout, arguments))
    changed.chmod(0o755)
    seen.add(context_hash(checkout, arguments))
    changed.rename(changed.with_name("other.py"))
    seen.add(context_hash(checkout, arguments))
    assert len(seen) == 5


def test_the_context_hash_ignores_place_time_and_leftovers(checkout: Path) -> None:
    before = context_hash(checkout, {})
    (checkout / "infra").mkdir()
    (checkout / "infra" / "file.py").write_text("not in the image")
    (checkout / "node" / "__pycache__").mkdir()
    (checkout / "node" / "__pycache__" / "file.pyc").write_text("leftover")
    assert context_hash(checkout, {}) == before
    copy = checkout / "copy"
    copy.mkdir()
    shutil.copy2(checkout / ".dockerignore", copy)
    for name in ("age", "backup_worker", "node", "redis_ha"):
        shutil.copytree(checkout / name, copy / name)
    assert context_hash(copy, {}) == before
    assert len(context_files(checkout)) == 5


def test_what_the_build_context_holds_is_what_is_hashed() -> None:
    allowed = (REPOSITORY / ".dockerignore").read_text().splitlines()
    assert allowed[0] == "*"
    assert {line[1:] for line in allowed if line.startswith("!")} == set(SOURCES)
    assert {line[3:] for line in allowed if line.startswith("**/")} == set(LEFT_OUT)
    hashed = {path.relative_to(REPOSITORY).as_posix() for path in context_files(REPOSITORY)}
    assert {".dockerignore", "node/Dockerfile", "node/health.sh", "age/keys.py"} <= hashed


def test_an_engine_is_rendered_for_every_choice() -> None:
    config = ClusterConfig()
    for engine in ("redis-8", "redis-7", "valkey-8"):
        made = make_plan(replace(config, engine=engine))
        assert redis_conf(made, made.topology.data_nodes[0], passwords=PASSWORDS)
