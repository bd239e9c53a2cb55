"""How a cluster is reached and used, read once: from an env file and the environment, which wins.

The names are the guide's (REDIS_SENTINEL_HOST_1, REDIS_POOL_SIZE, ...).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from redis_ha.connection import Address, Credentials
from redis_ha.discovery import Access
from redis_ha.errors import BadSetting

T = TypeVar("T")
ENV_FILE = Path(".env.redis-ha")
MAX_SENTINELS = 9
MAX_NODES = 9
_KEY = re.compile(r"[A-Za-z_]\w*", re.ASCII)
# In a value's place: a comment begins after a space, or is all there is.
_COMMENT = re.compile(r"\s+#.*")
_PIECE = r"""'[^']*'|"(?:[^"\\]|\\.)*\""""
_QUOTED = re.compile(rf"((?:{_PIECE})+)(?:\s+#.*)?")
_ESCAPED = re.compile(r'\\(["\\$`])')


@dataclass(frozen=True)
class PoolSettings:
    """Connections of a client: opened at once, kept at least for reuse, and at most."""

    minimum: int = 5
    size: int = 10
    maximum: int = 50


@dataclass(frozen=True)
class Environment:
    """A cluster as its users see it; a part that is not set is None.

    `app` may read and write, `operator` may do all.
    """

    app: Access | None
    operator: Access | None
    pool: PoolSettings


def load(environ: Mapping[str, str], *, file: Path = ENV_FILE) -> Environment:
    """Read the env file, if it is there, and `environ`; raises BadSetting."""
    return parse(merged(environ, file=file))


def merged(environ: Mapping[str, str], *, file: Path = ENV_FILE) -> dict[str, str]:
    """Lay the environment over an env file that may not be there; raises BadSetting."""
    return {**_read_env_file(file), **environ}


def overruled(environ: Mapping[str, str], *, file: Path = ENV_FILE) -> tuple[str, str] | None:
    """Give the first sentinel that counts and another one that the env file alone would name.

    As host:port; None where both are the same, or one is missing. Raises BadSetting.
    """
    alone = _read_env_file(file)
    wins, loses = (_first_sentinel(values) for values in ({**alone, **environ}, alone))
    return (wins, loses) if wins and loses and wins != loses else None


def _first_sentinel(values: Mapping[str, str]) -> str:
    host, number = (values.get(f"REDIS_SENTINEL_{part}_1", "") for part in ("HOST", "PORT"))
    return f"{host}:{number}" if host else ""


def _read_env_file(file: Path) -> dict[str, str]:
    try:
        # Editors of Windows put a mark before the first line.
        text = file.read_bytes().decode("utf-8-sig") if file.is_file() else ""
    except (OSError, UnicodeDecodeError) as error:
        cause = "it is not UTF-8" if isinstance(error, ValueError) else str(error.strerror)
        hint = "write it again (`redis-ha env --output FILE`), or see who may read it"
        raise unusable(str(file), cause, hint) from error
    return parse_env_file(text, name=str(file))


def parse(values: Mapping[str, str]) -> Environment:
    """Turn settings into an Environment; raises BadSetting naming the one at fault."""
    usual = PoolSettings()
    return Environment(
        app=access(values, credentials(values, "REDIS")),
        operator=access(values, credentials(values, "REDIS_OPERATOR")),
        pool=PoolSettings(
            minimum=positive(values, "REDIS_MIN_CONNECTIONS", default=usual.minimum),
            size=positive(values, "REDIS_POOL_SIZE", default=usual.size),
            maximum=positive(values, "REDIS_MAX_CONNECTIONS", default=usual.maximum),
        ),
    )


def parse_env_file(text: str, *, name: str) -> dict[str, str]:
    """Read KEY=VALUE lines; blank lines, comments and a leading `export` are allowed.

    A value in quotes is what a shell makes of it, any other one is taken as it stands. Nothing is
    expanded. Raises BadSetting for what is no such line or has quotes that don't match.
    """
    settings: dict[str, str] = {}
    # Not splitlines(): to that a form feed in a password is the end of a line.
    for number, raw in enumerate(text.split("\n"), start=1):
        line = raw.strip().removeprefix("export ").strip()
        if not line or line.startswith("#"):
            continue
        key, equals, value = line.partition("=")
        where = f"{name}, line {number}"
        if not equals or not _KEY.fullmatch(key.strip()):
            raise unusable(where, "not KEY=VALUE", "correct the line")
        settings[key.strip()] = _value(value, where)
    return settings


def access(values: Mapping[str, str], user: Credentials | None) -> Access | None:
    """Say how a user reaches the cluster; None when sentinels, CA or user are not set."""
    sentinels = numbered(values, "REDIS_SENTINEL", most=MAX_SENTINELS)
    ca = path(values, "REDIS_TLS_CA")
    if user is None or not sentinels or ca is None:
        return None
    return Access(
        sentinels=sentinels,
        master_name=values.get("REDIS_SENTINEL_MASTER", "mymaster"),
        credentials=user,
        ca=ca,
        data_nodes=numbered(values, "REDIS_NODE", most=MAX_NODES),
        host_override=values.get("REDIS_HOST_OVERRIDE") or None,
    )


def numbered(values: Mapping[str, str], prefix: str, *, most: int) -> tuple[Address, ...]:
    """Read PREFIX_HOST_1 and PREFIX_PORT_1 to those of `most`; raises BadSetting."""
    return tuple(
        Address(values[f"{prefix}_HOST_{n}"], port(values, f"{prefix}_PORT_{n}"))
        for n in range(1, most + 1)
        if values.get(f"{prefix}_HOST_{n}")
    )


def credentials(values: Mapping[str, str], prefix: str) -> Credentials | None:
    """Read a user's name and password; None unless both are set."""
    username = values.get(f"{prefix}_USERNAME")
    password = values.get(f"{prefix}_PASSWORD")
    return Credentials(username, password) if username and password else None


def path(values: Mapping[str, str], key: str) -> Path | None:
    """Read a file's name; None when it is not set."""
    return Path(values[key]) if values.get(key) else None


def positive(values: Mapping[str, str], key: str, *, default: int) -> int:
    """Read a whole number above 0."""

    def read(text: str) -> int:
        if (number := int(text)) <= 0:
            raise ValueError
        return number

    return or_unusable(read, values.get(key) or str(default), key, "a whole number above 0")


def port(values: Mapping[str, str], key: str) -> int:
    """Read a port."""

    def read(text: str) -> int:
        if not 0 < (number := int(text)) < 65536:
            raise ValueError
        return number

    return or_unusable(read, values.get(key, ""), key, "a port, 1 to 65535")


def or_unusable(read: Callable[[str], T], text: str, key: str, expected: str) -> T:
    """Return what `read` makes of a setting's text; its ValueError or KeyError is a BadSetting."""
    try:
        return read(text)
    except (ValueError, KeyError) as error:
        raise unusable(key, f"{text!r} is not {expected}", f"set {key} to {expected}") from error


def unusable(subject: str, cause: str, hint: str) -> BadSetting:
    """Build the error of a setting."""
    return BadSetting(operation="read setting", subject=subject, cause=cause, hint=hint)


def _value(text: str, where: str) -> str:
    """Read what stands behind the =; raises BadSetting."""
    plain = _COMMENT.sub("", text, count=1).strip()
    if not set("'\"") & set(plain):
        return plain
    quoted = _QUOTED.fullmatch(text.strip())
    if quoted is None:
        hint = "put all of a value with a quote in it between quotes, as a shell would want it"
        raise unusable(where, "its quotes don't match", hint)
    return "".join(map(_unquoted, re.findall(_PIECE, quoted[1])))


def _unquoted(piece: str) -> str:
    inside = piece[1:-1]
    return inside if piece[0] == "'" else _ESCAPED.sub(r"\1", inside)
