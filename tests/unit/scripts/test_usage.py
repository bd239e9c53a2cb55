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


@pytest.mark.parametrize("command", ["stop", "restart"])
def test_without_a_cluster_nothing_is_touched(tmp_path: Path, command: str) -> None:
    shown = run(tmp_path, "redis-ha-setup.sh", command)
    assert shown.returncode == 3
    assert "there is no cluster yet" in shown.stderr
