"""What to tell a running server whose files have changed. Pure: texts in, commands out."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

Command = tuple[str, ...]

# The user of the node's own agent: it is in no file of the stack, its password in no other process.
KEEPER = "keeper"
KEEPER_RULES = {
    "redis.conf": "resetkeys resetchannels -@all +config|set +acl|setuser +acl|deluser",
    "sentinel.conf": "resetkeys resetchannels -@all +sentinel|set +sentinel|config "
    "+acl|setuser +acl|deluser",
}
_TLS_FILES = ("tls-cert-file", "tls-key-file", "tls-ca-cert-file")
# By these the others know a node. A server takes some of them while it runs, and is lost to them.
_IDENTITY = ("bind", "port", "tls-port", "replica-announce-", "announce-")
# sentinel.conf: what SENTINEL CONFIG SET takes, everything else is one master's.
_OF_SENTINEL = ("sentinel-user", "sentinel-pass")


def with_acl_file(conf: str, path: Path) -> str:
    """Point a configuration to another ACL file."""
    lines = conf.splitlines()
    kept = [line for line in lines if not line.startswith("aclfile ")]
    return "\n".join([*kept, f"aclfile {path}", ""])


def data_commands(old: Mapping[str, str], new: Mapping[str, str]) -> list[Command]:
    """Say what changes a data node; a server refuses what it can't change while it runs."""
    return [
        *user_commands(old["users.acl"], new["users.acl"]),
        *_config_commands(_directives(old["redis.conf"]), _directives(new["redis.conf"])),
        *_tls_commands(old, new),
    ]


def sentinel_commands(old: Mapping[str, str], new: Mapping[str, str]) -> list[Command]:
    """Say what changes a sentinel; certificates it loads only when it starts."""
    settings = _sentinel_commands(old["sentinel.conf"], new["sentinel.conf"])
    return [*user_commands(old["users.acl"], new["users.acl"]), *settings]


def commands_from_any(
    states: Iterable[Mapping[str, str]],
    new: Mapping[str, str],
    *,
    tell: Callable[[Mapping[str, str], Mapping[str, str]], Iterable[Command]],
) -> list[Command]:
    """Say what changes a server that may have something of each of these states, each once.

    A command says what is to be, not what was: whichever state is the right one, the others'
    commands do no harm.
    """
    return list(dict.fromkeys(command for old in states for command in tell(old, new)))


def user_commands(old: str, new: str) -> list[Command]:
    """Say what turns one ACL file's users into the other's.

    Each user changes in one step; ACL LOAD would close connections (Redis 7.0: all of them).
    """
    before, after = _users(old), _users(new)
    changed = [name for name, rules in after.items() if before.get(name) != rules]
    gone = [name for name in before if name not in after]
    return [
        *(("ACL", "SETUSER", name, "reset", *after[name]) for name in changed),
        *(("ACL", "DELUSER", name) for name in gone),
    ]


def _users(text: str) -> dict[str, list[str]]:
    lines = (line.split() for line in text.splitlines())
    return {words[1]: words[2:] for words in lines if words[:1] == ["user"]}


def _config_commands(old: Mapping[str, str], new: Mapping[str, str]) -> list[Command]:
    changed = (name for name, value in new.items() if old.get(name) != value)
    names = [name for name in changed if not _is_identity(name)]
    return [("CONFIG", "SET", name, new[name]) for name in names]


def _is_identity(name: str) -> bool:
    return name.startswith(_IDENTITY)


def _tls_commands(old: Mapping[str, str], new: Mapping[str, str]) -> list[Command]:
    """Have the certificate, its key and the CA read anew, the three together or not at all."""
    if all(old.get(name) == new.get(name) for name in {*old, *new} if name.startswith("tls/")):
        return []
    paths = _directives(new["redis.conf"])
    return [("CONFIG", "SET", *(word for name in _TLS_FILES for word in (name, paths[name])))]


def _directives(conf: str) -> dict[str, str]:
    """Read redis.conf's lines; the value as CONFIG SET takes it, "" for an empty one."""
    lines = (line.split(None, 1) for line in conf.splitlines() if not line.startswith("#"))
    return {words[0]: "" if words[1] == '""' else words[1].strip() for words in lines if words[1:]}


def _sentinel_commands(old: str, new: str) -> Iterator[Command]:
    known = set(old.splitlines())
    for line in new.splitlines():
        words = line.split()
        if line in known or words[:1] != ["sentinel"]:
            continue
        _, name, *rest = words
        if _is_identity(name):
            continue
        if name in _OF_SENTINEL:
            yield ("SENTINEL", "CONFIG", "SET", name, *rest)
        elif name == "monitor":
            yield ("SENTINEL", "SET", rest[0], "quorum", rest[3])
        else:
            yield ("SENTINEL", "SET", rest[0], name, *rest[1:])
