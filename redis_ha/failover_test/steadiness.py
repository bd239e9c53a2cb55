"""Whether a cluster is fit to be hurt, and whether it is whole again; what it is set to."""

import time
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import redis

from redis_ha.discovery import Access, ask_sentinels, find_master, one_line
from redis_ha.errors import HarmRefused
from redis_ha.failover_test.expectation import LiveSettings
from redis_ha.site import Member, Site
from redis_ha.survey import SentinelSurvey, Survey
from redis_ha.surveying import take_survey

_POLL = 0.3
# What a node may still have to receive and load before it counts as different (s).
_LEVEL_SECONDS = 15.0

Fields = Mapping[str, AbstractSet[str]]


def complaints(survey: Survey) -> list[str]:
    """Say what keeps a cluster from being whole; empty when nothing does."""
    found = [text for sentinel in survey.sentinels if (text := _sentinel(sentinel, survey))]
    if survey.leader is None:
        return [*found, f"{survey.name(survey.master)} does not serve as master"]
    for node in survey.nodes:
        view = node.view
        if view.address != survey.master and not (view.link_up and view.master == survey.master):
            state = view.problem or f"{view.role} of {survey.name(view.master)}, link not up"
            found.append(f"{survey.name(view.address)}: {state}")
    return found


def _sentinel(sentinel: SentinelSurvey, survey: Survey) -> str:
    name, view = survey.name(sentinel.address), sentinel.view
    if not sentinel.answers:
        return f"{name}: {view.problem}"
    if view.master != survey.master:
        return f"{name} names {survey.name(view.master)} as master"
    if view.flags != {"master"}:
        return f"{name} sees the master as {','.join(sorted(view.flags))}"
    listed = {entry.address for entry in sentinel.replicas if not entry.down}
    expected = {node.address for node in survey.nodes} - {survey.master}
    missing = ", ".join(survey.name(address) for address in sorted(expected - listed))
    return f"{name} does not see {missing}" if missing else ""


def unfit(survey: Survey) -> list[str]:
    """Say what keeps a cluster from being hurt: it isn't whole, or would refuse a switchover."""
    old_news = [
        f"{survey.name(sentinel.address)} still takes {survey.name(entry.address)} for a master"
        for sentinel in survey.answering
        for entry in sentinel.replicas
        if entry.role != "slave" and not entry.down
    ]
    return [*complaints(survey), *old_news]


def wait_until_whole(
    site: Site,
    *,
    within: float,
    wrong: Callable[[Survey], list[str]] = complaints,
    clock: Callable[[], float] = time.monotonic,
) -> list[str]:
    """Wait for a whole cluster, at most `within` seconds; return what was wrong to the end."""
    deadline = clock() + within
    while (found := wrong(take_survey(site))) and clock() < deadline:
        time.sleep(_POLL)
    return found


def master_of(site: Site) -> Member:
    """Return the data node that is master now."""
    return site.data_node(str(find_master(site.operator)))


def live_settings(site: Site) -> LiveSettings:
    """Read from sentinels and master what the predictions depend on.

    Raises HarmRefused, and Unreachable or NoMaster when there is no cluster to be hurt.
    """
    # First: no sentinel may answer, and this says so.
    master = find_master(site.operator)
    down_after = max(view.down_after for view in ask_sentinels(site.operator) if view.master)
    try:
        with site.operator.connect(master) as client:
            config: Any = client.config_get("min-replicas-*")
    except redis.RedisError as error:
        raise HarmRefused(
            operation="read the settings of",
            subject=site.operator.master_name,
            cause=one_line(error),
            hint="the test needs the operator: set REDIS_OPERATOR_USERNAME and _PASSWORD",
        ) from error
    return LiveSettings(
        down_after,
        min_replicas=int(config["min-replicas-to-write"]),
        max_lag=float(config["min-replicas-max-lag"]),
        witnessed=take_survey(site).witnessed,
    )


def held_fields(access: Access, member: Member, keys: Sequence[str]) -> Fields:
    """Return the fields of each hash that a node holds; raises what redis-py raises."""
    with access.connect(member.address, timeout=10.0) as connected:
        client: Any = connected
        return {key: set(client.hkeys(key)) for key in keys}


def differences(site: Site, keys: Sequence[str]) -> str:
    """Say how the data nodes differ, once they had time to become level; "" when they don't."""
    deadline = time.monotonic() + _LEVEL_SECONDS
    while (text := _difference(site, keys)) and time.monotonic() < deadline:
        time.sleep(_POLL)
    return text


def _difference(site: Site, keys: Sequence[str]) -> str:
    try:
        states = {m.name: _contents(site.operator, m, keys) for m in site.data_nodes}
    except (redis.RedisError, OSError) as error:
        return one_line(error)
    first, reference = next(iter(states.items()))
    for name, (size, fields) in states.items():
        if size != reference[0]:
            return f"{name} holds {size} keys, {first} {reference[0]}"
        if fields != reference[1]:
            return f"{name} and {first} hold different entries of the ledger"
    return ""


def _contents(access: Access, member: Member, keys: Sequence[str]) -> tuple[int, Fields]:
    with access.connect(member.address, timeout=10.0) as client:
        size = int(client.dbsize())
    return size, held_fields(access, member, keys)


def evictions(site: Site) -> dict[str, int]:
    """Return how many keys each node dropped for want of memory in its process's life."""
    found = {}
    for member in site.data_nodes:
        with site.operator.connect(member.address) as client:
            stats: Any = client.info("stats")
        found[member.name] = int(stats["evicted_keys"])
    return found


def delete(site: Site, keys: Sequence[str]) -> None:
    """Delete keys on the master; raises what redis-py raises, and NoMaster."""
    with site.operator.connect(find_master(site.operator), timeout=10.0) as client:
        client.unlink(*keys)
