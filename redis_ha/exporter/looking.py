"""Asks a cluster for what the exporter shows: a few words each second, all of it now and then."""

from collections.abc import Mapping, Sequence

import redis

from redis_ha.connection import Address, valid_until
from redis_ha.discovery import Access, NodeView, ask_sentinel, at_once, parse_replication
from redis_ha.explaining import explained
from redis_ha.site import Site
from redis_ha.survey import NodeSurvey, SentinelSurvey, Survey

Configs = Mapping[Address, Mapping[str, str]]


def look_at(site: Site, configs: Configs) -> Survey:
    """Ask each member the one thing that says who is master; within about the access's timeout.

    `configs` is what is known of the data nodes' settings: they are not asked for.
    """
    access = site.operator
    nodes = [member.address for member in site.data_nodes]
    sentinels = [member.address for member in site.sentinels]
    asked = at_once(
        lambda a: _sentinel(access, a) if a in sentinels else _node(access, a, configs.get(a, {})),
        [*sentinels, *nodes],
    )
    return Survey(
        nodes=tuple(s for s in asked if isinstance(s, NodeSurvey)),
        sentinels=tuple(s for s in asked if isinstance(s, SentinelSurvey)),
        names={m.address: m.name for m in (*site.data_nodes, *site.sentinels)},
        complete=site.complete,
        witness_set=site.witness_set,
    )


def ask_expiries(access: Access, addresses: Sequence[Address]) -> dict[Address, float]:
    """Return until when (seconds since 1970) the certificates of those who answer are valid."""

    def ask(address: Address) -> float | None:
        try:
            return valid_until(access.locate(address), ca=access.ca, timeout=access.timeout)
        except (OSError, ValueError):
            return None

    ends = zip(addresses, at_once(ask, addresses), strict=True)
    return {address: end for address, end in ends if end is not None}


def _sentinel(access: Access, address: Address) -> SentinelSurvey:
    view = ask_sentinel(access, address)
    return SentinelSurvey(view, epoch=view.config_epoch)


def _node(access: Access, address: Address, config: Mapping[str, str]) -> NodeSurvey:
    try:
        with access.connect(address) as client:
            # Three sections: all of them cost a node and this process five times as much.
            info = client.execute_command("INFO", "replication", "persistence", "clients")
            return NodeSurvey(parse_replication(address, info), info=info, config=config)
    except (redis.RedisError, OSError, KeyError, ValueError, TypeError) as error:
        return NodeSurvey(NodeView(address, problem=explained(error)))
