"""Asks every node and sentinel at once all that the checks need; a failure is an answer too."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import redis

from redis_ha.certificates import days_left
from redis_ha.connection import Address
from redis_ha.discovery import (
    NO_ANSWER,
    Access,
    NodeView,
    SentinelView,
    at_once,
    cut_off,
    flags_of,
    one_line,
    parse_replication,
    parse_sentinel,
    sentinel_fields,
)
from redis_ha.explaining import explained
from redis_ha.permissions import (
    PEER,
    PEER_USER,
    REPLICA,
    SENTINEL,
    WITNESS_AT_NODES,
    WITNESS_AT_SENTINELS,
    account_lacks,
    hashed,
    lacks_of,
    pairs,
    rights_lacked,
)
from redis_ha.site import Site
from redis_ha.survey import (
    WITNESS,
    Denial,
    Lack,
    Login,
    NodeSurvey,
    PeerEntry,
    ReplicaEntry,
    SentinelSurvey,
    Survey,
)
from redis_ha.witness.channels import VOTES
from redis_ha.witness.hearing import ask_witnesses, places_to_ask

# A survey asks several things over one connection: for so many timeouts in all.
_TIMEOUTS = 3
_CONFIG = (
    *("masteruser", "masterauth", "maxmemory", "maxclients", "min-replicas-to-write"),
    *("min-replicas-max-lag", "repl-backlog-size", "client-output-buffer-limit", "appendonly"),
    *("appendfsync", "save", "replica-priority", "timeout"),
)
_LOG_ENTRIES = "64"


def take_survey(
    site: Site,
    *,
    rights: bool = False,
    certificates: bool = False,
    witnesses: bool = False,
    peer_login: bool = True,
) -> Survey:
    """Ask all members of a site; within about three times the access's timeout.

    `rights` also tries what the nodes may do to each other, `certificates` reads their expiry,
    `witnesses` asks each of them, which takes up to a second more when one doesn't answer. Without
    `peer_login` the sentinels' own login isn't asked for (whoever may read it may change it as
    well): then the stack's usual name for it is tried, and its password isn't.
    """
    nodes = [member.address for member in site.data_nodes]
    sentinels = [member.address for member in site.sentinels]
    access = site.operator
    asked = at_once(
        lambda address: (
            _survey_sentinel(access, address, peer_login=peer_login)
            if address in sentinels
            else _survey_node(access, address)
        ),
        [*sentinels, *nodes],
    )
    survey = Survey(
        nodes=tuple(s for s in asked if isinstance(s, NodeSurvey)),
        sentinels=tuple(s for s in asked if isinstance(s, SentinelSurvey)),
        names={m.address: m.name for m in (*site.data_nodes, *site.sentinels)},
        certificates=_certificates(access, [*nodes, *sentinels]) if certificates else {},
        complete=site.complete,
        witness_set=site.witness_set,
    )
    if witnesses and survey.witness_wanted:
        places = places_to_ask([node.view for node in survey.nodes])
        survey = replace(survey, hearing=ask_witnesses(access, places))
    return _with_rights(access, survey) if rights else survey


@contextmanager
def _questioning(access: Access, address: Address) -> Iterator[redis.Redis]:
    with access.connect(address) as client, cut_off(client, _TIMEOUTS * access.timeout):
        yield client


def _survey_sentinel(access: Access, address: Address, *, peer_login: bool) -> SentinelSurvey:
    try:
        with _questioning(access, address) as client:
            said = _read_sentinel(client, access.master_name, address)
            return replace(said, login=_peer_login(client)) if peer_login else said
    except NO_ANSWER as error:
        return SentinelSurvey(SentinelView(address, problem=explained(error)))


def _read_sentinel(client: Any, name: str, address: Address) -> SentinelSurvey:
    fields = sentinel_fields(client, name)
    rows = client.execute_command("SENTINEL", "REPLICAS", name)
    peers = client.execute_command("SENTINEL", "SENTINELS", name)
    return SentinelSurvey(
        parse_sentinel(address, fields),
        run_id=str(client.execute_command("SENTINEL", "MYID")),
        epoch=int(fields["config-epoch"]),
        quorum=int(fields["quorum"]),
        since_role=int(fields["role-reported-time"]) / 1000,
        quorum_verdict=_ask_text(client, "SENTINEL", "CKQUORUM", name),
        tilt=bool(int(client.info("sentinel").get("sentinel_tilt", 0))),
        replicas=tuple(_replica(pairs(row)) for row in rows),
        peers=tuple(_peer(pairs(row)) for row in peers),
        denials=_denials(client),
    )


def _replica(row: Mapping[str, Any]) -> ReplicaEntry:
    return ReplicaEntry(
        Address(str(row["ip"]), int(row["port"])),
        flags_of(row),
        priority=int(row["slave-priority"]),
        link_up=row["master-link-status"] == "ok",
        master=_address_or_none(row["master-host"], row["master-port"]),
        role=str(row["role-reported"]),
    )


def _address_or_none(host: object, port: object) -> Address | None:
    return Address(str(host), int(str(port))) if int(str(port)) else None


def _peer(row: Mapping[str, Any]) -> PeerEntry:
    vote = str(row.get("voted-leader", "?"))
    return PeerEntry(
        Address(str(row["ip"]), int(row["port"])),
        str(row["runid"]),
        flags_of(row),
        vote="" if vote == "?" else vote,
        vote_epoch=int(row.get("voted-leader-epoch", 0)),
    )


def _peer_login(client: Any) -> Login:
    user = pairs(client.execute_command("SENTINEL", "CONFIG", "GET", "sentinel-user"))
    password = pairs(client.execute_command("SENTINEL", "CONFIG", "GET", "sentinel-pass"))
    name = str(user.get("sentinel-user") or "default")
    return Login(name, hashed(str(password.get("sentinel-pass") or "")))


def _survey_node(access: Access, address: Address) -> NodeSurvey:
    try:
        with _questioning(access, address) as client:
            return _read_node(client, address)
    except NO_ANSWER as error:
        return NodeSurvey(NodeView(address, problem=explained(error)))


def _read_node(client: Any, address: Address) -> NodeSurvey:
    info = client.info()
    began = time.time()
    seconds, micros = client.execute_command("TIME")
    skew = int(seconds) + int(micros) / 1e6 - (began + time.time()) / 2
    config = pairs(client.execute_command("CONFIG", "GET", *_CONFIG))
    spikes = client.execute_command("LATENCY", "LATEST")
    return NodeSurvey(
        parse_replication(address, info),
        info=info,
        config={k: str(v) for k, v in config.items() if k not in ("masteruser", "masterauth")},
        skew=skew,
        witnesses=int(client.execute_command("PUBSUB", "NUMSUB", VOTES)[1]),
        spikes={str(event[0]): int(event[3]) for event in spikes},
        denials=_denials(client),
        sentinel_users=_sentinel_users(client.client_list()),
        login=Login(
            str(config.get("masteruser") or "default"), hashed(str(config.get("masterauth") or ""))
        ),
    )


def _sentinel_users(clients: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Find the sentinels among a node's clients by the name they give their connection."""
    found = [(client.get("name", "").split("-"), client) for client in clients]
    return {
        words[1]: client.get("user", "")
        for words, client in found
        if len(words) == 3 and words[0] == "sentinel" and words[2] == "cmd"
    }


def _denials(client: Any) -> tuple[Denial, ...]:
    rows = (pairs(row) for row in client.execute_command("ACL", "LOG", _LOG_ENTRIES))
    return tuple(
        Denial(
            user=str(row["username"]),
            reason=str(row["reason"]),
            what=str(row["object"]),
            age=float(row["age-seconds"]),
            count=int(row["count"]),
        )
        for row in rows
    )


def _with_rights(access: Access, survey: Survey) -> Survey:
    """Add to each member what the others' logins lack there."""
    nodes = {node.address: node for node in survey.nodes}
    sentinels = {sentinel.address: sentinel for sentinel in survey.sentinels}

    def try_on(address: Address) -> NodeSurvey | SentinelSurvey:
        if address in nodes:
            return _try_node(access, nodes[address], survey)
        return _try_sentinel(access, sentinels[address], survey)

    tried = at_once(try_on, [*sentinels, *nodes])
    return replace(
        survey,
        nodes=tuple(s for s in tried if isinstance(s, NodeSurvey)),
        sentinels=tuple(s for s in tried if isinstance(s, SentinelSurvey)),
    )


def _try_node(access: Access, node: NodeSurvey, survey: Survey) -> NodeSurvey:
    logins = {other.login for other in survey.nodes if other.login and other is not node}
    # A sentinel that got in has the right password: only its rights are in question.
    users = {user for user in node.sentinel_users.values() if user}

    def ask(client: Any) -> list[Lack]:
        lacks = [lack for login in logins for lack in lacks_of(client, login, REPLICA)]
        return lacks + [lack for user in users for lack in rights_lacked(client, user, SENTINEL)]

    def ask_for_witness(client: Any) -> list[Lack]:
        return list(account_lacks(client, WITNESS, WITNESS_AT_NODES))

    if node.view.role is None:
        return node
    witness = _try(access, node, ask_for_witness) if survey.witness_wanted else ()
    return replace(node, lacks=_try(access, node, ask), witness_lacks=witness)


def _try_sentinel(access: Access, sentinel: SentinelSurvey, survey: Survey) -> SentinelSurvey:
    logins = {s.login for s in survey.sentinels if s.login and s is not sentinel}

    def ask(client: Any) -> list[Lack]:
        if sentinel.login is None:
            return list(account_lacks(client, PEER_USER, PEER))
        return [lack for login in logins for lack in lacks_of(client, login, PEER)]

    def ask_for_witness(client: Any) -> list[Lack]:
        return list(account_lacks(client, WITNESS, WITNESS_AT_SENTINELS))

    if not sentinel.answers:
        return sentinel
    witness = _try(access, sentinel, ask_for_witness) if survey.witness_wanted else ()
    return replace(sentinel, lacks=_try(access, sentinel, ask), witness_lacks=witness)


def _try(
    access: Access, member: NodeSurvey | SentinelSurvey, ask: Callable[[Any], list[Lack]]
) -> tuple[Lack, ...]:
    try:
        with _questioning(access, member.address) as client:
            return tuple(sorted(set(ask(client)), key=lambda lack: (lack.user, lack.problem)))
    except NO_ANSWER as error:
        return (Lack(access.credentials.username, f"could not look: {explained(error)}"),)


def _certificates(access: Access, addresses: Sequence[Address]) -> dict[Address, float | str]:
    def ask(address: Address) -> float | str:
        try:
            at = access.locate(address)
            return days_left(at, ca=access.ca, timeout=access.timeout, now=time.time())
        except (OSError, ValueError) as error:
            return explained(error)

    return dict(zip(addresses, at_once(ask, addresses), strict=True))


def _ask_text(client: Any, *words: str) -> str:
    """Return what a command answers, also when that is an error."""
    try:
        return str(client.execute_command(*words))
    except redis.ResponseError as error:
        return one_line(error)
