"""The environment handed to processes and shells, and what the stack hands out."""

import os
import subprocess
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from toolchain.environment import Environment, for_tools, render, save
from toolchain.layout import Layout, locate
from toolchain.pulumi_command import Cli
from toolchain.stack import hand_out

WORDS = st.text(st.characters(exclude_characters="\0\n\r", exclude_categories=["Cs"]), max_size=20)


def sourced(text: str, name: str) -> str:
    script = f'{text}\nprintf %s "${name}"'
    done = subprocess.run(
        ["/bin/sh", "-c", script], env={"PATH": "/usr/bin"}, capture_output=True, check=True
    )
    return done.stdout.decode()


@given(value=WORDS)
def test_a_shell_gets_every_value_as_it_is(value: str) -> None:
    assert sourced(render(Environment((), {"VALUE": value})), "VALUE") == value


def test_our_folders_come_first_and_the_path_stays() -> None:
    environment = Environment(("/a b", "/c"), {})
    assert sourced(render(environment), "PATH") == "/a b:/c:/usr/bin"
    assert environment.over({"PATH": "/usr/bin"})["PATH"] == "/a b:/c:/usr/bin"


def test_plugins_are_not_fetched_where_stand_ins_serve(tmp_path: Path) -> None:
    where, name = Layout(tmp_path, tmp_path), "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"
    cli = Cli(tmp_path, official=False)
    assert name in for_tools(where, cli, stand_ins=True).variables
    assert name not in for_tools(where, cli, stand_ins=False).variables


def test_the_cache_follows_the_xdg_variable() -> None:
    home = Path("/home/me")
    assert locate({}, home=home).cache == Path("/home/me/.cache/redis-ha")
    assert locate({"XDG_CACHE_HOME": "/c"}, home=home).cache == Path("/c/redis-ha")


def test_a_new_stack_s_key_joins_the_old_ones_and_secrets_are_private(tmp_path: Path) -> None:
    where = Layout(tmp_path, tmp_path / "cache")
    where.state.mkdir()
    outputs = {"env": {"REDIS_PASSWORD": "p'w"}, "ca": "PEM", "backupSigner": "one"}
    hand_out(where, Environment((), {}), outputs | {"backupIdentity": "AGE-SECRET-KEY-1OLD"})
    for _ in range(2):
        new = outputs | {"backupIdentity": "AGE-SECRET-KEY-1NEW\n", "backupSigner": "two"}
        complete = hand_out(where, Environment((), {}), new)

    identities = (where.state / "identity.txt").read_text()
    assert identities == "AGE-SECRET-KEY-1OLD\nAGE-SECRET-KEY-1NEW\n"
    assert complete.variables["REDIS_BACKUP_TRUSTED_SIGNERS"] == "one,two"
    assert complete.variables["REDISCLI_AUTH"] == "p'w"
    assert complete.variables["REDIS_TLS_CA"] == str(where.state / "ca.crt")
    for name in ("env", "identity.txt", "signers.txt", "ca.crt"):
        assert (where.state / name).stat().st_mode & 0o777 == 0o600


def test_saving_what_is_already_there_touches_nothing(tmp_path: Path) -> None:
    where = Layout(tmp_path, tmp_path / "cache")
    save(where, Environment((), {"A": "1"}))
    file = where.state / "env"
    os.utime(file, (1, 1))
    save(where, Environment((), {"A": "1"}))
    assert file.stat().st_mtime == 1
