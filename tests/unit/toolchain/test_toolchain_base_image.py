"""The base image: which release, and from which mirror it is made."""

import pytest

from infra.config import BASE_IMAGES
from toolchain.base_image import Mirrors, mirrors_in, suite_of
from toolchain.errors import Refused


def test_the_release_is_the_one_that_the_program_builds_each_engine_on() -> None:
    for engine, image in BASE_IMAGES.items():
        assert f"debian:{suite_of(engine)}-slim" == image


def test_an_unknown_engine_is_named_with_those_that_there_are() -> None:
    with pytest.raises(Refused, match=r"'redis-9'.*redis-8, valkey-8, redis-7"):
        suite_of("redis-9")


def test_mirrors_are_read_from_one_line_and_deb822_sources() -> None:
    lines = """# deb http://old.example/debian buster main
deb [signed-by=/k.gpg arch=amd64] https://packages.example/cloud stable main
deb [arch=amd64] http://mirror.example/debian/ bookworm main
"""
    deb822 = """Types: deb
URIs: http://security.example/debian-security
Suites: bookworm-security
"""
    expected = Mirrors("http://mirror.example/debian", "http://security.example/debian-security")
    assert mirrors_in([lines, deb822]) == expected


def test_a_machine_without_debian_sources_leaves_the_choice_to_debootstrap() -> None:
    ubuntu = "deb http://archive.example/ubuntu noble main\n"
    assert mirrors_in([ubuntu, ""]) == Mirrors(None, None)
