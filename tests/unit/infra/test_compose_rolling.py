"""A change of a running cluster: who leaves, in which order, and what roll.sh does, step by step.

Docker is a small program that keeps its containers as files, and starts what the file names.
"""

import fcntl
import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from infra.compose.__main__ import main
from infra.compose.certificates import make_authority
from infra.compose.folder import COMPOSE_FILE
from infra.compose.rolling import Member, farewell, leaving, may_run
from infra.config import Certificates

ORDER = ["sentinel-1", "sentinel-2", "sentinel-3", "redis-1", "redis-2", "redis-3", "backup-worker"]
PREFIX = "redis-ha-"
PLAIN = ("--monitoring", "false", "--namePrefix", PREFIX)
# `compose` finds out what a service mounts; what it is told is a line of the file `told`.
FAKE = """\
#!/bin/sh
here=$FAKE_DOCKER
echo "${0##*/} $*" >>"$here/told"
[ ! -e "$here/deaf" ] || exit 1
case "${0##*/} $1" in
    "docker compose") [ -e "$here/v2" ] || exit 1; shift ;;
    docker-compose*) [ ! -e "$here/v2" ] || exit 9 ;;
esac
for last; do :; done
case $1 in
    version) ;;
    -f) files=$(sed -n "s|.*./nodes/$last/\\\\([0-9a-f]*\\\\):.*|\\\\1|p" "$2")
        [ -n "$files" ] || exit 1
        state="true healthy"
        grep -qx "$last" "$here/sick" && state="true unhealthy"
        mkdir -p "$here/redis-ha-$last"
        echo "$files" >"$here/redis-ha-$last/files"
        echo "$state" >"$here/redis-ha-$last/state" ;;
    ps) name=${last#name=^}; name=${name%\\$}
        [ ! -e "$here/$name" ] || echo "$name" ;;
    inspect) [ -e "$here/$last" ] || exit 1
        case $3 in *Health*) cat "$here/$last/state" ;; *) cat "$here/$last/files" ;; esac ;;
    stop) echo "false healthy" >"$here/$last/state" ;;
    rm) rm -r "${here:?}/$last" ;;
    *) exit 9 ;;
esac
"""


class Host:
    """A folder of `redis-ha compose`, and a Docker beside it."""

    def __init__(self, path: Path) -> None:
        self.folder, self.docker, self.bin = path / "made", path / "docker", path / "bin"
        for each in (self.docker, self.bin):
            each.mkdir()
        for name in ("docker", "docker-compose"):
            (self.bin / name).write_text(FAKE)
            (self.bin / name).chmod(0o755)
        # Nobody waits for three minutes here.
        (self.bin / "sleep").write_text("#!/bin/sh\n")
        (self.bin / "sleep").chmod(0o755)
        self.note("sick", "")

    def note(self, name: str, text: str = "") -> None:
        (self.docker / name).write_text(text)

    def write(self, *options: str) -> int:
        return main([str(self.folder), *PLAIN, *options])

    def roll(self) -> subprocess.CompletedProcess[str]:
        env = os.environ | {
            "PATH": f"{self.bin}:{os.environ['PATH']}",
            "FAKE_DOCKER": str(self.docker),
        }
        command = ["sh", str(self.folder / "roll.sh")]
        return subprocess.run(command, env=env, capture_output=True, text=True, check=False)

    def steps(self) -> list[str]:
        """Give what changes something, in order, since this was asked last: `up`, `stop`, `rm`."""
        told = (self.docker / "told").read_text().splitlines()
        (self.docker / "told").write_text("")
        words = [line.split() for line in told]
        done = {"up", "stop", "rm"}
        return [
            f"{next(w for w in line if w in done)} {line[-1].removeprefix(PREFIX)}"
            for line in words
            if done & set(line)
        ]

    def nodes(self) -> Mapping[str, int]:
        """Count the states of each node's files."""
        return {each.name: len(list(each.iterdir())) for each in self.folder.glob("nodes/*")}


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def ups(names: list[str]) -> list[str]:
    return [f"up {name}" for name in names]


@pytest.mark.parametrize("version", [1, 2])
def test_one_after_another_is_replaced_and_old_files_go(host: Host, version: int) -> None:
    if version == 2:
        host.note("v2")
    assert host.write() == 0
    assert host.roll().returncode == 0
    assert host.steps() == ups(ORDER)
    assert host.write("--ioThreads", "2") == 0
    assert host.nodes() == {name: 2 if name.startswith("redis") else 1 for name in ORDER}
    done = host.roll()
    assert done.returncode == 0, done.stderr
    assert host.steps() == ups(ORDER)
    assert host.nodes() == dict.fromkeys(ORDER, 1)
    services = yaml.safe_load((host.folder / COMPOSE_FILE).read_text())["services"]
    for name in ORDER:
        files = services[name]["labels"]["redis-ha.files"]
        assert (host.folder / "nodes" / name / files).is_dir()


def test_it_asks_the_compose_that_is_there_for_one_service_alone(host: Host) -> None:
    host.write()
    host.roll()
    assert f"docker-compose -f {COMPOSE_FILE} up -d --no-deps redis-1" in told(host)
    host.note("v2")
    host.roll()
    assert f"docker compose -f {COMPOSE_FILE} up -d --no-deps redis-1" in told(host)


def told(host: Host) -> list[str]:
    return (host.docker / "told").read_text().splitlines()


def test_it_ends_at_the_first_that_is_not_healthy_and_goes_on_later(host: Host) -> None:
    host.write()
    host.roll()
    host.steps()
    host.write("--ioThreads", "2")
    host.note("sick", "redis-1\n")
    stuck = host.roll()
    assert stuck.returncode == 1
    assert "redis-1 isn't healthy: see docker logs redis-ha-redis-1" in stuck.stderr
    assert host.steps() == ups(ORDER[:4])
    # Those who were not reached have what they mount.
    assert host.nodes()["redis-2"] == host.nodes()["redis-3"] == 2
    host.note("sick", "")
    assert host.roll().returncode == 0
    assert host.nodes() == dict.fromkeys(ORDER, 1)


def test_who_leaves_is_told_and_stopped_in_order(
    host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    host.write("--replicas", "4", "--sentinels", "5", "--quorum", "3")
    host.roll()
    host.steps()
    capsys.readouterr()
    assert host.write("--replicas", "2", "--sentinels", "3", "--quorum", "2") == 0
    said = capsys.readouterr().out
    stops = [line.strip() for line in said.splitlines() if "docker stop" in line]
    assert stops == [
        f"docker stop -t 30 redis-ha-{name} && docker rm redis-ha-{name}"
        for name in ("redis-5", "redis-4", "sentinel-5", "sentinel-4")
    ]
    assert said.index("docker stop") < said.index("sh roll.sh")
    assert "up -d " not in said
    assert {"redis-4", "redis-5", "sentinel-4", "sentinel-5"} <= host.nodes().keys()
    # A second run changes nothing about it.
    assert host.write() == 0
    assert "docker stop -t 30 redis-ha-redis-5" in capsys.readouterr().out
    done = host.roll()
    assert done.returncode == 0, done.stderr
    assert host.steps() == [
        *("stop redis-5", "rm redis-5", "stop redis-4", "rm redis-4"),
        *ups(ORDER),
        *("stop sentinel-5", "rm sentinel-5", "stop sentinel-4", "rm sentinel-4"),
    ]
    assert host.nodes().keys() == set(ORDER)
    assert host.write() == 0
    assert "docker stop" not in capsys.readouterr().out


@pytest.mark.parametrize("state", ["true starting", "false healthy", "false unhealthy"])
def test_nobody_leaves_with_what_the_others_may_not_have(host: Host, state: str) -> None:
    host.write("--replicas", "3")
    host.roll()
    host.write("--replicas", "2")
    host.steps()
    (host.docker / "redis-ha-redis-2" / "state").write_text(f"{state}\n")
    done = host.roll()
    assert done.returncode == 1
    assert "redis-4 stays: it may hold what redis-ha-redis-2, not healthy, doesn't" in done.stderr
    assert host.steps() == []
    assert "redis-4" in host.nodes()


def test_who_is_well_a_moment_later_is_waited_for(host: Host) -> None:
    host.write("--replicas", "3")
    host.roll()
    host.write("--replicas", "2")
    (host.docker / "redis-ha-redis-2" / "state").write_text("true starting\n")
    # The time that passes makes it well.
    text = '#!/bin/sh\necho "true healthy" >"$FAKE_DOCKER/redis-ha-redis-2/state"\n'
    (host.bin / "sleep").write_text(text)
    assert host.roll().returncode == 0
    assert "redis-4" not in host.nodes()


def test_without_an_answer_from_docker_nobody_counts_as_gone(host: Host) -> None:
    host.write("--replicas", "3")
    host.roll()
    host.write("--replicas", "2")
    host.note("deaf")
    assert host.roll().returncode == 1
    assert "redis-4" in host.nodes()


def test_the_majority_is_of_those_who_may_run(
    host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    assert host.write("--sentinels", "9", "--quorum", "5") == 0
    assert host.roll().returncode == 0
    assert host.write("--sentinels", "5", "--quorum", "3") == 0
    capsys.readouterr()
    assert host.write("--sentinels", "3", "--quorum", "2") == 7
    refused = capsys.readouterr().err
    assert "those that stay count 9" in refused
    assert "sh roll.sh" in refused
    assert "redis-ha scale" not in refused
    assert host.roll().returncode == 0
    assert host.write("--sentinels", "3", "--quorum", "2") == 0


def test_it_and_a_run_keep_each_other_out(host: Host) -> None:
    host.write()
    with (host.folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = host.roll()
    assert (done.returncode, "another run is at work" in done.stderr) == (1, True)


def test_what_json_says_of_a_change(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    host.write("--replicas", "3", "--json")
    first = json.loads(capsys.readouterr().out)
    host.write("--replicas", "2", "--json")
    then = json.loads(capsys.readouterr().out)
    assert (first["next"], first["leave"]) == ("up", [])
    assert (then["next"], then["leave"]) == ("roll.sh", ["redis-4"])


def test_a_new_authority_is_brought_to_all_together(
    host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    host.write()
    capsys.readouterr()
    file = host.folder / "secrets.json"
    due = make_authority(Certificates(ca_validity_hours=700), now=datetime.now(UTC))
    file.write_text(json.dumps(json.loads(file.read_text()) | {"authority": asdict(due)}))
    assert host.write() == 0
    said = capsys.readouterr().out
    assert said.index(" down\n") < said.index("up -d")
    assert "sh roll.sh" not in said


def test_the_script_can_be_read(host: Host) -> None:
    host.write("--replicas", "3")
    host.write("--replicas", "2")
    script = host.folder / "roll.sh"
    found = subprocess.run(["sh", "-n", str(script)], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr


def member(name: str, role: str) -> Member:
    return Member(name, role, f"x-{name}", 30)


def test_the_highest_number_leaves_first_and_sentinels_last() -> None:
    named = [("redis-9", "data"), ("redis-10", "data"), ("sentinel-4", "sentinel")]
    known = [member(*each) for each in (*named, ("prometheus", "monitoring"))]
    names = [each.name for each in leaving(known, [])]
    assert names == ["prometheus", "redis-10", "redis-9", "sentinel-4"]
    assert leaving(known, known) == ()
    assert [m.name for m in may_run(known, {"redis-9", "else"})] == ["redis-9"]
    assert farewell(known[0]) == "docker stop -t 30 x-redis-9 && docker rm x-redis-9"
