"""Keeps a running server as its files say: what changes in them is applied, without a restart."""

import secrets
import time
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path

import redis

from node.changes import (
    KEEPER,
    KEEPER_RULES,
    Command,
    data_commands,
    sentinel_commands,
    with_acl_file,
)
from node.errors import BadSettings
from node.files import write_atomically
from node.settings import NodeSettings, load_settings
from node.watched import Files, digest_now, is_watched, read_whole
from redis_ha.connection import Credentials
from redis_ha.eventlog import EventLog

# How long (s) a start waits for files that are just being brought.
_PATIENCE = 10.0
_LOOK_AGAIN_SECONDS = 0.2


class Keeper:
    """Watches the files of one node, and applies them as a user that only this process knows.

    Where the files have no manifest (a virtual machine, which is replaced) it does nothing.
    """

    def __init__(
        self, settings: NodeSettings, log: EventLog, *, wait: Callable[[float], None]
    ) -> None:
        self._settings = settings
        self._log = log
        self._password = secrets.token_urlsafe(32)
        self._conf = "redis.conf" if settings.address in settings.data_nodes else "sentinel.conf"
        self._files = self._first(wait) if is_watched(settings.config_dir) else None
        self._refused: list[str] = []

    @property
    def connection_name(self) -> str:
        """Name the state that was applied whole, for whoever looks at CLIENT LIST."""
        return f"files-{self._files.digest}" if self._files and not self._refused else ""

    @property
    def complaint(self) -> str:
        """Say which changes the server refused; empty when all is as the files say."""
        return f"; not applied: {'; '.join(self._refused)}" if self._refused else ""

    def prepare(self, conf: str) -> str:
        """Add the keeper to the users, and return the configuration that has them."""
        if self._files is None:
            return conf
        self._write_users(self._files.texts)
        return with_acl_file(conf, self._acl_file)

    def look(self) -> NodeSettings | None:
        """Apply what has changed; return the new settings, None when there is nothing new.

        What fails for want of an answer is tried again at the next look.
        """
        if self._files is None or digest_now(self._settings.config_dir) == self._files.digest:
            return None
        new = read_whole(self._settings.config_dir)
        if new is None:
            return None
        try:
            settings = load_settings(self._settings.file)
            self._write_users(new.texts)
            self._refused = self._tell(self._commands(self._files.texts, new.texts))
        except (redis.ConnectionError, redis.TimeoutError, OSError, BadSettings) as error:
            self._log.warning("files-not-applied", digest=new.digest, reason=str(error))
            return None
        self._files, self._settings = new, settings
        self._log.info("files-applied", digest=new.digest, refused=self._refused)
        return settings

    @property
    def _acl_file(self) -> Path:
        return self._settings.run_dir / "users.acl"

    def _commands(self, old: Mapping[str, str], new: Mapping[str, str]) -> list[Command]:
        tell = data_commands if self._conf == "redis.conf" else sentinel_commands
        return tell(old, new)

    def _tell(self, commands: list[Command]) -> list[str]:
        """Send all; return what was refused, without values, for there are passwords in them."""
        refused: list[str] = []
        credentials = Credentials(KEEPER, self._password)
        address = self._settings.address
        with self._settings.access.connect(address, credentials=credentials) as client:
            for command in commands:
                try:
                    client.execute_command(*command)
                except redis.ResponseError as error:
                    refused.append(f"{' '.join(command[:3])}: {error}")
        return refused

    def _write_users(self, texts: Mapping[str, str]) -> None:
        digest = sha256(self._password.encode()).hexdigest()
        own = f"user {KEEPER} on #{digest} {KEEPER_RULES[self._conf]}\n"
        write_atomically(self._acl_file, texts["users.acl"] + own, durable=False)

    def _first(self, wait: Callable[[float], None]) -> Files | None:
        deadline = time.monotonic() + _PATIENCE
        while (files := read_whole(self._settings.config_dir)) is None:
            if time.monotonic() > deadline:
                self._log.warning("files-torn", folder=self._settings.config_dir)
                return None
            wait(_LOOK_AGAIN_SECONDS)
        return files
