"""The kinds of client that are put to the test side by side, each as an application uses it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

from redis_ha.discovery import Access

OURS, STOCK, STOCK_RETRYING = "redis-ha", "redis-py", "redis-py-retries"
DESCRIPTIONS = {
    OURS: "redis_ha.Client, reads from replicas",
    STOCK: "redis-py Sentinel, its own retries off",
    STOCK_RETRYING: "redis-py Sentinel as it comes",
}
KINDS = tuple(DESCRIPTIONS)
# What an application sets so that a dead node doesn't hold it for ever (s). TCP alone takes a
# neighbour a millisecond; the address of a dead container or machine never answers.
TIMEOUT, CONNECT_TIMEOUT = 2.0, 0.25


class Contender(Protocol):
    """What the workload needs of a client; both raise what an application would see."""

    def write(self, command: Callable[[Any], Any]) -> None:
        """Run a command on the master."""

    def read(self, command: Callable[[Any], Any]) -> Any:
        """Run a command where this kind of client reads."""


@dataclass
class OwnClient:
    """redis_ha.Client: reads go to a replica within its lag limit."""

    access: Access

    def __post_init__(self) -> None:
        from redis_ha.client import Client  # noqa: PLC0415 - only this kind needs it

        self._client = Client(self.access)

    def write(self, command: Callable[[Any], Any]) -> None:
        self._client.execute_with_failover(command)

    def read(self, command: Callable[[Any], Any]) -> Any:
        return self._client.execute_with_failover(command, read_only=True)


@dataclass
class StockClient:
    """redis-py's Sentinel: `retrying` leaves its default retries on. Reads go to the master."""

    access: Access
    retrying: bool

    def __post_init__(self) -> None:
        options = self._options()
        sentinels = [self.access.locate(sentinel) for sentinel in self.access.sentinels]
        sentinel = Sentinel(  # type: ignore[no-untyped-call]
            [(address.host, address.port) for address in sentinels],
            sentinel_kwargs=options,
            **options,
        )
        self._master: Any = sentinel.master_for(self.access.master_name)  # type: ignore[no-untyped-call]

    def write(self, command: Callable[[Any], Any]) -> None:
        command(self._master)

    def read(self, command: Callable[[Any], Any]) -> Any:
        return command(self._master)

    def _options(self) -> dict[str, Any]:
        user = self.access.credentials
        options: dict[str, Any] = {
            "ssl": True,
            "ssl_ca_certs": str(self.access.ca),
            "username": user.username,
            "password": user.password,
            "socket_timeout": TIMEOUT,
            "socket_connect_timeout": CONNECT_TIMEOUT,
            "decode_responses": True,
        }
        return options if self.retrying else options | {"retry": Retry(NoBackoff(), 0)}


def open_client(kind: str, access: Access) -> Contender:
    """Make a client of one of KINDS."""
    if kind == OURS:
        return OwnClient(access)
    return StockClient(access, retrying=kind == STOCK_RETRYING)
