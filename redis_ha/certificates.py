"""Until when certificates are valid: a node's, as it presents it, and a server's own, on disk."""

import ssl
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from redis_ha.connection import NO_CHECK_TIME, Address, chain_end, valid_until


def days_left(address: Address, *, ca: Path, timeout: float, now: float) -> float:
    """Return for how many days a node's certificate is still valid; `now` as time.time().

    Less than 0 for one that has expired. Raises OSError.
    """
    return (valid_until(address, ca=ca, timeout=timeout) - now) / 86_400


def own_end(certificate: Path, private_key: Path, *, ca: Path) -> float:
    """Return when the first of a server's own chain ends (s since 1970), as its clients see it.

    Read anew when a file has changed. Raises OSError.
    """
    files = (certificate, private_key, ca)
    return _own_end(files, tuple(file.stat().st_ctime_ns for file in files))


@lru_cache(maxsize=4)
def _own_end(files: tuple[Path, Path, Path], _changed: tuple[int, ...]) -> float:
    """Shake hands with itself in memory: nobody has to be reachable, or be called by its name."""
    certificate, private_key, ca = files
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, private_key)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.load_verify_locations(ca)
    client.verify_flags |= NO_CHECK_TIME
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    asks = client.wrap_bio(back, there)
    answers = server.wrap_bio(there, back, server_side=True)
    for side in (asks, answers, asks):
        with suppress(ssl.SSLWantReadError):
            side.do_handshake()
    return chain_end(asks)
