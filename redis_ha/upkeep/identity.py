"""Which cluster it is: by the ids of its sentinels, which each makes for itself at its first start.

Two looks are at the same cluster when they have an id in common: sentinels that are added, that
leave or that are replaced one after the other don't make another one of it. A cluster that is made
anew at the same addresses has none of the old one's.
"""

from collections.abc import Iterable
from typing import Any

from redis_ha.connection import Address
from redis_ha.discovery import NO_ANSWER, Access, asking, at_once
from redis_ha.permissions import pairs
from redis_ha.survey import Survey


def identity_of(survey: Survey) -> tuple[str, ...]:
    """Give the ids of the sentinels that answered and of those that they know."""
    peers = (peer.run_id for sentinel in survey.sentinels for peer in sentinel.peers)
    return _ids((*peers, *(sentinel.run_id for sentinel in survey.sentinels)))


def ask_identity(access: Access) -> tuple[str, ...]:
    """Ask every sentinel for its id and those that it knows; () where none answers."""
    found = at_once(lambda sentinel: _ask(access, sentinel), access.sentinels)
    return _ids(one for ids in found for one in ids)


def _ask(access: Access, sentinel: Address) -> list[str]:
    try:
        with asking(access, sentinel) as client:
            return _told(client, access.master_name)
    except NO_ANSWER:
        return []


def _told(client: Any, master_name: str) -> list[str]:
    rows = client.execute_command("SENTINEL", "SENTINELS", master_name)
    own = client.execute_command("SENTINEL", "MYID")
    return [str(own), *(str(pairs(row)["runid"]) for row in rows)]


def _ids(found: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({one for one in found if one}))
