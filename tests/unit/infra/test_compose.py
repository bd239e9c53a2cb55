"""What `redis-ha compose` writes: the Docker target's containers, lasting secrets, closed files."""

import json
import shlex
import stat
import subprocess
import sys
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from infra.compose.__main__ import main, make_parser
from infra.compose.folder import COMPOSE_FILE, Folder
from redis_ha.cli.main import execute
from tests.documents import shell_blocks
from tests.unit.infra.composed_folder import GROUP, NOW, node_files, own_folder, write
from tests.unit.infra.recorded_graph import Graph, Registered, record

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
