"""What the user at the source may do, found out by what changes nothing there."""

from contextlib import suppress
from typing import Any

import redis

# What an adoption sends to the source, as `ACL DRYRUN` wants it.
_NEEDED = (
    ("psync", "?", "-1"),
    ("replconf", "ack", "0"),
    ("replicaof", "no", "one"),
    ("client", "pause", "1", "write"),
    ("client", "unpause"),
)
# What closes it, with too few arguments: every server counts them before it does anything, and
# one that doesn't know the command (`rename-command`) says so before that.
_CLOSING = (("replicaof",), ("client", "pause"))
READ_ONLY = "replica-read-only"


def writable_replica(client: redis.Redis) -> bool | None:
    """Say whether it would take writes as a replica; None where the user may not ask."""
    answer = asked(client, "CONFIG", "GET", READ_ONLY)
    return None if not answer else "no" in {str(part) for part in _flat(answer)}


def _flat(answer: Any) -> list[Any]:
    return list(answer.values()) if isinstance(answer, dict) else list(answer)


def may_forbid(client: redis.Redis) -> bool:
    """Try it with a value that no server takes: who may not, or can't, is told that instead."""
    return not _is_refused(client, "CONFIG", "SET", READ_ONLY, "?")


def denied(client: redis.Redis) -> tuple[str, ...] | None:
    """Name what the user may not do; None where nothing is known to be denied, or to be allowed."""
    refused = [words for words in _CLOSING if _is_refused(client, *words)]
    user = str(asked(client, "ACL", "WHOAMI"))
    answers = [(words, asked(client, "ACL", "DRYRUN", user, *words)) for words in _NEEDED]
    kept_off = [words for words, answer in answers if str(answer) not in {"OK", "True", "None"}]
    if not refused and not kept_off and any(answer is None for _, answer in answers):
        return None
    return tuple(" ".join(words) for words in (*refused, *kept_off))


def _is_refused(client: redis.Redis, *words: str) -> bool:
    """Send what the server can't carry out; say whether that is for want of command or right."""
    try:
        client.execute_command(*words)  # type: ignore[no-untyped-call]
    except redis.ResponseError as error:
        # Redis 6.2 says `Unknown subcommand or wrong number of arguments` of a CLIENT PAUSE.
        unknown = str(error).lower().startswith("unknown command")
        return unknown or isinstance(error, redis.exceptions.NoPermissionError)
    return False


def asked(client: redis.Redis, *words: str) -> Any:
    """Ask what older servers don't know, or not every user may."""
    with suppress(redis.ResponseError):
        return client.execute_command(*words)  # type: ignore[no-untyped-call]
    return None
