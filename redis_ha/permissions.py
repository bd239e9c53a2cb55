"""What nodes and sentinels must be allowed to do to each other, and a dry run that shows it.

`ACL DRYRUN` executes nothing and leaves no entry in ACL LOG. CKQUORUM sees none of this: with the
application's rules in the place of a peer's, a failover silently never happens while it says OK.
"""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

import redis

from redis_ha.survey import Lack, Login
from redis_ha.witness import channels

Command = tuple[str, ...]

_HELLO = "__sentinel__:hello"
# As whom this project's sentinels come to each other.
PEER_USER = "sentinel-peer"
# A sentinel asks its peers whether the master is down, with its own run id for their vote.
PEER: tuple[Command, ...] = (
    ("SENTINEL", "IS-MASTER-DOWN-BY-ADDR", "127.0.0.1", "6379", "0", "*"),
    ("PUBLISH", _HELLO, ""),
    ("PING",),
)
# A promotion is MULTI, SLAVEOF, CONFIG REWRITE, CLIENT KILL, EXEC: one refusal aborts it all.
SENTINEL: tuple[Command, ...] = (
    ("MULTI",),
    ("SLAVEOF", "NO", "ONE"),
    ("CONFIG", "REWRITE"),
    ("CLIENT", "KILL", "TYPE", "normal"),
    ("EXEC",),
    ("PUBLISH", _HELLO, ""),
    ("SUBSCRIBE", _HELLO),
    ("INFO",),
    ("PING",),
)
REPLICA: tuple[Command, ...] = (
    ("PSYNC", "?", "-1"),
    ("REPLCONF", "ACK", "0"),
    ("PING",),
)
# It listens, votes, tells how it is, asks for a failover, and fences an old master that is back.
WITNESS_AT_NODES: tuple[Command, ...] = (
    ("SUBSCRIBE", channels.VOTES),
    ("PUBLISH", channels.VOTES, ""),
    ("SUBSCRIBE", channels.QUESTIONS),
    ("PUBLISH", channels.ANSWERS, ""),
    ("INFO",),
    ("CLIENT", "PAUSE", "1", "WRITE"),
    ("CLIENT", "UNPAUSE"),
    ("REPLICAOF", "127.0.0.1", "6379"),
    ("CONFIG", "REWRITE"),
)
WITNESS_AT_SENTINELS: tuple[Command, ...] = (
    ("INFO", "sentinel"),
    ("SENTINEL", "MASTER", "mymaster"),
    ("SENTINEL", "FAILOVER", "mymaster"),
)


def lacks_of(client: Any, login: Login, commands: Sequence[Command]) -> tuple[Lack, ...]:
    """Say what a login lacks on the node behind `client`: an account, the password, a right."""
    try:
        account = pairs(client.execute_command("ACL", "GETUSER", login.user) or {})
    except redis.ResponseError as error:
        return (Lack(login.user, f"can't be looked up: {error}"),)
    if text := refused_login(login, account):
        return (Lack(login.user, text),)
    return rights_lacked(client, login.user, commands)


def account_lacks(client: Any, user: str, commands: Sequence[Command]) -> tuple[Lack, ...]:
    """Say what a user lacks whose password isn't known here: an account, a right."""
    account = pairs(client.execute_command("ACL", "GETUSER", user) or {})
    if "on" not in account.get("flags", ()):
        return (Lack(user, "doesn't exist" if not account else "is switched off"),)
    return tuple(dict.fromkeys(rights_lacked(client, user, commands)))


def rights_lacked(client: Any, user: str, commands: Sequence[Command]) -> tuple[Lack, ...]:
    """Say which of the commands a user may not run on the node behind `client`."""
    problems = ((command, _try(client, user, command)) for command in commands)
    return tuple(Lack(user, f"may not {_words(command)}") for command, text in problems if text)


def refused_login(login: Login, account: Mapping[str, Any]) -> str:
    """Say why an account (ACL GETUSER) refuses a login; empty when it doesn't.

    Whoever shows it adds where that is.
    """
    if not account:
        return "doesn't exist"
    flags = set(account.get("flags", ()))
    if "on" not in flags:
        return "is switched off"
    if "nopass" in flags or login.secret in account.get("passwords", ()):
        return ""
    return "has another password"


def _try(client: Any, user: str, command: Command) -> str:
    try:
        answer = str(client.execute_command("ACL", "DRYRUN", user, *command))
    except redis.ResponseError as error:
        return str(error)
    return "" if answer == "OK" else answer


def _words(command: Command) -> str:
    subcommands = {"SENTINEL", "CONFIG", "CLIENT"}
    return " ".join(command[:2] if command[0] in subcommands else command[:1])


def hashed(password: str) -> str:
    """Return a password as ACL GETUSER shows it."""
    return sha256(password.encode()).hexdigest() if password else ""


def pairs(reply: Any) -> dict[str, Any]:
    """Read a flat list of names and values, or what redis-py already made of it."""
    if isinstance(reply, Mapping):
        return dict(reply)
    return dict(zip(reply[::2], reply[1::2], strict=False))
