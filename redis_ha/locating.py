"""Finds the cluster that a command is about: a stack's, or the one that the environment names."""

import ssl
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from redis_ha import environment
from redis_ha.connection import Address, tls_context
from redis_ha.discovery import (
    NO_ANSWER,
    Access,
    SentinelView,
    ask_sentinels,
    asking,
    at_once,
)
from redis_ha.errors import BadSetting, Unreachable
from redis_ha.explaining import meaning
from redis_ha.site import Member, Site, declared, named, numbered_sentinels
from redis_ha.stack import read_outputs, site_of

_NEEDED = (
    "REDIS_SENTINEL_HOST_1",
    "REDIS_TLS_CA",
    "REDIS_OPERATOR_USERNAME",
    "REDIS_OPERATOR_PASSWORD",
)


def find_site(stack: str | None, environ: Mapping[str, str]) -> Site:
    """Find the cluster; raises StackUnavailable, BadSetting, Unreachable.

    Without a stack its data nodes are those that the settings name, and what else the sentinels
    list; Unreachable only when neither says any.
    """
    site = find_unasked(stack, environ)
    if stack is not None:
        return site
    _check_ca(site.operator.ca)
    known = site.data_nodes
    nodes = _data_nodes(site.operator, known)
    # Settings older than the last `scale` don't name all.
    return replace(
        site,
        operator=_knowing(site.operator, nodes),
        data_nodes=nodes,
        complete=bool(known) and len(nodes) == len(known),
    )


def find_unasked(stack: str | None, environ: Mapping[str, str]) -> Site:
    """Find what stack or settings say of the cluster, which may be down; nobody is asked.

    Raises StackUnavailable, BadSetting.
    """
    if stack is not None:
        return site_of(stack, read_outputs(stack), environ)
    values = environment.merged(environ)
    parsed = environment.parse(values)
    if parsed.operator is None:
        raise BadSetting(
            operation="find",
            subject="the cluster",
            cause=_not_set(values),
            hint="give --stack NAME, run `source .redis-ha/env`, or set what is missing",
        )
    return Site(
        operator=parsed.operator,
        app=parsed.app,
        data_nodes=declared(values),
        sentinels=numbered_sentinels(parsed.operator, values),
        settings={k: v for k, v in values.items() if k.startswith("REDIS_")},
    )


def _not_set(values: Mapping[str, str]) -> str:
    # Any sentinel will do.
    sentinels = environment.numbered(values, "REDIS_SENTINEL", most=environment.MAX_SENTINELS)
    needed = _NEEDED[1:] if sentinels else _NEEDED
    missing = ", ".join(name for name in needed if not values.get(name))
    return f"neither the environment nor {environment.ENV_FILE} sets {missing}"


def _check_ca(ca: Path) -> None:
    """See that anything is trusted; each connection would say it less clearly."""
    if cause := _trouble_of(ca):
        hint = "set it to the file of the cluster's CA certificate, PEM"
        raise environment.unusable("REDIS_TLS_CA", f"{ca} {cause}", hint)


def _trouble_of(ca: Path) -> str:
    try:
        if not ca.is_file():
            return "is no file"
        tls_context(str(ca))
    except ssl.SSLError:
        return "holds no certificate"
    except OSError as error:
        return f"can't be read: {error.strerror}"
    return ""


def nobody_answers(site: Site, views: list[SentinelView]) -> Unreachable:
    """Build the error of a cluster whose sentinels are all silent."""
    said = {view.sentinel: meaning(view.problem) for view in views}
    texts = set(said.values())
    each = ", ".join(f"{site.name_of(address)}: {text}" for address, text in said.items())
    if len(texts) == 1:
        each = f"{texts.pop()} ({', '.join(site.name_of(address) for address in said)})"
    return Unreachable(
        operation="ask the sentinels of",
        subject=site.operator.master_name,
        cause=f"no sentinel answers: {each}",
        hint="check REDIS_SENTINEL_HOST_n/PORT_n, the user and password, and REDIS_TLS_CA",
    )


def _data_nodes(access: Access, known: tuple[Member, ...]) -> tuple[Member, ...]:
    """Return the nodes known, and others that any sentinel lists; raises Unreachable.

    Those are called by their address; where none is known, redis-1.. in the order of addresses.
    """
    views = ask_sentinels(access)
    found = {address for view in views if (address := view.master)}
    for addresses in at_once(lambda s: _listed(access, s), access.sentinels):
        found |= set(addresses)
    if not found and known:
        return known
    if not found:
        site = Site(access, None, (), named(access.sentinels, "sentinel"))
        raise nobody_answers(site, views)
    if not known:
        return named(sorted(found), "redis")
    others = sorted(found - {member.address for member in known})
    return (*known, *(Member(str(address), address) for address in others))


def _knowing(access: Access, nodes: tuple[Member, ...]) -> Access:
    """Let it know the data nodes' numbers, by which everybody chooses whom to ask first."""
    return replace(access, data_nodes=access.data_nodes or tuple(node.address for node in nodes))


def _listed(access: Access, sentinel: Address) -> list[Address]:
    try:
        with asking(access, sentinel) as client:
            rows = client.sentinel_slaves(access.master_name)
            return [Address(row["ip"], int(row["port"])) for row in rows if int(row["port"])]
    except NO_ANSWER:
        return []
