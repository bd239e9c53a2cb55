"""Versions: those that requirements.txt pins, and how they compare."""

from __future__ import annotations

import re

Version = tuple[int, int, int]
PLUGINS = ("docker", "random", "tls")
# Only the stack on AWS needs it, and the official one is large: Pulumi fetches it when it is used.
PLUGINS_ON_DEMAND = ("aws",)


def parse(text: str) -> Version | None:
    """Read the first x.y[.z] of a text such as `v3.259.0` or `go version go1.24 linux/amd64`."""
    found = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    if not found:
        return None
    major, minor, patch = found.groups(default="0")
    return int(major), int(minor), int(patch)


def pinned(requirements: str, package: str) -> str:
    """Give the version that a requirements file pins a package to."""
    found = re.search(rf"^{re.escape(package)}==(\S+)$", requirements, re.MULTILINE)
    if not found:
        raise ValueError(f"requirements.txt pins no {package}")
    return found.group(1)
