"""Puts the witnesses aside for one crash, so that Sentinel alone decides: what they spare is shown.

They stand by while a sentinel's down-after is above the stack's, as it is during a live restore.
One millisecond is enough for them and nothing to Sentinel.
"""

import redis

from redis_ha.connection import Address
from redis_ha.discovery import Access, ask_sentinels, one_line
from redis_ha.errors import HarmRefused
from redis_ha.failover_test.hands import Injury

_SENTINELS = "sentinels"
_RAISED_MS = 1


def is_quieting(injury: Injury) -> bool:
    """Say whether it is the sentinels that an injury is about."""
    return injury.node == _SENTINELS


def prepare(access: Access) -> Injury:
    """Note each sentinel's down-after in ms, and change nothing; raises HarmRefused."""
    views = ask_sentinels(access)
    silent = [str(view.sentinel) for view in views if view.master is None]
    if silent:
        raise _refused(silent[0], "it doesn't answer")
    details = {str(view.sentinel): str(round(view.down_after * 1000)) for view in views}
    return Injury("crash-unseen", _SENTINELS, details)


def inflict(access: Access, injury: Injury) -> None:
    """Raise each down-after; raises HarmRefused."""
    _set(access, injury, extra=_RAISED_MS)


def heal(access: Access, injury: Injury) -> None:
    """Set each back; raises HarmRefused when a sentinel can't be reached."""
    _set(access, injury, extra=0)


def _set(access: Access, injury: Injury, *, extra: int) -> None:
    for place, milliseconds in injury.details.items():
        host, _, port = place.rpartition(":")
        words = ("down-after-milliseconds", str(int(milliseconds) + extra))
        try:
            with access.connect(Address(host, int(port))) as client:
                client.execute_command("SENTINEL", "SET", access.master_name, *words)
        except (redis.RedisError, OSError) as error:
            raise _refused(place, one_line(error)) from error


def _refused(sentinel: str, cause: str) -> HarmRefused:
    return HarmRefused(
        operation="set down-after on",
        subject=sentinel,
        cause=cause,
        hint="bring the sentinel back; another run of the test then sets it right",
    )
