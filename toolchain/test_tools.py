"""What the tests need on this machine besides Docker and Pulumi."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from toolchain import apt, console, golang, unpacked_php
from toolchain.files import exclusive, folder_in_the_making
from toolchain.host import Host, Task, as_root, perform

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from toolchain.layout import Layout

STEP = "test tools"
S3_SERVER = "github.com/versity/versitygw/cmd/versitygw"
S3_SERVER_VERSION = "1.8.0"
PACKAGES = {
    "redis-server": "redis-server",
    "redis-sentinel": "redis-sentinel",
    "redis-cli": "redis-tools",
    "redis-check-rdb": "redis-tools",
    "age": "age",
    "zstd": "zstd",
    "openssl": "openssl",
    "ip": "iproute2",
    "nft": "nftables",
    "mkfs.ext4": "e2fsprogs",
    "cc": "gcc",
    "docker-compose": "docker-compose",
    "chromium": "chromium",
    "php": "php-cli",
    "phpunit": "phpunit",
    "phpcs": "php-codesniffer",
    "composer": "composer",
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "prometheus-alertmanager": "prometheus-alertmanager",
    "prometheus-redis-exporter": "prometheus-redis-exporter",
}
# Debian's units, named after their packages, that would take our ports at the next boot.
UNITS = (
    "redis-server",
    "redis-sentinel",
    "prometheus",
    "prometheus-alertmanager",
    "prometheus-redis-exporter",
)
# What brings no command: a file under /usr by which it is known, and its package.
PHP_LIBRARIES = {
    "share/php/Illuminate/autoload.php": "php-laravel-framework",
    "lib/php/*/redis.so": "php-redis",
    "include/unistd.h": "libc6-dev",
}
LINTERS = {"shellcheck": "shellcheck"}


def missing_packages(has: Callable[[str], bool], packages: Mapping[str, str]) -> list[str]:
    """Name the packages of those commands that the machine lacks, each once."""
    return sorted({package for command, package in packages.items() if not has(command)})


def s3_folder(layout: Layout) -> Path:
    """Say where the S3 server of the tests is kept."""
    return layout.cache / f"versitygw-{S3_SERVER_VERSION}"


def ensure(layout: Layout, host: Host) -> None:
    """Install the commands that the tests start; no service is started or left enabled.

    Errors: Refused without apt, root or Go; ToolchainError when an installation fails.
    """
    missing = missing_packages(_is_here, PACKAGES) + missing_packages(_has_file, PHP_LIBRARIES)
    if missing:
        apt.install(layout, host, missing, why="the tests run real Redis, Laravel, stock tools")
        _leave_disabled(host, missing)
    with exclusive(layout.cache / "versitygw.lock"):
        if not (s3_folder(layout) / "versitygw").is_file():
            _install_s3_server(layout, host)
    unpacked_php.ensure(layout, host)
    console.satisfied(STEP, f"{', '.join(PACKAGES)}, versitygw")


def ensure_linters(layout: Layout, host: Host) -> None:
    """Install what `make lint` runs besides Python packages.

    Errors: as `ensure`.
    """
    missing = missing_packages(_is_here, LINTERS)
    if missing:
        apt.install(layout, host, missing, why="make lint checks the shell scripts with it")


def _is_here(command: str) -> bool:
    return shutil.which(command, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is not None


def _has_file(pattern: str) -> bool:
    return any(Path("/usr").glob(pattern))


def _leave_disabled(host: Host, installed: list[str]) -> None:
    """Keep Debian's own units from starting at the next boot."""
    units = [name for name in UNITS if name in installed]
    if host.systemd and units:
        task = Task(operation="disable", subject=", ".join(units), hint="see systemctl status")
        command = ["systemctl", "disable", *units]
        perform(task, as_root(host, command, operation="disable", subject=task.subject))


def _install_s3_server(layout: Layout, host: Host) -> None:
    golang.ensure(layout, host, subject="the tests' S3 server")
    console.doing(STEP, f"go install {S3_SERVER}@v{S3_SERVER_VERSION}", why="the tests' S3 server")
    task = Task(
        operation="build",
        subject="versitygw",
        hint="check that Go reaches its module proxy from here, then run the command again",
    )
    with folder_in_the_making(s3_folder(layout)) as making:
        go = golang.ENVIRONMENT | {"GOBIN": str(making)}
        perform(task, ["go", "install", f"{S3_SERVER}@v{S3_SERVER_VERSION}"], environment=go)
