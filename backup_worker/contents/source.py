"""Where contents come from: the live cluster, or a snapshot's object.

Asking is thin and bounded; a node that does not answer is recorded as such.
"""

from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import datetime
from typing import Any, TypeVar

import redis

import age
from backup_worker.contents.document import (
    DataNode,
    Document,
    SentinelNode,
    decode,
    ordered_rules,
    redacted,
    texts,
)
from backup_worker.errors import ObjectNotFound
from backup_worker.manifest import Contents, Manifest
from backup_worker.restore.opening import opened_object
from backup_worker.store.contract import Store
from redis_ha.connection import Address
from redis_ha.discovery import (
    Access,
    ask_sentinels,
    at_once,
    majority_master,
    one_line,
    replica_addresses,
    sentinel_fields,
)
from redis_ha.errors import RedisHaError

T = TypeVar("T")
# The user of a node's agent (node.changes), as ACL LIST begins its line.
_KEEPER = "user keeper "


def gather(access: Access, *, now: datetime) -> Document:
    """Ask every node; never fails."""
    return Document(
        at=now,
        master_name=access.master_name,
        data_nodes=tuple(at_once(lambda node: _ask_node(access, node), _data_nodes(access))),
        sentinels=tuple(at_once(lambda one: _ask_sentinel(access, one), access.sentinels)),
    )


def read(store: Store, beside: Contents, identities: Sequence[age.Identity]) -> Document:
    """Open a snapshot's contents; raises WrongKey, SnapshotCorrupt, ObjectNotFound."""
    with closing(store.get(beside.object_key)) as stored:
        plain = opened_object(
            stored,
            identities,
            key=beside.object_key,
            expected=(beside.stored, beside.plain),
            what="document",
            on_progress=lambda _: None,
        )
        return decode(b"".join(plain), key=beside.object_key)


def read_of(store: Store, manifest: Manifest, identities: Sequence[age.Identity]) -> Document:
    """Open a snapshot's contents as `read` does; ObjectNotFound when it was taken without."""
    if manifest.contents is None:
        raise ObjectNotFound(
            operation="open",
            subject=f"the contents of {manifest.id}",
            cause="that snapshot was taken without",
            hint="a newer one has them",
        )
    return read(store, manifest.contents, identities)


def _data_nodes(access: Access) -> list[Address]:
    """Return every data node that the sentinels know, the master first."""
    found: list[Address] = []
    if (master := majority_master(ask_sentinels(access))) is not None:
        found.append(master)
    try:
        found += replica_addresses(access)
    except RedisHaError:
        return found
    return list(dict.fromkeys(found))


def _ask_node(access: Access, address: Address) -> DataNode:
    def ask(client: redis.Redis) -> DataNode:
        info = client.info()
        version = "valkey_version" if "valkey_version" in info else "redis_version"
        return DataNode(
            address=str(address),
            role=str(info["role"]),
            version=str(info[version]),
            config=redacted(texts(client.config_get("*"))),
            users=_users(client),
        )

    return _answer(access, address, ask, lambda problem: DataNode(str(address), problem=problem))


def _ask_sentinel(access: Access, address: Address) -> SentinelNode:
    def ask(client: redis.Redis) -> SentinelNode:
        name = access.master_name
        return SentinelNode(
            address=str(address),
            master=texts(sentinel_fields(client, name)),
            replicas=_rows(client.sentinel_slaves(name)),
            sentinels=_rows(client.sentinel_sentinels(name)),
            users=_users(client),
        )

    return _answer(
        access, address, ask, lambda problem: SentinelNode(str(address), problem=problem)
    )


def _answer(
    access: Access,
    address: Address,
    ask: Callable[[redis.Redis], T],
    without: Callable[[str], T],
) -> T:
    try:
        with access.connect(address) as client:
            return ask(client)
    except (redis.RedisError, OSError, ValueError, KeyError) as error:
        return without(one_line(error))


def _users(client: redis.Redis) -> tuple[str, ...]:
    """List the cluster's users; the one of a node's own agent is another after each start."""
    lines = (str(line) for line in client.acl_list())
    return tuple(sorted(ordered_rules(line) for line in lines if not line.startswith(_KEEPER)))


def _rows(rows: Any) -> tuple[dict[str, str], ...]:
    return tuple(map(texts, rows))
