"""What the Docker host must have, asked before any resource is touched.

Docker refuses a container only once the one that it replaces is gone.
"""

import subprocess
from collections.abc import Iterator

from infra.config import Limits
from infra.errors import PlanRefused, Problem

_PATIENCE_SECONDS = 30


def require_host(limits: Limits) -> None:
    """Hold the limits against the host. Errors: PlanRefused."""
    if limits.cpus == "0":
        return
    if problems := list(missing_cpus(limits, there=docker_cpus())):
        raise PlanRefused(problems)


def missing_cpus(limits: Limits, *, there: int | None) -> Iterator[Problem]:
    """Refuse more CPUs than there are; None is not known."""
    if there is not None and float(limits.cpus) > there:
        yield Problem(
            "cpus",
            limits.cpus,
            f"the Docker host has {there}, and Docker makes no container that may use more: the "
            "node that it was to replace would be gone by then",
            f"set it to {there} or less, or remove it: pulumi config rm cpus",
        )


def docker_cpus() -> int | None:
    """Ask Docker; None when it doesn't say, which the provider will explain better."""
    try:
        done = subprocess.run(
            ["docker", "info", "--format", "{{.NCPU}}"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PATIENCE_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    text = done.stdout.strip()
    # A client without its server prints 0.
    return int(text) if text.isdecimal() and int(text) else None
