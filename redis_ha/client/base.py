"""What the two clients share: settings, and the pieces that decide."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from redis_ha.client.call import Call, current
from redis_ha.client.wires import options
from redis_ha.connection import Address
from redis_ha.discovery import Access
from redis_ha.environment import PoolSettings, load
from redis_ha.errors import BadSetting, ClientClosed


@dataclass(frozen=True)
class Preferences:
    """How a client behaves: times in seconds, `decode` for str instead of bytes, the database."""

    timeout: float = 10.0
    max_lag_seconds: float = 5.0
    decode: bool = True
    db: int = 0


class BaseClient:
    """Settings and the making of calls."""

    def __init__(
        self,
        access: Access,
        pool: PoolSettings | None = None,
        *,
        timeout: float = 10.0,
        max_lag_seconds: float = 5.0,
        decode: bool = True,
        db: int = 0,
    ) -> None:
        self._access = access
        self._settings = pool or PoolSettings()
        self._preferences = Preferences(timeout, max_lag_seconds, decode, db)
        self._closed = False
        if not self._settings.minimum <= self._settings.size <= self._settings.maximum:
            raise BadSetting(
                operation="read setting",
                subject="REDIS_MIN_CONNECTIONS, REDIS_POOL_SIZE, REDIS_MAX_CONNECTIONS",
                cause=f"{self._settings} doesn't ascend",
                hint="set minimum <= size <= maximum",
            )

    @classmethod
    def from_env(cls, environ: Mapping[str, str], **preferences: Any) -> Self:
        """Make a client of the env file and the environment (`redis_ha.environment.load`).

        `preferences` as for the class. Raises BadSetting when the cluster's settings are missing.
        """
        environment = load(environ)
        if environment.app is None:
            raise BadSetting(
                operation="read setting",
                subject="REDIS_SENTINEL_HOST_1, REDIS_USERNAME, REDIS_PASSWORD, REDIS_TLS_CA",
                cause="at least one is not set",
                hint="source the env file that `make up` wrote, or see .env.redis-ha.example",
            )
        return cls(environment.app, environment.pool, **preferences)

    def _call(self, timeout: float | None, *, repeatable: bool) -> Call:
        if self._closed:
            raise ClientClosed(
                operation="call",
                subject=self._access.master_name,
                cause="the client was closed",
                hint="make a new one",
            )
        seconds = self._preferences.timeout if timeout is None else timeout
        return Call(seconds, repeatable=repeatable).within(current())

    def _pool_options(self, address: Address) -> dict[str, Any]:
        chosen = self._preferences
        return options(self._access, address, decode=chosen.decode, db=chosen.db)
