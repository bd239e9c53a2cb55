"""What the two clients share: settings, and the pieces that decide."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from redis_ha.client.call import MAY_BE_APPLIED, Call, current
from redis_ha.client.wires import options
from redis_ha.connection import Address, tls_context
from redis_ha.discovery import Access, one_line
from redis_ha.environment import PoolSettings, load, unusable
from redis_ha.errors import BadSetting, ClientClosed

# A call may not last longer (s): no lock waits for ever, and nobody sees the end of a year's call.
LONGEST_CALL = 365 * 86400.0


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
        _refuse_unusable(access)
        self._access = access
        self._settings = pool or PoolSettings()
        self._preferences = Preferences(bounded(timeout), max_lag_seconds, decode, db)
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
        self._refuse_if_closed()
        seconds = self._preferences.timeout if timeout is None else bounded(timeout)
        return Call(seconds, repeatable=repeatable).within(current())

    def _refuse_if_closed(self, call: Call | None = None) -> None:
        """Raise ClientClosed when it was; `call` is one that was under way and has failed."""
        if not self._closed:
            return
        applied = f"{MAY_BE_APPLIED}; " if call is not None and call.sent else ""
        raise ClientClosed(
            operation="call",
            subject=self._access.master_name,
            cause="the client was closed",
            hint=f"{applied}make a new one",
        ) from (None if call is None else call.last_error)

    def _pool_options(self, address: Address) -> dict[str, Any]:
        chosen = self._preferences
        return options(self._access, address, decode=chosen.decode, db=chosen.db)


def bounded(timeout: float) -> float:
    """Return a call's time (s) as locks can wait for it; 0 is over at once. Raises BadSetting."""
    # NaN compares as neither.
    if timeout >= 0:
        return min(timeout, LONGEST_CALL)
    raise unusable("timeout", f"{timeout} is no time in seconds", "give a number above 0")


def _refuse_unusable(access: Access) -> None:
    """Raise BadSetting for what no call could succeed with, before one waits for its time."""
    if not access.sentinels:
        hint = "name at least one: REDIS_SENTINEL_HOST_1, REDIS_SENTINEL_PORT_1"
        raise unusable("sentinels", "there is none", hint)
    try:
        tls_context(str(access.ca))
    except (OSError, ValueError) as error:
        hint = "set REDIS_TLS_CA to the cluster's CA certificate, a PEM file that is readable"
        raise unusable(str(access.ca), f"it is no CA: {one_line(error)}", hint) from error
