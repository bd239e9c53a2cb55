"""The guide's scripts where there is no cluster: what they say, and their exit codes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[3] / "scripts" / "redis"
COMMANDS = {
    "redis-ha-setup.sh": ("setup", "stop", "restart", "status", "scale", "backup", "restore",
                          "failover"),
    "redis-ha-check.sh": ("check", "monitor", "failover-test"),
}  # fmt: skip


def run(tmp_path: Path, script: str, *args: str) -> subprocess.CompletedProcess[str]:
    """Run a copy of a script, which stands in a checkout without a cluster."""
    place = tmp_path / "scripts" / "redis"
    place.mkdir(parents=True, exist_ok=True)
    for name in (script, "environment.sh"):
        (place / name).write_text((SCRIPTS / name).read_text())
    clean = {k: v for k, v in os.environ.items() if not k.startswith("REDIS_")}
    return subprocess.run(
        ["sh", str(place / script), *args],
        env=clean,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize("script", COMMANDS)
def test_help_names_every_command(tmp_path: Path, script: str) -> None:
    shown = run(tmp_path, script, "--help")
    assert shown.returncode == 0
    first_words = [line.split()[0] for line in shown.stdout.splitlines() if line.startswith("  ")]
    assert tuple(first_words) == COMMANDS[script]


EVERY = [(script, command) for script, commands in COMMANDS.items() for command in commands]
NEVER_CALLED = ("docker", "make", "redis-ha", "backup-worker")


@pytest.fixture
def called(tmp_path: Path) -> Path:
    """Put a cluster's settings there, and programs that only note that they were called."""
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    (tmp_path / ".redis-ha").mkdir()
    (tmp_path / ".redis-ha" / "env").write_text("export REDIS_SENTINEL_HOST_1=x\n")
    noted = tmp_path / "called"
    noted.touch()
    for name in NEVER_CALLED:
        (programs / name).write_text(f'#!/bin/sh\necho {name} "$@" >>{noted}\n')
        (programs / name).chmod(0o755)
    return noted


@pytest.mark.parametrize("words", [("--help",), ("-h",), ("latest", "--help")])
@pytest.mark.parametrize(("script", "command"), EVERY)
def test_help_of_a_command_does_nothing(
    tmp_path: Path, called: Path, script: str, command: str, words: tuple[str, ...]
) -> None:
    shown = run(tmp_path, script, command, *words)
    assert (shown.returncode, called.read_text()) == (0, "")
    assert shown.stdout.startswith("Usage")


@pytest.mark.parametrize(
    "words",
    [
        ("stop", "now"),
        ("stop", "redis-1"),
        ("restart", "redis-1"),
        ("restart", "--force"),
        ("scale", "3", "4"),
        ("backup", "a.rdb", "b.rdb"),
        ("backup", "--output"),
        ("setup", "replicas"),
        ("setup", "--stack=dev"),
    ],
)
def test_words_that_mean_nothing_are_refused_before_anything_is_done(
    tmp_path: Path, called: Path, words: tuple[str, ...]
) -> None:
    shown = run(tmp_path, "redis-ha-setup.sh", *words)
    assert (shown.returncode, called.read_text()) == (2, "")
    assert words[-1] in shown.stderr


def test_status_refuses_what_redis_ha_refuses(tmp_path: Path, called: Path) -> None:
    program = called.parent / ".venv" / "bin" / "redis-ha"
    source = SCRIPTS.parents[1]
    program.write_text(f'#!/bin/sh\nPYTHONPATH={source} exec {sys.executable} -m redis_ha "$@"\n')
    shown = run(tmp_path, "redis-ha-setup.sh", "status", "now")
    assert shown.returncode == 2
    assert "now" in shown.stderr


@pytest.mark.parametrize("path", ["/missing/dump.rdb", "dump.rdb", "backups/dump"])
def test_a_file_to_restore_that_is_not_there_is_said(
    tmp_path: Path, called: Path, path: str
) -> None:
    shown = run(tmp_path, "redis-ha-setup.sh", "restore", path, "--yes")
    assert (shown.returncode, called.read_text()) == (2, "")
    assert f"there is no file {path}" in shown.stderr


def test_files_snapshots_and_options_are_restored(tmp_path: Path, called: Path) -> None:
    (tmp_path / "dump.rdb").touch()
    for words in (
        ("dump.rdb", "--yes"),
        ("latest",),
        ("--resume",),
        ("20261124T083000Z-1a2b3c4d",),
    ):
        assert run(tmp_path, "redis-ha-setup.sh", "restore", *words).returncode == 0
    assert called.read_text().splitlines() == [
        "backup-worker restore --from dump.rdb --yes",
        "backup-worker restore latest",
        "backup-worker restore --resume",
        "backup-worker restore 20261124T083000Z-1a2b3c4d",
    ]


def test_settings_and_replicas_reach_make(tmp_path: Path, called: Path) -> None:
    assert run(tmp_path, "redis-ha-setup.sh", "setup", "replicas=3", "a=b").returncode == 0
    assert run(tmp_path, "redis-ha-setup.sh", "scale", "3").returncode == 0
    lines = called.read_text().splitlines()
    assert [line.rpartition(" up ")[2] for line in lines] == [
        "SET=replicas=3 a=b",
        "SET=replicas=3",
    ]


@pytest.mark.parametrize("script", COMMANDS)
def test_without_a_command_the_usage_is_shown(tmp_path: Path, script: str) -> None:
    shown = run(tmp_path, script)
    assert (shown.returncode, shown.stdout) == (2, "")
    assert "Usage" in shown.stderr


@pytest.mark.parametrize("script", COMMANDS)
def test_an_unknown_command_is_named(tmp_path: Path, script: str) -> None:
    shown = run(tmp_path, script, "explode")
    assert shown.returncode == 2
    assert "explode" in shown.stderr


@pytest.mark.parametrize("count", ["", "two", "-1", "1.5"])
def test_scale_wants_a_number(tmp_path: Path, count: str) -> None:
    shown = run(tmp_path, "redis-ha-setup.sh", "scale", count)
    assert shown.returncode == 2
    assert "how many" in shown.stderr


def test_restore_wants_to_know_what(tmp_path: Path) -> None:
    assert run(tmp_path, "redis-ha-setup.sh", "restore").returncode == 2


RUNNING = ("it-backup-worker", "it-redis-1", "it-redis-2", "it-sentinel-1")
DOCKER = r"""#!/bin/sh
case $1 in
    ps) case "$*" in *status=running*) cat running ;; *) cat exited ;; esac ;;
    start) cat exited >>running; : >exited ;;
    inspect) echo healthy ;;
    restart) [ -n "$4" ] && echo "$4" >>restarted ;;
esac
"""


def restart(
    tmp_path: Path, *, running: tuple[str, ...], exited: tuple[str, ...], masters: tuple[str, ...]
) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """Restart a cluster of pretended containers; give what was said and what was restarted."""
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    (tmp_path / ".redis-ha").mkdir()
    (tmp_path / ".redis-ha" / "env").write_text(
        "export REDIS_SENTINEL_HOST_1=x REDIS_BACKUP_CONTAINER=it-backup-worker\n"
    )
    said = [f"node\t{name}\t10.0.0.1:1\tmaster\tup" for name in masters]
    status = "\n".join([*said, "node\tredis-9\t10.0.0.9:1\treplica\tup"])
    for name, text in (("docker", DOCKER), ("redis-ha", f"#!/bin/sh\ncat <<E\n{status}\nE\n")):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    for name, lines in (("running", running), ("exited", exited), ("restarted", ())):
        (tmp_path / name).write_text("".join(f"{line}\n" for line in lines))
    done = run(tmp_path, "redis-ha-setup.sh", "restart")
    return done, (tmp_path / "restarted").read_text().split()


def test_restart_starts_what_is_stopped_and_restarts_the_rest_the_master_last(
    tmp_path: Path,
) -> None:
    stopped = ("it-redis-3", "it-sentinel-2")
    done, restarted = restart(tmp_path, running=RUNNING, exited=stopped, masters=("redis-1",))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("started: it-redis-3 it-sentinel-2")
    assert restarted == ["it-sentinel-1", "it-redis-2", "it-redis-1", "it-backup-worker"]


def test_restart_of_what_is_stopped_is_a_start(tmp_path: Path) -> None:
    done, restarted = restart(tmp_path, running=(), exited=RUNNING, masters=())
    assert (done.returncode, restarted) == (0, [])
    assert "started: it-backup-worker it-redis-1" in done.stdout


@pytest.mark.parametrize(
    ("masters", "why"),
    [
        ((), "0 nodes are master"),
        (("redis-1", "redis-2"), "2 nodes are master"),
        (("10.0.0.1:1",), "no container it-10.0.0.1:1 of the master runs"),
    ],
)
def test_restart_without_one_master_touches_nothing(
    tmp_path: Path, masters: tuple[str, ...], why: str
) -> None:
    done, restarted = restart(tmp_path, running=RUNNING, exited=(), masters=masters)
    assert (done.returncode, restarted) == (1, [])
    assert why in done.stderr
    assert "redis-ha doctor" in done.stderr


@pytest.mark.parametrize("command", ["stop", "restart"])
def test_without_a_cluster_nothing_is_touched(tmp_path: Path, command: str) -> None:
    shown = run(tmp_path, "redis-ha-setup.sh", command)
    assert shown.returncode == 3
    assert "there is no cluster yet" in shown.stderr
