"""Becoming root, and the words of a command that fails."""

import sys

import pytest

from toolchain import apt
from toolchain.errors import Refused, ToolchainError
from toolchain.host import Host, Task, as_root, output_of, perform

ROOT = Host(system="Linux", machine="x86_64", root=True, sudo=False, apt=True, systemd=False)
SUDO = Host(system="Linux", machine="x86_64", root=False, sudo=True, apt=True, systemd=False)
NOBODY = Host(system="Linux", machine="x86_64", root=False, sudo=False, apt=True, systemd=False)
FEDORA = Host(system="Linux", machine="x86_64", root=True, sudo=False, apt=False, systemd=True)


def test_root_runs_it_and_a_user_asks_sudo_which_keeps_the_proxies() -> None:
    assert as_root(ROOT, ["dockerd"], operation="start", subject="dockerd") == ["dockerd"]
    command = as_root(SUDO, ["dockerd"], operation="start", subject="dockerd")
    assert command[0] == "sudo"
    assert "http_proxy" in command[1]
    assert command[-1] == "dockerd"


def test_without_root_and_sudo_the_sentence_names_the_command_for_root() -> None:
    with pytest.raises(Refused, match=r"cannot start dockerd: that needs root.*: dockerd -D"):
        as_root(NOBODY, ["dockerd", "-D"], operation="start", subject="dockerd")


def test_without_apt_the_package_is_the_reader_s_to_install() -> None:
    with pytest.raises(Refused, match=r"docker\.io: this is not a Debian-like machine"):
        apt.install_command(FEDORA, ["docker.io"])


def test_without_root_nothing_is_installed() -> None:
    with pytest.raises(Refused, match=r"cannot install docker\.io: that needs root"):
        apt.install_command(NOBODY, ["docker.io"])


def test_a_failed_command_shows_its_last_lines_and_the_way_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    task = Task(operation="build", subject="a thing", hint="look at the weather")
    script = "print('cloudy'); raise SystemExit(3)"
    with pytest.raises(ToolchainError, match=r"cannot build a thing: .*3.*; look at the weather"):
        perform(task, [sys.executable, "-c", script])
    assert "cloudy" in capsys.readouterr().err


def test_a_command_that_hangs_is_ended() -> None:
    task = Task(operation="wait for", subject="it", hint="give up", timeout=0.2)
    with pytest.raises(ToolchainError, match="no end after 0 s"):
        perform(task, [sys.executable, "-c", "import time; time.sleep(30)"])


def test_a_probe_that_cannot_run_answers_nothing() -> None:
    assert output_of(["no-such-command-here"]) is None
    assert output_of([sys.executable, "-c", "raise SystemExit(1)"]) is None
    assert output_of([sys.executable, "-c", "print(' yes ')"]) == "yes"
