"""What `redis-ha compose` writes: the Docker target's containers, lasting secrets, closed files."""

import json
import shlex
import stat
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store

from infra.compose.__main__ import main, make_parser
from infra.compose.folder import COMPOSE_FILE, ENV_FILE, Folder
from infra.compose.secrets import read_secrets
from infra.compose.writing import write_folder
from redis_ha.cli.main import execute
from tests.documents import shell_blocks
from tests.unit.infra.recorded_graph import REPOSITORY, Graph, Registered, record

NOW = datetime(2026, 3, 1, tzinfo=UTC)
GROUP = Path("/proc/self").stat().st_gid
ORDER = ["sentinel-1", "sentinel-2", "sentinel-3", "redis-1", "redis-2", "redis-3", "backup-worker"]
MONITORS = ["redis-exporter", "ha-exporter", "prometheus", "alertmanager"]
SHOWN = {
    line
    for block in shell_blocks()
    for line in block.commands
    if line.startswith("redis-ha compose redis-ha-compose")
}
# Each kind of difference that two stacks may have.
SETTINGS: list[dict[str, str]] = [
    {},
    {
        "namePrefix": "two-",
        "portOffset": "3000",
        "subnet": "172.29.0.0/24",
        "engine": "redis-7",
        "cpus": "4",
        "backupStore": "s3://bucket/prefix",
    },
    {"replicas": "3", "sentinels": "5", "quorum": "3", "monitoring": "false"},
]


def write(path: Path, *, now: datetime = NOW, **settings: str) -> dict[str, Any]:
    write_folder(Folder(path, GROUP), settings, root=REPOSITORY, now=now)
    document: dict[str, Any] = yaml.safe_load((path / COMPOSE_FILE).read_text())
    return document


def own_folder(path: Path, name: str) -> Path:
    """Find what the container mounts."""
    service = yaml.safe_load((path / COMPOSE_FILE).read_text())["services"][name]
    (mounted,) = (v for v in service["volumes"] if v.endswith(":/etc/redis-ha:ro"))
    return path / str(mounted).split(":", maxsplit=1)[0]


def node_files(path: Path) -> dict[str, str]:
    """Read what the containers of the folder's file mount, by node and file."""
    found: dict[str, str] = {}
    for name in yaml.safe_load((path / COMPOSE_FILE).read_text())["services"]:
        own = own_folder(path, name)
        files = [file for file in own.rglob("*") if file.is_file()]
        found |= {f"{name}/{file.relative_to(own)}": file.read_text() for file in files}
    return found


@pytest.fixture(scope="module", params=SETTINGS, ids=["default", "apart", "larger"])
def both(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Graph, dict[str, Any], Path]:
    folder = tmp_path_factory.mktemp("both")
    return record(request.param), write(folder, **request.param), folder


def uploads(graph: Graph, name: str) -> set[str]:
    carrier = graph.containers.get(f"{name}-files-carrier", graph.containers[name])
    return {upload["file"].removeprefix("/etc/redis-ha/") for upload in carrier.inputs["uploads"]}


def described(container: Registered) -> dict[str, Any]:
    """Say in docker-compose's words what the Docker target makes."""
    made = container.inputs
    check = made["healthcheck"]
    return {
        "container_name": made["name"],
        "hostname": made["hostname"],
        "entrypoint": made["entrypoints"],
        "command": made["command"],
        "environment": made.get("envs"),
        "user": made["user"],
        "working_dir": made["workingDir"],
        "cap_drop": made["capabilities"]["drops"],
        "security_opt": made["securityOpts"],
        "restart": made["restart"],
        "read_only": made.get("readOnly"),
        "mem_limit": f"{made['memory']:.0f}m",
        "memswap_limit": f"{made['memorySwap']:.0f}m",
        "cpus": float(made["cpus"]) if "cpus" in made else None,
        "ulimits": {u["name"]: {"soft": u["soft"], "hard": u["hard"]} for u in made["ulimits"]},
        "sysctls": made["sysctls"],
        "tmpfs": [f"{path}:{options}" for path, options in made["tmpfs"].items()],
        "address": made["networksAdvanced"][0]["ipv4Address"],
        "ports": [f"{p['ip']}:{p['external']:.0f}:{p['internal']:.0f}" for p in made["ports"]]
        if "ports" in made
        else None,
        "logging": {"driver": made["logDriver"], "options": made["logOpts"]},
        "healthcheck": (check["tests"], check["interval"], check["timeout"], check["retries"]),
        "stop_grace_period": f"{made['stopTimeout']:.0f}s",
    }


def test_each_container_is_the_docker_targets(both: tuple[Graph, dict[str, Any], Path]) -> None:
    graph, document, _ = both
    made = {n: c for n, c in graph.containers.items() if not n.endswith("-carrier")}
    assert document["services"].keys() == made.keys()
    for name, container in made.items():
        expected = described(container)
        service = document["services"][name]
        check = service["healthcheck"]
        own = {key: service.get(key) for key in expected} | {
            "address": service["networks"]["redis-ha"]["ipv4_address"],
            "healthcheck": tuple(check[k] for k in ("test", "interval", "timeout", "retries")),
        }
        assert own == expected, name


def test_files_volumes_network_and_images_are_the_docker_targets(
    both: tuple[Graph, dict[str, Any], Path],
) -> None:
    graph, document, folder = both
    for name, service in document["services"].items():
        own = own_folder(folder, name)
        found = {str(f.relative_to(own)) for f in own.rglob("*") if f.is_file()}
        assert found == uploads(graph, name), name
        assert own == folder / "nodes" / name / service["labels"]["redis-ha.files"]
    volumes = {v.inputs["name"] for v in graph.of_type("Volume").values()}
    # Files that Docker's own copies come in by a volume; docker-compose mounts their folder.
    assert {v["name"] for v in document["volumes"].values()} == {
        v for v in volumes if not v.endswith("-files")
    }
    (network,) = graph.of_type("Network").values()
    (config,) = document["networks"]["redis-ha"]["ipam"]["config"]
    assert document["networks"]["redis-ha"]["name"] == network.inputs["name"]
    assert config == network.inputs["ipamConfigs"][0]
    images = {image.inputs["name"] for image in graph.of_type("RemoteImage").values()}
    assert {service["image"] for service in document["services"].values()} == images


def test_all_come_up_one_after_another_and_the_first_builds(tmp_path: Path) -> None:
    services = write(tmp_path)["services"]
    assert list(services) == [*ORDER, *MONITORS]
    waits = {name: list(service.get("depends_on", {})) for name, service in services.items()}
    assert waits == {
        "sentinel-1": [],
        **{later: [before] for before, later in pairwise(ORDER)},
        **{name: ["backup-worker"] for name in MONITORS},
    }
    assert [name for name, service in services.items() if "build" in service] == [
        "sentinel-1",
        "redis-exporter",
    ]
    assert (tmp_path / "image" / "node" / "Dockerfile").is_file()


def test_secrets_are_in_closed_files_and_nowhere_else(tmp_path: Path) -> None:
    folder = tmp_path / "made"
    write(folder)
    kept = read_secrets((folder / "secrets.json").read_text())
    hidden = {*kept.passwords.values(), kept.seed, kept.identity, kept.signing_key}
    hidden |= {pair.private_key for pair in (kept.authority, *kept.pairs.values())}
    open_files = [
        path
        for path in folder.rglob("*")
        if path.is_file()
        and (folder / "nodes") not in path.parents
        and stat.S_IMODE(path.stat().st_mode) != 0o600
    ]
    assert {path.name for path in open_files} >= {COMPOSE_FILE, "ca.crt", "Dockerfile"}
    for path in open_files:
        text = path.read_text(errors="replace")
        assert not [secret for secret in hidden if secret in text], path
    assert stat.S_IMODE((folder / "nodes").stat().st_mode) == 0o700
    modes = {stat.S_IMODE(p.stat().st_mode) for p in (folder / "nodes").rglob("*") if p.is_file()}
    assert modes == {0o440}
    for name in ("secrets.json", "identity.txt", "settings.yaml", ENV_FILE, "nodes"):
        assert name in (folder / ".gitignore").read_text().split()


def test_a_second_run_changes_nothing_and_keeps_settings_and_secrets(tmp_path: Path) -> None:
    first = write(tmp_path, downAfterMs="7000", backupRecipients='["age1' + "q" * 58 + '"]')
    files, kept = node_files(tmp_path), (tmp_path / "secrets.json").read_text()
    assert write(tmp_path, now=NOW + timedelta(days=1)) == first
    assert node_files(tmp_path) == files
    changed = write(tmp_path, minReplicasMaxLag="4")
    assert (tmp_path / "secrets.json").read_text() == kept
    assert "min-replicas-max-lag 4" in node_files(tmp_path)["redis-1/redis.conf"]
    assert (
        "down-after-milliseconds mymaster 7000" in node_files(tmp_path)["sentinel-1/sentinel.conf"]
    )
    differing = {
        name
        for name, service in changed["services"].items()
        if service["labels"] != first["services"][name]["labels"]
    }
    assert differing == {"redis-1", "redis-2", "redis-3"}
    assert not (tmp_path / "identity.txt").exists(), "others hold the key"


def test_certificates_are_valid_for_their_node_and_renewed_when_due(tmp_path: Path) -> None:
    write(tmp_path)
    before = node_files(tmp_path)
    authority = x509.load_pem_x509_certificate((tmp_path / "ca.crt").read_bytes())
    certificate = x509.load_pem_x509_certificate(before["redis-2/tls/node.crt"].encode())
    for address in ("172.28.0.12", "127.0.0.1"):
        policy = PolicyBuilder().store(Store([authority])).time(NOW)
        verifier = policy.build_server_verifier(x509.IPAddress(ip_address(address)))
        verifier.verify(certificate, [])
    write(tmp_path, now=NOW + timedelta(hours=8_760 - 720 + 1))
    after = node_files(tmp_path)
    assert after["redis-2/tls/node.crt"] != before["redis-2/tls/node.crt"]
    assert after["redis-2/tls/ca.crt"] == before["redis-2/tls/ca.crt"]


def test_a_cluster_that_is_written_stays_where_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(tmp_path)
    assert main([path]) == 0
    before = node_files(tmp_path)
    for option, value in (("--portOffset", "100"), ("--namePrefix", "x-"), ("--masterName", "x")):
        assert main([path, option, value]) == 7
        said = capsys.readouterr().err
        assert "write a second folder and restore" in said
        assert f"down --volumes`, then delete {tmp_path}/written.json" in said
        assert "pulumi" not in said
    assert node_files(tmp_path) == before
    assert main([path, "--replicas", "3"]) == 0


def test_a_folder_of_before_says_nothing_of_places(tmp_path: Path) -> None:
    write(tmp_path)
    written = tmp_path / "written.json"
    made = json.loads(written.read_text())
    del made["identity"]
    written.write_text(json.dumps({**made, "key_generation": 0}))
    write(tmp_path)
    assert json.loads(written.read_text())["identity"]["master_name"] == "mymaster"


def test_a_certificate_for_another_address_is_replaced(tmp_path: Path) -> None:
    write(tmp_path)
    before = node_files(tmp_path)
    (tmp_path / "written.json").unlink()
    write(tmp_path, subnet="172.29.0.0/24")
    after = node_files(tmp_path)
    certificate = x509.load_pem_x509_certificate(after["redis-1/tls/node.crt"].encode())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert ip_address("172.29.0.11") in names.get_values_for_type(x509.IPAddress)
    assert after["redis-1/tls/ca.crt"] == before["redis-1/tls/ca.crt"]


def test_what_runs_keeps_the_files_that_it_mounts(tmp_path: Path) -> None:
    write(tmp_path, replicas="3")
    nodes = tmp_path / "nodes"
    before = {file: file.stat() for file in nodes.rglob("*") if file.is_file()}
    texts = {file: file.read_text() for file in before}
    changed = write(tmp_path, replicas="2", downAfterMs="7000", now=NOW + timedelta(hours=8_100))
    assert "redis-4" not in changed["services"]
    for file, was in before.items():
        assert (file.stat().st_ino, file.stat().st_mode) == (was.st_ino, was.st_mode)
        assert file.read_text() == texts[file]
    differing = node_files(tmp_path)
    assert "down-after-milliseconds mymaster 7000" in differing["sentinel-1/sentinel.conf"]
    assert own_folder(tmp_path, "redis-1") not in {file.parent for file in before}


def test_what_is_refused_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "made"
    assert main([str(folder), "--downAfterMs", "500"]) == 7
    assert "downAfterMs = 500" in capsys.readouterr().err
    assert main([str(folder), "--maxmemory", "much"]) == 2
    assert not folder.exists()


def test_a_change_that_would_lose_data_or_the_key_to_it_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, recipient = str(tmp_path), "age1" + "q" * 58
    assert main([path, "--sentinels", "5", "--quorum", "3"]) == 0
    identity = (tmp_path / "identity.txt").read_text()
    assert main([path, "--engine", "redis-7"]) == 7
    assert "--allowEngineChange 'redis-8>redis-7'" in capsys.readouterr().err
    assert main([path, "--sentinels", "1", "--quorum", "1"]) == 7
    assert main([path, "--backupRecipients", json.dumps([recipient])]) == 7
    assert f"cat {tmp_path}/identity.txt > old-key.txt" in capsys.readouterr().err
    assert (tmp_path / "identity.txt").read_text() == identity
    # By hand or by option, it is the same change.
    settings = tmp_path / "settings.yaml"
    settings.write_text(settings.read_text() + "engine: redis-7\n")
    assert main([path]) == 7
    assert main([path, "--allowEngineChange", "redis-8>redis-7"]) == 0
    assert main([path]) == 7
    assert "delete allowEngineChange in settings.yaml" in capsys.readouterr().err
    assert main([path, "--allowEngineChange", ""]) == 0


def test_lost_secrets_take_no_key_to_the_backups_with_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, secrets = str(tmp_path), tmp_path / "secrets.json"
    assert main([path]) == 0
    identity, kept = tmp_path / "identity.txt", secrets.read_text()
    key, made = identity.read_text(), (tmp_path / "written.json").read_text()
    (recipient,) = json.loads(made)["recipients"]
    secrets.unlink()
    for _ in range(2):
        assert main([path]) == 7
        said = capsys.readouterr().err
        assert "put secrets.json back" in said
        assert f"--allowBackupKeyLoss {recipient}" in said
        assert (identity.read_text(), (tmp_path / "written.json").read_text()) == (key, made)
        assert not secrets.exists()
    secrets.write_text(kept)
    assert main([path]) == 0
    assert identity.read_text() == key
    secrets.unlink()
    assert main([path, "--allowBackupKeyLoss", recipient]) == 0
    assert identity.read_text() != key
    # It was said of that key alone.
    secrets.unlink()
    assert main([path]) == 7


@pytest.mark.parametrize("allowed", [False, True])
def test_lost_secrets_lock_nobody_out(
    allowed: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The key to the backups is the operator's, but passwords and authority are the folder's."""
    path, recipient = str(tmp_path), "age1" + "q" * 58
    assert main([path, "--backupRecipients", json.dumps([recipient])]) == 0
    ca, files = (tmp_path / "ca.crt").read_text(), node_files(tmp_path)
    secrets = tmp_path / "secrets.json"
    secrets.rename(tmp_path / "copy")
    assert main([path, *(["--allowBackupKeyLoss", recipient] if allowed else [])]) == 7
    said = capsys.readouterr().err
    assert "put secrets.json back from a copy" in said
    assert "to begin anew on purpose" in said
    assert not secrets.exists()
    assert ((tmp_path / "ca.crt").read_text(), node_files(tmp_path)) == (ca, files)
    # As it says: once on purpose, everything is new.
    (tmp_path / "written.json").unlink()
    assert main([path]) == 0
    assert (tmp_path / "ca.crt").read_text() != ca


def test_an_own_key_that_goes_takes_no_lost_passwords_with_it(tmp_path: Path) -> None:
    path, given = str(tmp_path), json.dumps(["age1" + "q" * 58])
    assert main([path]) == 0
    (recipient,) = json.loads((tmp_path / "written.json").read_text())["recipients"]
    (tmp_path / "secrets.json").unlink()
    assert main([path, "--backupRecipients", given, "--allowBackupKeyLoss", recipient]) == 7


DAMAGES: dict[str, Callable[[dict[str, Any]], None]] = {
    "authority": lambda kept: kept["authority"].update(certificate="cut off"),
    "key": lambda kept: kept["authority"].update(
        private_key=kept["pairs"]["redis-1"]["private_key"]
    ),
    "no-key": lambda kept: kept["authority"].update(private_key=""),
    "pair": lambda kept: kept["pairs"]["redis-1"].update(certificate=""),
    "not-text": lambda kept: kept["pairs"]["redis-1"].update(certificate=None),
    "password": lambda kept: kept["passwords"].update(app=""),
    "seed": lambda kept: kept.update(seed="AAAA"),
    "signing": lambda kept: kept.update(signing_key="none"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_what_of_the_secrets_is_damaged_is_not_made_anew(
    damage: Callable[[dict[str, Any]], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path)
    ca, secrets = (tmp_path / "ca.crt").read_text(), tmp_path / "secrets.json"
    kept = json.loads(secrets.read_text())
    damage(kept)
    secrets.write_text(json.dumps(kept))
    assert main([str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "secrets.json: it is damaged" in said
    assert "put secrets.json back from a copy" in said
    assert (tmp_path / "ca.crt").read_text() == ca
    assert json.loads(secrets.read_text()) == kept


def test_an_authority_that_is_due_is_replaced_with_all_that_it_signed(tmp_path: Path) -> None:
    write(tmp_path, caValidityHours="87600")
    before = (tmp_path / "ca.crt").read_text()
    due = NOW + timedelta(hours=87_600 - 720 + 1)
    folder = Folder(tmp_path, GROUP)
    written = write_folder(folder, {}, root=REPOSITORY, now=due)
    assert (tmp_path / "ca.crt").read_text() != before
    assert written.new_authority, "one after another they would wait for each other in vain"
    assert not write_folder(folder, {}, root=REPOSITORY, now=due).new_authority


def test_a_key_of_other_secrets_is_not_overwritten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, identity = str(tmp_path), tmp_path / "identity.txt"
    assert main([path]) == 0
    key = identity.read_text()
    for name in ("secrets.json", "written.json"):
        (tmp_path / name).unlink()
    assert main([path]) == 7
    assert "move identity.txt to where you keep such keys" in capsys.readouterr().err
    assert identity.read_text() == key
    identity.rename(tmp_path / "old-key.txt")
    assert main([path]) == 0
    assert identity.read_text() != key


def test_a_damaged_folder_is_told_and_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["services"] == len([*ORDER, *MONITORS])
    (tmp_path / "secrets.json").write_text('{"passwords":')
    assert main([str(tmp_path)]) == 1
    assert "secrets.json: it is damaged" in capsys.readouterr().err
    assert (tmp_path / "secrets.json").read_text() == '{"passwords":'


def test_of_two_runs_at_once_the_second_is_sent_away(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Folder(tmp_path / "made", GROUP)
    with folder.locked():
        assert main([str(folder.path)]) == 1
        assert "another run is writing" in capsys.readouterr().err
        assert [path.name for path in folder.path.iterdir()] == [".lock"]
    assert not folder.path.exists(), "nobody wrote"
    assert main([str(folder.path)]) == 0
    assert ".lock" in (folder.path / ".gitignore").read_text().split()
    with folder.locked():
        assert main([str(folder.path), "--ioThreads", "2"]) == 1
    assert "ioThreads" not in (folder.path / "settings.yaml").read_text()


def test_the_command_hands_everything_on(tmp_path: Path) -> None:
    folder = tmp_path / "made"
    command = [sys.executable, "-m", "redis_ha", "compose", str(folder)]
    refused = subprocess.run(
        [*command, "--downAfterMs", "500"], capture_output=True, text=True, check=False
    )
    assert (refused.returncode, "downAfterMs = 500" in refused.stderr) == (7, True)
    shown = subprocess.run([*command, "--help"], capture_output=True, text=True, check=True)
    assert "--downAfterMs VALUE" in shown.stdout
    assert not folder.exists()


@pytest.mark.parametrize("line", sorted(SHOWN))
def test_it_is_written_as_documented(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert execute(shlex.split(line)[1:]) == 0
    assert len(list(tmp_path.glob("*/docker-compose.redis-ha.yml"))) == 1


def test_where_only_a_node_is_installed_it_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("redis_ha.cli.compose.PACKAGE", "not_installed_here")
    assert execute(["compose"]) == 2
    assert "only what runs on a node" in capsys.readouterr().err


def test_secret_settings_come_from_the_file_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([str(tmp_path), "--backupS3SecretAccessKey", "hidden"])
    assert ended.value.code == 2
    assert "hidden" not in make_parser().format_help()
    capsys.readouterr()
    settings = {"backupStore": "s3://bucket/x", "backupS3AccessKeyId": "id"}
    document = {**settings, "backupS3SecretAccessKey": "hidden"}
    (tmp_path / "settings.yaml").write_text(json.dumps(document))
    write(tmp_path)
    assert "AWS_SECRET_ACCESS_KEY=hidden" in node_files(tmp_path)["backup-worker/worker.env"]
    assert stat.S_IMODE((tmp_path / "settings.yaml").stat().st_mode) == 0o600
    assert "hidden" not in (tmp_path / COMPOSE_FILE).read_text()
