"""Which resource plugins a checkout has."""

from pathlib import Path

from toolchain.plugins_home import STAND_IN_MARK, Plugin, decide, look, stand_in


def never() -> bool:
    raise AssertionError("the download site was asked without need")


def test_plugins_that_are_there_stay_and_nobody_is_asked() -> None:
    present = {"docker": Plugin.STAND_IN, "tls": Plugin.OFFICIAL}
    assert decide(present, never) == present


def test_missing_ones_are_official_where_they_can_be_had_else_ours() -> None:
    present = {"docker": Plugin.STAND_IN, "tls": Plugin.MISSING}
    assert decide(present, lambda: True)["tls"] is Plugin.OFFICIAL
    assert decide(present, lambda: False)["tls"] is Plugin.STAND_IN
    assert decide(present, lambda: True)["docker"] is Plugin.STAND_IN


def test_what_pulumi_fetches_by_itself_is_only_stood_in_for() -> None:
    there = {"docker": Plugin.OFFICIAL, "aws": Plugin.MISSING}
    assert decide(there, never)["aws"] is Plugin.MISSING
    stood_in_for = {"docker": Plugin.STAND_IN, "aws": Plugin.MISSING}
    assert decide(stood_in_for, never)["aws"] is Plugin.STAND_IN
    nothing = {"docker": Plugin.MISSING, "aws": Plugin.MISSING}
    assert decide(nothing, lambda: True)["aws"] is Plugin.MISSING
    assert decide(nothing, lambda: False)["aws"] is Plugin.STAND_IN


def test_a_stand_in_is_known_by_its_mark_and_an_official_plugin_by_its_lack(tmp_path: Path) -> None:
    script, binary = tmp_path / "script", tmp_path / "binary"
    script.write_text(stand_in("docker", checkout=tmp_path, python=tmp_path / "python"))
    binary.write_bytes(b"\x7fELF" + bytes(100))
    assert look(script) is Plugin.STAND_IN
    assert look(binary) is Plugin.OFFICIAL
    assert look(tmp_path / "none") is Plugin.MISSING


def test_the_script_runs_this_checkout_s_code_in_its_own_environment() -> None:
    text = stand_in("tls", checkout=Path("/a b"), python=Path("/a b/.venv/bin/python"))
    assert text.startswith(f"#!/bin/sh\n{STAND_IN_MARK}\n")
    assert "export PYTHONPATH='/a b'" in text
    assert "exec '/a b/.venv/bin/python' -m toolchain.plugins.tls \"$@\"" in text
