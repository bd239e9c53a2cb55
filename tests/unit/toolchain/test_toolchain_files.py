"""Files and folders that are whole or absent."""

from pathlib import Path

import pytest

from toolchain.files import append_missing, folder_in_the_making, write_atomically
from toolchain.python_env import fingerprint
from toolchain.test_tools import PACKAGES, missing_packages


def test_a_folder_appears_only_when_it_is_complete(tmp_path: Path) -> None:
    final = tmp_path / "cache" / "pulumi"
    with folder_in_the_making(final) as making:
        (making / "pulumi").write_text("new")
        assert not final.exists()
    assert (final / "pulumi").read_text() == "new"
    assert [p.name for p in final.parent.iterdir()] == ["pulumi"]


def test_a_failure_leaves_what_was_there_and_no_rubbish(tmp_path: Path) -> None:
    final = tmp_path / "cache" / "pulumi"
    with folder_in_the_making(final) as making:
        (making / "pulumi").write_text("old")
    with pytest.raises(OSError, match="disk"), folder_in_the_making(final):
        raise OSError("disk full")
    assert (final / "pulumi").read_text() == "old"
    assert [p.name for p in final.parent.iterdir()] == ["pulumi"]


def test_a_file_is_rewritten_only_when_it_says_something_else(tmp_path: Path) -> None:
    file = tmp_path / "a" / "file"
    assert write_atomically(file, "one", mode=0o755)
    assert not write_atomically(file, "one", mode=0o755)
    assert write_atomically(file, "two", mode=0o600)
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_line_is_added_once_even_after_an_unfinished_one(tmp_path: Path) -> None:
    file = tmp_path / "identity.txt"
    file.write_text("by hand")
    assert append_missing(file, "new")
    assert not append_missing(file, "new")
    assert file.read_text() == "by hand\nnew\n"


def test_the_environment_s_fingerprint_depends_on_every_file_and_the_place() -> None:
    base = fingerprint([b"a", b"b"], checkout=Path("/one"))
    assert base == fingerprint([b"a", b"b"], checkout=Path("/one"))
    assert base != fingerprint([b"ab", b""], checkout=Path("/one"))
    assert base != fingerprint([b"a", b"b"], checkout=Path("/two"))


def test_only_the_packages_of_missing_commands_are_installed_each_once() -> None:
    assert missing_packages(lambda _: True, PACKAGES) == []
    assert missing_packages(lambda c: not c.startswith("redis-c"), PACKAGES) == ["redis-tools"]
