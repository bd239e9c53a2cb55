"""Waits until every node runs with the files that the stack gave it.

A node's agent keeps a connection to its own server, whose name says which state it has applied.
"""

import time
from collections.abc import Callable, Mapping
from functools import partial

import redis

from redis_ha.connection import Address
from redis_ha.discovery import Access, at_once
from redis_ha.errors import Unreachable
from redis_ha.site import Site

AGENT = "node"
PREFIX = "files-"
# A node looks at its files each second, a replaced container takes some more.
PATIENCE = 90.0


def wait_until_applied(
    site: Site,
    files: Mapping[str, str],
    *,
    patience: float = PATIENCE,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Return when each node has the state that `files` names; raises Unreachable.

    A stack without that output replaces its machines instead: there is nothing to wait for.
    """
    deadline = clock() + patience
    while behind := _behind(site, files):
        if clock() > deadline:
            raise Unreachable(
                operation="wait for the new files on",
                subject=", ".join(behind),
                cause=f"not applied within {patience:.0f} s",
                hint="`docker logs NODE` says which change was refused; then run this again",
            )
        sleep(0.3)


def _behind(site: Site, files: Mapping[str, str]) -> list[str]:
    members = [m for m in (*site.data_nodes, *site.sentinels) if m.name in files]
    applied = at_once(partial(_applied, site.operator), [m.address for m in members])
    pairs = zip(members, applied, strict=True)
    return [member.name for member, states in pairs if files[member.name] not in states]


def _applied(access: Access, address: Address) -> set[str]:
    """Name the states that agents say they have applied; none when the node doesn't answer."""
    try:
        with access.connect(address) as client:
            connected = client.client_list()
    except (redis.RedisError, OSError):
        return set()
    names = {row["name"] for row in connected if row.get("user") == AGENT}
    return {name.removeprefix(PREFIX) for name in names if name.startswith(PREFIX)}
