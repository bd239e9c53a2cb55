"""Where the Pulumi CLI comes from."""

from pathlib import Path

import pytest

from toolchain import download_site, golang, pulumi_command, versions
from toolchain.errors import Refused
from toolchain.layout import CHECKOUT
from toolchain.pulumi_command import Cached, Found, Source, decide

NO_CACHE = Cached(official=False, built=False)
REQUIREMENTS = (CHECKOUT / "requirements.txt").read_text()


def never() -> bool:
    raise AssertionError("the download site was asked without need")


def on_path(version: versions.Version | None, *, has_host: bool = True) -> Found:
    return Found(Path("/usr/bin"), version, has_host)


def test_a_fitting_pulumi_with_its_language_host_is_used_without_asking_anyone() -> None:
    assert decide(on_path((3, 260, 1)), NO_CACHE, never) is Source.ON_PATH


@pytest.mark.parametrize(
    "found",
    [
        None,
        on_path((3, 258, 9)),
        on_path((4, 0, 0)),
        on_path(None),
        on_path((3, 259, 0), has_host=False),
    ],
)
def test_any_other_pulumi_is_passed_over(found: Found | None) -> None:
    assert decide(found, Cached(official=True, built=True), never) is Source.OFFICIAL
    assert decide(found, Cached(official=False, built=True), never) is Source.BUILT


def test_with_an_empty_cache_the_site_decides_between_download_and_build() -> None:
    assert decide(None, NO_CACHE, lambda: True) is Source.DOWNLOAD
    assert decide(None, NO_CACHE, lambda: False) is Source.BUILD


def test_go_is_taken_from_the_machine_or_its_packages_when_new_enough() -> None:
    assert golang.decide((1, 26, 8), packaged=None, subject="pulumi") is None
    assert golang.decide(None, packaged=(1, 24, 0), subject="pulumi") == "golang-go"
    assert golang.decide((1, 19, 8), packaged=(1, 24, 0), subject="pulumi") == "golang-go"


@pytest.mark.parametrize("version", [None, (1, 19, 8)])
def test_without_a_go_that_is_new_enough_one_sentence_says_what_to_install(
    version: versions.Version | None,
) -> None:
    with pytest.raises(Refused, match=r"cannot build pulumi: .* no Go from 1\.21 .* install Go"):
        golang.decide(version, packaged=version, subject="pulumi")


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("v3.259.0", (3, 259, 0)),
        ("go version go1.24 linux/amd64", (1, 24, 0)),
        ("2:1.24~2", (1, 24, 0)),
        ("3.259.0-dev.0", (3, 259, 0)),
        ("", None),
    ],
)
def test_versions_are_read_from_what_tools_print(
    text: str, version: versions.Version | None
) -> None:
    assert versions.parse(text) == version


def test_the_go_modules_build_the_version_that_requirements_pin() -> None:
    pinned = versions.pinned(REQUIREMENTS, "pulumi")
    modules = (pulumi_command.MODULES / "go.mod").read_text()
    assert f"github.com/pulumi/pulumi/pkg/v3 v{pinned}" in modules
    assert f"github.com/pulumi/pulumi/sdk/v3 v{pinned}" in modules
    assert pulumi_command.fits(versions.parse(pinned))


def test_an_unpinned_package_is_a_mistake_that_is_named() -> None:
    with pytest.raises(ValueError, match="pulumi-gcp"):
        versions.pinned(REQUIREMENTS, "pulumi-gcp")


@pytest.mark.parametrize(
    ("system", "machine", "name"),
    [
        ("Linux", "x86_64", "pulumi-v3.259.0-linux-x64.tar.gz"),
        ("Linux", "aarch64", "pulumi-v3.259.0-linux-arm64.tar.gz"),
        ("Darwin", "arm64", "pulumi-v3.259.0-darwin-arm64.tar.gz"),
        ("Linux", "riscv64", None),
        ("FreeBSD", "x86_64", None),
    ],
)
def test_the_archive_is_named_as_pulumi_publishes_it(
    system: str, machine: str, name: str | None
) -> None:
    assert download_site.archive_name("3.259.0", system=system, machine=machine) == name


def test_a_release_s_digest_is_found_by_the_whole_name() -> None:
    listing = "aa  pulumi-v3.259.0-linux-x64.tar.gz\nbb *pulumi-v3.259.0-linux-arm64.tar.gz\n"
    assert download_site.published_digest(listing, "pulumi-v3.259.0-linux-arm64.tar.gz") == "bb"
    assert download_site.published_digest(listing, "linux-x64.tar.gz") is None
    assert download_site.published_digest("<html>not found</html>", "a") is None
