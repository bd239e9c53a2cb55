"""What the data nodes run, asked of each."""

from functools import partial

import redis

from redis_ha.connection import Address
from redis_ha.discovery import Access, at_once
from redis_ha.releases import engine_of
from redis_ha.site import Site
from redis_ha.upgrade import engine_of_node


def engines_of(site: Site) -> frozenset[str]:
    """Name the engines, as the stack's setting does, of all data nodes that answer."""
    ask = partial(_engine, site.operator)
    return frozenset(at_once(ask, [member.address for member in site.data_nodes])) - {""}


def _engine(access: Access, address: Address) -> str:
    try:
        with access.connect(address) as client:
            return engine_of_node(*engine_of(client.info("server")))
    except (redis.RedisError, OSError):
        return ""
