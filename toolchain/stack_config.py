"""The stack's effective configuration: the committed file, what this checkout set, the salt.

Runs in the virtual environment, where Pulumi's own dependency PyYAML is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import yaml

from toolchain.errors import Refused
from toolchain.files import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

PROJECT = "redis-ha"
# On a command line every user of the machine sees them, and in the file they would be in clear.
# infra/config.py declares them, which this does not import; a test compares.
SECRETS = frozenset({"alertWebhook", "backupS3SecretAccessKey"})

Config = Mapping[str, Any]


def parse_settings(settings: Sequence[str]) -> dict[str, str | None]:
    """Read `name=value` pairs; `name=` (None) takes a setting back to the committed value.

    Names without a namespace are the project's: subnet is redis-ha:subnet.
    Errors: Refused for a word that is no pair, and for a secret's value.
    """
    pairs: dict[str, str | None] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not (name and equals):
            raise Refused(
                operation="read",
                subject=f"the setting {setting!r}",
                cause="it is no name=value pair",
                hint='write SET="namePrefix=two- portOffset=100 subnet=172.29.0.0/24"',
            )
        key = name if ":" in name else f"{PROJECT}:{name}"
        if value and key.removeprefix(f"{PROJECT}:") in SECRETS:
            raise _secret(key.removeprefix(f"{PROJECT}:"))
        pairs[key] = value or None
    return pairs


def _secret(name: str) -> Refused:
    return Refused(
        operation="take",
        subject=f"the setting {name} from the command line",
        cause="it is a secret, and would be kept in clear",
        hint=f"after a first `make up`: `source .redis-ha/env`, then `pulumi config set --secret "
        f"{name} --stack dev`, which asks for it and encrypts it, then `make up`",
    )


def merge(
    committed: Config, *, effective: Config, previous: Config, settings: Mapping[str, str | None]
) -> dict[str, Any]:
    """Join the committed settings with this checkout's own.

    `previous` is what was committed at the last merge: an effective value that differs from it
    was set here and stays, one that doesn't follows the committed file. New settings win.
    """
    own = {key: value for key, value in effective.items() if previous.get(key) != value}
    own |= {key: value for key, value in settings.items() if value is not None}
    removed = {key for key, value in settings.items() if value is None}
    return {**committed, **{key: value for key, value in own.items() if key not in removed}}


def read(path: Path) -> dict[str, Any]:
    """Read a stack's file; {} where there is none.

    Errors: Refused for a file that is no YAML mapping.
    """
    if not path.is_file():
        return {}
    try:
        document = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise _unreadable(path, str(error).replace("\n", " ")) from error
    if not isinstance(document, dict | None):
        raise _unreadable(path, "it holds no mapping")
    return document or {}


def _unreadable(path: Path, cause: str) -> Refused:
    hint = "correct it; the copy in .redis-ha may also be deleted, then it is made anew"
    return Refused(operation="read", subject=str(path), cause=cause, hint=hint)


def update(committed: Path, effective: Path, *, settings: Sequence[str]) -> dict[str, Any]:
    """Bring the effective file up to date and return its settings.

    Everything but `config` (the salt above all) is kept from the effective file.
    """
    marker = effective.with_name(f"{effective.stem}.committed.yaml")
    base, own = read(committed), read(effective)
    config = merge(
        base.get("config") or {},
        effective=own.get("config") or {},
        previous=read(marker),
        settings=parse_settings(settings),
    )
    write_atomically(effective, _dump({**base, **own, "config": config}), mode=0o600)
    write_atomically(marker, _dump(base.get("config") or {}), mode=0o600)
    return config


def adopt_salt(source: Path, effective: Path) -> None:
    """Take the salt of a new stack over from the file that `pulumi stack init` wrote."""
    keys = ("encryptionsalt", "secretsprovider", "encryptedkey")
    salt = {key: value for key, value in read(source).items() if key in keys}
    write_atomically(effective, _dump({**read(effective), **salt}), mode=0o600)


def _dump(document: Config) -> str:
    text: str = yaml.safe_dump(dict(document), sort_keys=True)
    return text
