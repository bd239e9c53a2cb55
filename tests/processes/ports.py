"""Ports of loopback for what a test starts."""

import os
import secrets
import socket

HOST = "127.0.0.1"
# Below the kernel's ephemeral range, so that no client socket takes a stopped node's port.
PORTS = os.environ.get("REDIS_HA_TEST_PORTS", "21000-29999")
_INSTANCE = secrets.SystemRandom()


def free_ports(count: int) -> list[int]:
    """Return ports of loopback that nobody listens on, from the range of REDIS_HA_TEST_PORTS."""
    low, high = (int(bound) for bound in PORTS.split("-"))
    candidates = list(range(low, high + 1))
    _INSTANCE.shuffle(candidates)
    free = (port for port in candidates if _is_free(port))
    return [next(free) for _ in range(count)]


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True
