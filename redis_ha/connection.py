"""One way to open a connection to a data node or a sentinel: TLS, ACL user, no hidden retries."""

import inspect
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

DEFAULT_TIMEOUT = 2.0


def _plain_handshake() -> dict[str, Any]:
    """Keep HELLO and CLIENT SETINFO, which least-privilege users may not send, off the wire.

    redis-py 4 sends neither; 5 and 6 know lib_name, 7.1 and later driver_info in its place.
    """
    known = inspect.signature(redis.Redis.__init__).parameters
    options: dict[str, Any] = {"protocol": 2} if "protocol" in known else {}
    if "driver_info" in known:
        return options | {"driver_info": None}
    return options | {name: None for name in ("lib_name", "lib_version") if name in known}


_PLAIN_HANDSHAKE = _plain_handshake()


@dataclass(frozen=True, order=True)
class Address:
    """Where a node listens: an IP address (never a name: FACTS, failover path) and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Credentials:
    """An ACL user; the password never shows in a repr."""

    username: str
    password: str = field(repr=False)


def connect(
    address: Address,
    *,
    credentials: Credentials,
    ca: Path,
    timeout: float = DEFAULT_TIMEOUT,
    decode: bool = True,
    db: int = 0,
) -> redis.Redis:
    """Open a client of one connection that fails at once instead of retrying by itself.

    `timeout` (s) bounds the connect and each reply. Nothing is sent before the first command.
    redis-py's own retries (3 with a backoff of up to 10 s) would hide a failover for seconds.
    """
    return redis.Redis(
        host=address.host,
        port=address.port,
        db=db,
        username=credentials.username,
        password=credentials.password,
        ssl=True,
        ssl_ca_certs=str(ca),
        ssl_check_hostname=True,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        retry=Retry(NoBackoff(), 0),
        decode_responses=decode,
        **_PLAIN_HANDSHAKE,
    )
