"""The command line: exit codes, one clear line for each failure, and forwarding."""

import io
import json
import logging
import subprocess
from pathlib import Path
from typing import Any

import click
import pytest

from age import parse_identity_file
from backup_worker import errors, remote
from backup_worker.cli import output, run
from backup_worker.cli.main import COMMANDS, execute, report
from backup_worker.cli.signals import Terminated
from backup_worker.config import parse
from backup_worker.restore import journal
from redis_ha import eventlog
from redis_ha.errors import Unreachable

FIELDS: dict[str, Any] = {"operation": "do", "subject": "it", "cause": "why", "hint": "remedy"}


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.BackupError(**FIELDS), 1),
        (errors.UsageError(**FIELDS), 2),
        (errors.SnapshotNotFound(**FIELDS), 3),
        (errors.ObjectNotFound(**FIELDS), 3),
        (errors.SnapshotCorrupt(**FIELDS), 4),
        (errors.WrongKey(**FIELDS), 4),
        (errors.StoreUnreachable(**FIELDS), 5),
        (errors.StoreFull(**FIELDS), 1),
        (errors.ClusterUnreachable(**FIELDS), 6),
        (errors.ProtocolError(**FIELDS), 6),
        (Unreachable(**FIELDS), 6),
        (errors.RefusedForSafety(**FIELDS), 7),
    ],
)
def test_a_failure_is_one_line_with_object_cause_and_remedy(
    error: Exception, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report(error, debug=False) == code
    assert capsys.readouterr().err == "backup-worker: do it: why; remedy\n"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (KeyboardInterrupt(), 130),
        (click.Abort(), 130),
        (Terminated(), 143),
        (click.UsageError("x"), 2),
        (SystemExit(1), 1),
    ],
)
def test_ends_that_are_no_failures_of_ours(error: BaseException, code: int) -> None:
    assert report(error, debug=False) == code


def test_an_unreadable_restore_journal_keeps_no_worker_from_its_work(tmp_path: Path) -> None:
    (tmp_path / journal.FILE_NAME).write_text('{"format": 2}')
    stream = io.StringIO()
    eventlog.configure("worker-1", component="worker", stream=stream)
    run.warn_of_open_restore(tmp_path)
    logging.getLogger(eventlog.__name__).handlers = []
    told = json.loads(stream.getvalue())
    assert (told["event"], told["level"]) == ("restore-interrupted", "error")
    assert journal.FILE_NAME in told["error"]


def test_an_unexpected_failure_is_one_line_and_a_hint(capsys: pytest.CaptureFixture[str]) -> None:
    assert report(ZeroDivisionError("division by zero"), debug=False) == 1
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "unexpected ZeroDivisionError: division by zero" in told
    assert "backup-worker --debug" in told


def test_debug_shows_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    report(ZeroDivisionError("division by zero"), debug=True)
    assert "ZeroDivisionError: division by zero" in capsys.readouterr().err.splitlines()[0]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute([command, "--help"]) == 0
    text = capsys.readouterr().out
    assert "Example" in text
    assert f"backup-worker {command}" in text


@pytest.mark.parametrize("words", [["nonsense"], ["list", "--nonsense"], ["show"]])
def test_a_wrong_command_line_is_usage(words: list[str]) -> None:
    assert execute(words) == 2


def test_keygen_makes_a_file_that_stock_age_understands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "key.txt"
    assert execute(["keygen", "-o", str(path)]) == 0
    recipient = capsys.readouterr().out.strip()
    assert path.stat().st_mode & 0o777 == 0o600
    (identity,) = parse_identity_file(path.read_text())
    assert identity.to_public().encode() == recipient
    stock = subprocess.run(
        ["age-keygen", "-y", str(path)], capture_output=True, text=True, check=True
    )
    assert stock.stdout.strip() == recipient


def test_keygen_overwrites_nothing(tmp_path: Path) -> None:
    path = tmp_path / "key.txt"
    path.write_text("precious")
    assert execute(["keygen", "-o", str(path)]) == 7
    assert path.read_text() == "precious"


def test_keygen_says_where_it_cannot_write(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(["keygen", "-o", str(tmp_path / "missing" / "key.txt")]) == 1
    assert "No such file or directory" in capsys.readouterr().err


def test_no_recipient_is_refused_before_anything_is_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in {
        "REDIS_SENTINEL_HOST_1": "127.0.0.1",
        "REDIS_SENTINEL_PORT_1": "1",
        "REDIS_TLS_CA": "ca.crt",
        "REDIS_BACKUP_USERNAME": "backup",
        "REDIS_BACKUP_PASSWORD": "x",
        "REDIS_BACKUP_STORE": f"file://{tmp_path}/store",
    }.items():
        monkeypatch.setenv(name, value)
    assert execute(["snapshot"]) == 2
    assert "REDIS_BACKUP_RECIPIENT" in capsys.readouterr().err
    assert not (tmp_path / "store").exists()


def test_a_table_in_a_pipe_is_tabs(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_table(("A", "B"), [("1", "2"), ("3", "4")])
    assert capsys.readouterr().out == "1\t2\n3\t4\n"


def test_json_in_a_pipe_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_json([{"a": 1}])
    assert json.loads(capsys.readouterr().out) == [{"a": 1}]


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (800_000_000, "762.9 MiB"),
        (1 << 50, "1024.0 TiB"),
    ],
)
def test_sizes_read_well(count: int, text: str) -> None:
    assert output.human_size(count) == text


def test_secrets_reach_the_container_by_name_only() -> None:
    command = remote.exec_command(
        "worker", ["list", "--json"], names=["REDIS_OPERATOR_PASSWORD"], terminal=False
    )
    assert command == [
        *("docker", "exec", "-i", "-e", "REDIS_OPERATOR_PASSWORD"),
        *("worker", "backup-worker", "list", "--json"),
    ]
    assert remote.exec_command("w", [], names=[], terminal=True)[2:4] == ["-i", "-t"]


def test_commands_are_forwarded_only_from_outside(tmp_path: Path) -> None:
    named, unnamed = parse({"REDIS_BACKUP_CONTAINER": "worker"}), parse({})
    inside = tmp_path / "worker.env"
    assert remote.is_elsewhere(named, inside=inside)
    assert not remote.is_elsewhere(unnamed, inside=inside)
    inside.touch()
    assert not remote.is_elsewhere(named, inside=inside)


def docker_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> Path:
    """Put a small `docker` on PATH; it notes its command line and the operator's password."""
    told = tmp_path / "told"
    docker = tmp_path / "docker"
    docker.write_text(
        f'#!/bin/sh\necho "$@" >> {told}\necho "$REDIS_OPERATOR_PASSWORD" >> {told}\n{body}\n'
    )
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("REDIS_BACKUP_CONTAINER", "worker-1")
    monkeypatch.setenv("REDIS_OPERATOR_USERNAME", "operator")
    monkeypatch.setenv("REDIS_OPERATOR_PASSWORD", "s3cret")
    monkeypatch.chdir(tmp_path)
    return told


def test_a_command_runs_in_the_container_and_its_exit_code_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = '[ "$1" = container ] && echo true && exit 0\nexit 5'
    told = docker_that(tmp_path, monkeypatch, body)
    assert execute(["list", "--json"]) == 5
    inspected, _, executed, password = told.read_text().splitlines()
    assert inspected.endswith("worker-1")
    assert executed == (
        "exec -i -e REDIS_OPERATOR_PASSWORD -e REDIS_OPERATOR_USERNAME"
        " worker-1 backup-worker list --json"
    )
    assert password == "s3cret"


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        ("echo false", "the container is stopped"),
        ("echo 'Error: No such container: worker-1' >&2; exit 1", "No such container"),
        ("echo 'Cannot connect to the Docker daemon' >&2; exit 1", "Docker daemon"),
    ],
)
def test_a_container_that_is_not_there_is_a_clear_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    body: str,
    cause: str,
) -> None:
    docker_that(tmp_path, monkeypatch, body)
    assert execute(["snapshot"]) == 6
    told = capsys.readouterr().err
    assert "container worker-1" in told
    assert cause in told


def test_without_docker_the_way_out_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    docker_that(tmp_path, monkeypatch, "")
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    assert execute(["list"]) == 2
    assert "no docker command" in capsys.readouterr().err
