"""What `redis-ha` makes of numbers, settings, programs and shells that aren't as they should be."""

import json
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from redis_ha import environment
from redis_ha.cli import rotate
from redis_ha.cli.cluster import say_which
from redis_ha.cli.main import COMMANDS, CommandTable, execute, report
from redis_ha.cli.seconds import Seconds
from redis_ha.errors import BadSetting, StackUnavailable, SwitchoverBusy
from redis_ha.stack import read_outputs
from redis_ha.upkeep.signing import sign, the_key

Said = pytest.CaptureFixture[str]


@pytest.mark.parametrize("number", ["nan", "inf", "-inf", "1e999"])
@pytest.mark.parametrize(
    "option",
    [
        ("monitor", "--interval"),
        ("monitor", "--duration"),
        ("dashboard", "--interval"),
        ("failover-test", "--duration"),
    ],
)
def test_what_is_no_number_of_seconds_is_refused(
    option: tuple[str, str], number: str, capsys: Said
) -> None:
    assert execute([*option, number]) == 2
    assert f"Invalid value for '{option[1]}'" in capsys.readouterr().err


def test_what_is_no_number_at_all_is_named_so(capsys: Said) -> None:
    assert execute(["monitor", "--interval", "abc"]) == 2
    assert "'abc' is not a valid number of seconds." in capsys.readouterr().err
    assert execute(["monitor", "--help"]) == 0
    assert "--interval SECONDS" in capsys.readouterr().out


def test_a_number_of_replicas_is_said_once(capsys: Said) -> None:
    assert execute(["scale", "3", "--replicas", "2"]) == 2
    said = capsys.readouterr()
    assert "Say once how many replicas" in said.err
    assert said.out == ""


def test_every_option_that_is_a_fraction_is_finite() -> None:
    table = CommandTable()
    kinds = (click.FloatRange, click.types.FloatParamType)
    for name in COMMANDS:
        command = table.get_command(click.Context(table), name)
        assert command is not None
        for option in command.params:
            assert isinstance(option.type, Seconds) or not isinstance(option.type, kinds), name


def test_an_error_ends_with_the_code_of_its_kind(capsys: Said) -> None:
    busy = SwitchoverBusy(operation="switch over", subject="m", cause="busy", hint="wait")
    assert report(busy, debug=False) == 7
    assert "busy" in capsys.readouterr().err


def test_an_env_file_of_other_bytes_is_named(tmp_path: Path) -> None:
    file = tmp_path / ".env.redis-ha"
    file.write_bytes(b"REDIS_PASSWORD=\xff\xfe\n")
    with pytest.raises(BadSetting, match="it is not UTF-8"):
        environment.merged({}, file=file)


def test_pulumi_that_prints_something_else_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "pulumi"
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    for printed in ("a warning", "[]", ""):
        program.write_text(f"#!/bin/sh\necho '{printed}'\n")
        program.chmod(0o755)
        with pytest.raises(StackUnavailable, match="printed no JSON object"):
            read_outputs("dev")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """A folder whose env file names the sentinel 10.0.0.1:1, in a shell that names another."""
    (tmp_path / ".env.redis-ha").write_text(
        "REDIS_SENTINEL_HOST_1=10.0.0.1\nREDIS_SENTINEL_PORT_1=1\n"
    )
    monkeypatch.chdir(tmp_path)

    def sourced(address: str) -> None:
        host, _, port = address.partition(":")
        monkeypatch.setenv("REDIS_SENTINEL_HOST_1", host)
        monkeypatch.setenv("REDIS_SENTINEL_PORT_1", port)

    return sourced


@pytest.mark.parametrize("address", ["10.0.0.1:2", "10.0.0.2:1"])
def test_a_shell_that_means_another_cluster_than_the_folder_is_told(
    here: Callable[[str], None], address: str, capsys: Said
) -> None:
    here(address)
    say_which(None)
    said = capsys.readouterr()
    assert said.out == ""
    assert f"the environment's cluster ({address}) is meant" in said.err
    assert "10.0.0.1:1" in said.err
    assert execute(["status"]) == 2, "it says whose, and then what lacks"
    assert capsys.readouterr().err.startswith("the environment's cluster")
    say_which("dev")
    assert capsys.readouterr().err == ""


def test_a_port_alone_makes_another_cluster_too(
    here: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    here("10.0.0.1:9")
    monkeypatch.delenv("REDIS_SENTINEL_HOST_1")
    say_which(None)
    assert "(10.0.0.1:9) is meant" in capsys.readouterr().err


@pytest.mark.parametrize("address", ["10.0.0.1:1", ""])
def test_one_that_means_the_same_or_none_is_not(
    here: Callable[[str], None], address: str, capsys: Said
) -> None:
    here(address)
    say_which(None)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("stdin", ["closed", "empty"])
def test_a_rotation_that_nobody_can_confirm_is_wrong_use(
    stdin: str, monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    if stdin == "closed":
        monkeypatch.setattr("sys.stdin", None)
    monkeypatch.setattr(rotate.stack_change, "setting_of", lambda *_, default: default)
    monkeypatch.setattr(rotate, "read_outputs", lambda _stack: {})
    assert execute(["rotate", "users"]) == 2
    assert "give --yes" in capsys.readouterr().err


REPORT = {"version": 1, "at": "2026-03-01T09:00:00+00:00", "passed": False}


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        (REPORT, ""),
        ({"version": 2, "at": "2026-03-01", "passed": True}, "no checklist report of version 1"),
        ({"nodes": []}, "no checklist report"),
        ({"version": 1, "at": 5, "passed": True}, "doesn't say when"),
        ({"version": 1, "at": "2026-03-01", "passed": "yes"}, "whether all passed"),
    ],
)
def test_a_signed_document_is_a_report_only_if_it_says_what_a_report_does(
    document: dict[str, object], problem: str, tmp_path: Path, capsys: Said
) -> None:
    path = tmp_path / "signed.json"
    path.write_text(json.dumps(sign(document, the_key(tmp_path / "key.pem"))))
    code, key = (1 if problem else 0), str(tmp_path / "key.pem")
    assert execute(["checklist", "--verify", str(path), "--key", key]) == code
    said = capsys.readouterr()
    assert problem in said.err
    assert "unexpected" not in said.err
    assert execute(["checklist", "--verify", str(path), "--key", key, "--json"]) == code
    found = json.loads(capsys.readouterr().out)
    assert found["trusted"] == (not problem)
    assert problem in found["problem"]
    assert found.get("passed") == (None if problem else False)


def test_a_report_of_somebody_else_is_not_trusted(tmp_path: Path, capsys: Said) -> None:
    path = tmp_path / "signed.json"
    path.write_text(json.dumps(sign(REPORT, the_key(tmp_path / "key.pem"))))
    key = str(tmp_path / "key.pem")
    command = ["checklist", "--verify", str(path), "--key", key, "--json"]
    assert execute([*command, "--signer", "somebody"]) == 1
    assert "not by somebody" in json.loads(capsys.readouterr().out)["problem"]
    assert execute(command) == 0
    signer = json.loads(capsys.readouterr().out)["signer"]
    assert execute([*command, "--signer", signer]) == 0
