"""The guide's scripts where there is no cluster: what they say, and their exit codes."""

import os
import subprocess
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
