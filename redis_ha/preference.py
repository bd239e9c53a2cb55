"""Makes the sentinels prefer one replica for a while, by its replica-priority.

Only the chosen one's priority is lowered. Killed in between, this leaves a replica that goes
first the next time and nothing that could keep a failover from happening.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import redis

from redis_ha.connection import Address
from redis_ha.discovery import Access, at_once
from redis_ha.errors import SwitchoverRefused
from redis_ha.explaining import explained
from redis_ha.switchover import listed_replicas
from redis_ha.switchover_rules import electable, is_first, preferred_priority

# Sentinel asks replicas for INFO, which holds their priority, every 10 s.
_LEARN_SECONDS = 15.0
_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Preference:
    """A replica whose priority is `during` for the time and `before` otherwise."""

    node: Address
    before: int
    during: int


@contextmanager
def preferred(
    access: Access,
    chosen: Address,
    *,
    promise: Callable[[Preference], None],
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Preference]:
    """Have `chosen` preferred by every sentinel inside the block; needs CONFIG SET on it.

    `promise` is told what will be changed before it is. Raises SwitchoverRefused.
    """
    preference = _plan(access, chosen)
    promise(preference)
    try:
        if preference.during != preference.before:
            _set(access, preference.node, preference.during)
        _await(access, chosen, clock() + _LEARN_SECONDS, clock=clock, sleep=sleep)
        yield preference
    finally:
        restore(access, preference)


def restore(access: Access, preference: Preference) -> None:
    """Put the priority back; the promotion may have written the other one to the node's file."""
    if preference.during == preference.before:
        return
    with suppress(redis.RedisError, OSError), access.connect(preference.node) as client:
        _command(client, "CONFIG", "SET", "replica-priority", str(preference.before))
        _command(client, "CONFIG", "REWRITE")


def _plan(access: Access, chosen: Address) -> Preference:
    replicas = electable(listed_replicas(access))
    if chosen not in replicas:
        raise _refused(chosen, "no sentinel lists it as a replica that it could promote")
    try:
        priorities = dict(zip(replicas, at_once(lambda a: _get(access, a), replicas), strict=True))
    except (redis.RedisError, OSError, KeyError, ValueError) as error:
        raise _refused(chosen, f"a replica's priority can't be read: {explained(error)}") from error
    own = priorities.pop(chosen)
    during = preferred_priority(own, list(priorities.values()))
    if during is None:
        cause = (
            "its replica-priority is 0" if not own else "another replica's priority is 1 already"
        )
        raise _refused(chosen, cause)
    return Preference(chosen, before=own, during=during)


def _get(access: Access, address: Address) -> int:
    with access.connect(address) as client:
        return int(client.config_get("replica-priority")["replica-priority"])


def _set(access: Access, address: Address, priority: int) -> None:
    try:
        with access.connect(address) as client:
            _command(client, "CONFIG", "SET", "replica-priority", str(priority))
    except (redis.RedisError, OSError) as error:
        raise _refused(address, explained(error)) from error


def _await(
    access: Access,
    chosen: Address,
    until: float,
    *,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> None:
    while not is_first(chosen, listed_replicas(access)):
        if clock() >= until:
            raise _refused(chosen, f"not every sentinel prefers it after {_LEARN_SECONDS:.0f} s")
        sleep(_POLL_SECONDS)


def _command(client: Any, *words: str) -> None:
    client.execute_command(*words)


def _refused(chosen: Address, cause: str) -> SwitchoverRefused:
    return SwitchoverRefused(
        operation="choose",
        subject=str(chosen),
        cause=cause,
        hint="nothing was changed; see `redis-ha status`, or leave --to out",
    )
