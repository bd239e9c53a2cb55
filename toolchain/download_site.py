"""Pulumi's own download site: is it there, and what it holds."""

from __future__ import annotations

import functools
import hashlib
import os
import urllib.error
import urllib.request
from typing import IO, TYPE_CHECKING

from toolchain.errors import ToolchainError

if TYPE_CHECKING:
    from pathlib import Path

SITE = "https://get.pulumi.com"
RELEASES = "https://github.com/pulumi/pulumi/releases/download"
PROBE_SECONDS = 3.0
READ_SECONDS = 30.0
CHUNK = 1 << 20
ARCHITECTURES = {"x86_64": "x64", "aarch64": "arm64", "arm64": "arm64"}


@functools.cache
def reachable() -> bool:
    """Say whether the site answers, by one bounded attempt that this run remembers.

    REDIS_HA_OFFLINE=1 says no without asking: for a network that swallows packets.
    """
    if os.environ.get("REDIS_HA_OFFLINE"):
        return False
    try:
        with _open(f"{SITE}/", timeout=PROBE_SECONDS):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def archive_name(version: str, *, system: str, machine: str) -> str | None:
    """Name the CLI's archive for a machine; None where Pulumi publishes none."""
    architecture = ARCHITECTURES.get(machine)
    if system not in {"Linux", "Darwin"} or architecture is None:
        return None
    return f"pulumi-v{version}-{system.lower()}-{architecture}.tar.gz"


def published_digest(checksums: str, archive: str) -> str | None:
    """Find an archive's SHA-256 in a release's list of `digest  name` lines."""
    pairs = (line.split() for line in checksums.splitlines())
    return next((p[0] for p in pairs if len(p) == 2 and p[1].lstrip("*") == archive), None)


def fetch_archive(version: str, archive: str, into: Path) -> bool:
    """Download the CLI's archive; return whether its digest could be compared.

    Errors: ToolchainError when it does not come whole or its digest is another.
    """
    try:
        actual = _download(f"{SITE}/releases/sdk/{archive}", into)
    except OSError as error:
        raise _failure(archive, str(error)) from error
    expected = published_digest(_checksums(version), archive)
    if expected not in {None, actual}:
        raise _failure(archive, f"its SHA-256 is {actual}, the release says {expected}")
    return expected is not None


def _download(url: str, into: Path) -> str:
    digest = hashlib.sha256()
    with _open(url, timeout=READ_SECONDS) as answer, into.open("wb") as file:
        while chunk := answer.read(CHUNK):
            digest.update(chunk)
            file.write(chunk)
    return digest.hexdigest()


def _checksums(version: str) -> str:
    url = f"{RELEASES}/v{version}/pulumi-{version}-checksums.txt"
    try:
        with _open(url, timeout=READ_SECONDS) as answer:
            return answer.read().decode()
    except OSError:
        return ""


def _open(url: str, *, timeout: float) -> IO[bytes]:
    answer: IO[bytes] = urllib.request.urlopen(url, timeout=timeout)  # noqa: S310  ours: https
    return answer


def _failure(archive: str, cause: str) -> ToolchainError:
    hint = "run the command again, or with REDIS_HA_OFFLINE=1 to build the CLI from its modules"
    return ToolchainError(operation="download", subject=archive, cause=cause, hint=hint)
