"""The nodes' bundle: which packages, and a tar that depends on nothing but its content."""

import os
import subprocess
from pathlib import Path

import pytest

from toolchain import base_image, node_packages
from toolchain.errors import Refused, ToolchainError
from toolchain.layout import Layout

SIMULATED = """\
Reading package lists...
Inst libc6 (2.41-12 Debian:13.1/stable [amd64]) []
Inst redis-server (5:8.0.2-3 Debian:13.1/stable [amd64])
Inst ca-certificates (20250419 Debian:13.1/stable [all])
Conf libc6 (2.41-12 Debian:13.1/stable [amd64])
"""


def test_the_list_names_the_engine() -> None:
    root = base_image.SCRIPT.parents[1]
    text = "".join((root / path).read_text() for path in node_packages.PACKAGE_LISTS)
    wanted = node_packages.wanted_packages(text, "valkey-8")
    assert wanted[:2] == ["valkey-server", "valkey-tools"]
    assert {"python3-boto3", "prometheus-redis-exporter"} <= set(wanted)


def test_files_are_named_as_apt_names_them() -> None:
    assert node_packages.files_to_install(SIMULATED) == [
        "libc6_2.41-12_amd64.deb",
        "redis-server_5%3a8.0.2-3_amd64.deb",
        "ca-certificates_20250419_all.deb",
    ]


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    packed = []
    for number, folder in enumerate(("one", "two")):
        file = tmp_path / folder / "code/node/health.sh"
        file.parent.mkdir(parents=True)
        file.write_text("text")
        file.chmod(0o700 + 0o55 * number)
        os.utime(file, (number, number))
        packed.append(tmp_path / f"{folder}.tar")
        node_packages._pack(tmp_path / folder, packed[-1])
    assert packed[0].read_bytes() == packed[1].read_bytes()


def test_an_unknown_architecture_is_refused(tmp_path: Path) -> None:
    where = Layout(checkout=tmp_path, cache=tmp_path)
    with pytest.raises(Refused, match="amd64, arm64"):
        node_packages.make(where, engine="redis-8", architecture="i386", added=[])


def test_a_file_that_is_no_package_is_named(tmp_path: Path) -> None:
    (tmp_path / "agent.deb").write_text("no package")
    with pytest.raises(ToolchainError, match=r"agent\.deb"):
        node_packages._name_of(tmp_path / "agent.deb")


def package(folder: Path, name: str, architecture: str) -> Path:
    """Make a Debian package with nothing in it."""
    control = folder / name / "DEBIAN/control"
    control.parent.mkdir(parents=True)
    control.write_text(
        f"Package: {name}\nVersion: 1\nArchitecture: {architecture}\nMaintainer: nobody\n"
        "Description: a test's\n"
    )
    made = folder / f"{name}.deb"
    subprocess.run(["dpkg-deb", "--build", str(folder / name), str(made)], check=True)
    return made


def test_without_the_agent_it_says_what_is_lost_and_where_to_get_it(tmp_path: Path) -> None:
    where = Layout(checkout=tmp_path, cache=tmp_path)
    other = package(tmp_path, "other", "all")
    with pytest.raises(Refused, match=r"no shell.*pulumi up.*AWS's manual.*ADD=.*WITHOUT_AGENT"):
        node_packages.make(where, engine="redis-8", architecture="arm64", added=[other])


def test_a_package_for_another_machine_is_refused(tmp_path: Path) -> None:
    where = Layout(checkout=tmp_path, cache=tmp_path)
    agent = package(tmp_path, node_packages.AGENT, "amd64")
    with pytest.raises(Refused, match="ARCH=amd64"):
        node_packages.make(where, engine="redis-8", architecture="arm64", added=[agent])
    node_packages._check_added([agent], "amd64", without_agent=False)
