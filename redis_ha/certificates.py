"""Until when a node's certificate is valid, as the node itself presents it."""

import socket
import ssl
from pathlib import Path

from redis_ha.connection import Address, tls_context


def days_left(address: Address, *, ca: Path, timeout: float, now: float) -> float:
    """Return for how many days a node's certificate is still valid; `now` as time.time().

    Raises OSError, also for one that has expired: the handshake then fails and says so.
    """
    with (
        socket.create_connection((address.host, address.port), timeout=timeout) as plain,
        tls_context(str(ca)).wrap_socket(plain, server_hostname=address.host) as secure,
    ):
        certificate = secure.getpeercert() or {}
    return (ssl.cert_time_to_seconds(str(certificate["notAfter"])) - now) / 86_400
