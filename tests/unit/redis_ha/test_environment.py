"""The env file: what a value in it may look like, and what is refused instead of misread."""

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_ha import environment
from redis_ha.cli.env import env_lines, write_private
from redis_ha.environment import parse_env_file
from redis_ha.errors import BadSetting

NAMES = st.from_regex(r"REDIS_[A-Z]{1,8}", fullmatch=True)
# A line break can't be in a setting; what Python alone takes for one can.
VALUES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\n"))


@given(st.dictionaries(NAMES, VALUES), st.booleans())
def test_written_settings_are_read_back(settings: dict[str, str], export: bool) -> None:
    text = env_lines(settings, export=export)
    assert parse_env_file(text, name="x") == settings


@pytest.mark.parametrize("secret", ["it's", "'", '"', "''", "'\"", "a\rb", "ümlaut", " a # b "])
def test_a_written_file_keeps_its_secret_for_us_and_for_a_shell(
    tmp_path: Path, secret: str
) -> None:
    file = tmp_path / ".env.redis-ha"
    write_private(file, env_lines({"SECRET": secret}, export=False))
    assert environment.merged({}, file=file) == {"SECRET": secret}
    shown = subprocess.run(
        ["sh", "-c", '. ./.env.redis-ha; printf %s "$SECRET"'],
        cwd=tmp_path, env=os.environ, capture_output=True, check=True,
    )  # fmt: skip
    assert shown.stdout.decode() == secret


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("K=value # a comment", "value"),
        ("K=value # it's a comment", "value"),
        ("K='va lue' # it's a comment", "va lue"),
        ("K='a # b'", "a # b"),
        # As .env.redis-ha.example has it.
        ("""K='it'"'"'s # 1'""", "it's # 1"),
        ("""K="it's # 1\"""", "it's # 1"),
        ("K= # nothing", ""),
        ("K=", ""),
        ("K=''", ""),
        ("K=pa#ss", "pa#ss"),
        ("K=#pass", "#pass"),
        ("K=two words", "two words"),
        (r"K=back\slash", r"back\slash"),
        ("K=$HOME", "$HOME"),
        ("K='$HOME'", "$HOME"),
        ('K="$HOME"', "$HOME"),
        (r'K="a \"word\", \$1 and \\"', r'a "word", $1 and \ '.rstrip()),
        (r'K="C:\dir"', r"C:\dir"),
        ("K = value", "value"),
        ("export K='value'\r", "value"),
        ("K=a=b", "a=b"),
    ],
)
def test_a_value_is_what_stands_there_or_what_a_shell_makes_of_its_quotes(
    line: str, value: str
) -> None:
    assert parse_env_file(line, name="f") == {"K": value}


@pytest.mark.parametrize(
    "line",
    ["K='value", 'K="value', "K=value'", "K=it's", "K='a'b'", "K='a'b", "K='a' b", "K='a # b"],
)
def test_quotes_that_do_not_match_are_refused(line: str) -> None:
    with pytest.raises(BadSetting, match="f, line 2: its quotes don't match") as caught:
        parse_env_file(f"OTHER=1\n{line}\n", name="f")
    assert "value'" not in str(caught.value), "it may be a secret"


@pytest.mark.parametrize("line", ["=x", "a-b=x", "1a=x", "a b=x", "ä=x", "word"])
def test_what_is_no_setting_is_refused(line: str) -> None:
    with pytest.raises(BadSetting, match="f, line 1: not KEY=VALUE"):
        parse_env_file(line, name="f")


def test_a_byte_order_mark_takes_no_line_away(tmp_path: Path) -> None:
    file = tmp_path / ".env.redis-ha"
    file.write_bytes(b"\xef\xbb\xbfREDIS_USERNAME=app\r\nREDIS_PASSWORD=x\r\n")
    found = environment.merged({}, file=file)
    assert found == {"REDIS_USERNAME": "app", "REDIS_PASSWORD": "x"}
