"""Keeps a running server as its files say: what changes in them is applied, without a restart."""

import secrets
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import redis

from node.changes import (
    KEEPER,
    KEEPER_RULES,
    Command,
    commands_from_any,
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


def other_node(mine: NodeSettings, theirs: NodeSettings) -> str:
    """Say in what settings are another node's; empty when they are of the same."""
    parts = (
        ("name", mine.name, theirs.name),
        ("address", str(mine.address), str(theirs.address)),
        ("master name", mine.master_name, theirs.master_name),
    )
    return ", ".join(f"another {what} ({new} for {old})" for what, old, new in parts if old != new)


class Keeper:
    """Watches the files of one node, and applies them as a user that only this process knows.

    Where the files have no manifest (a virtual machine, which is replaced) it does nothing.
    """

    def __init__(
        self, settings: NodeSettings, log: EventLog, *, wait: Callable[[float], None]
    ) -> None:
        self._settings = settings
        self._started_as = settings
        self._log = log
        self._password = secrets.token_urlsafe(32)
        self._conf = "redis.conf" if settings.address in settings.data_nodes else "sentinel.conf"
        # The last state that the server took whole.
        self._applied = self._first(wait) if is_watched(settings.config_dir) else None
        # What it was told since, oldest first: it may have something of each.
        self._begun: list[Files] = []
        self._waiting: list[Command] = []
        # What was said last: a state's digest, and what of it was refused.
        self._said: tuple[str, list[str]] = (self._applied.digest if self._applied else "", [])
        # Why the files that are there are not this node's; empty while they are.
        self._foreign = ""

    @property
    def connection_name(self) -> str:
        """Name the state that was applied whole, for whoever looks at CLIENT LIST."""
        return f"files-{self._applied.digest}" if self._applied and not self._begun else ""

    @property
    def complaint(self) -> str:
        """Say which changes were not taken; empty when all is as the files say."""
        _, told = self._said
        refused = [*told, *([self._foreign] if self._foreign else [])]
        return f"; not applied: {'; '.join(refused)}" if refused else ""

    def prepare(self, conf: str) -> str:
        """Add the keeper to the users, and return the configuration that has them."""
        if self._latest is None:
            return conf
        self._write_users(self._latest.texts)
        # A server that starts takes from its files what one that runs refuses.
        self._waiting = []
        return with_acl_file(conf, self._acl_file)

    def prepare_again(self, conf: str) -> str:
        """Prepare what was taken last in place of `conf`: that may be another node's by now."""
        return self.prepare(self._latest.texts[self._conf] if self._latest else conf)

    def look(self) -> NodeSettings | None:
        """Apply what has changed; return the new settings, None when there is nothing new.

        What fails for want of an answer, or is refused, is tried again at the next look: a server
        that is busy with a script refuses everything. Files of another name, address or master
        name are left alone: the others know this node by them.
        """
        new = self._to_apply()
        if new is None:
            return None
        try:
            settings = load_settings(self._settings.file)
            if self._is_foreign(new, settings):
                return None
            if new is not self._latest:
                self._begin(new)
            refused = self._tell(self._waiting)
        except (redis.ConnectionError, redis.TimeoutError, OSError, BadSettings) as error:
            self._log.warning("files-not-applied", digest=new.digest, reason=str(error))
            return None
        self._settings = self._usable(settings, refused)
        return self._settings if self._note(new, refused) else None

    @property
    def _latest(self) -> Files | None:
        return self._begun[-1] if self._begun else self._applied

    def _to_apply(self) -> Files | None:
        """Give the state that the server is to have and hasn't whole, if there is one."""
        if self._latest is None:
            return None
        if digest_now(self._settings.config_dir) == self._latest.digest:
            self._foreign = ""
            return self._latest if self._begun else None
        return read_whole(self._settings.config_dir)

    def _is_foreign(self, new: Files, settings: NodeSettings) -> bool:
        """Say whether files are another node's, with a word in the log when that is news."""
        reason = other_node(self._started_as, settings)
        if reason and reason != self._foreign:
            self._log.warning("files-not-applied", digest=new.digest, reason=reason)
        self._foreign = reason
        return bool(reason)

    def _begin(self, new: Files) -> None:
        """Make ready what is to be told, whatever came of the states before."""
        self._write_users(new.texts)
        states = [files.texts for files in (self._applied, *self._begun) if files]
        self._waiting = commands_from_any(states, new.texts, tell=self._commands)
        self._begun.append(new)

    def _usable(self, new: NodeSettings, refused: Collection[Command]) -> NodeSettings:
        """Stay with a password for as long as the server refuses the change of its user.

        The node would else lock itself out, and one that isn't well takes no changes.
        """
        own = ("ACL", "SETUSER", new.credentials.username)
        if all(command[:3] != own for command in refused):
            return new
        return replace(new, credentials=self._settings.credentials)

    def _note(self, new: Files, refused: Mapping[Command, str]) -> bool:
        """Keep what came of it; True, and a word in the log, when that is news."""
        self._waiting = list(refused)
        if not refused:
            self._applied, self._begun = new, []
        outcome = (new.digest, list(refused.values()))
        if outcome == self._said:
            return False
        self._said = outcome
        self._log.info("files-applied", digest=new.digest, refused=outcome[1])
        return True

    @property
    def _acl_file(self) -> Path:
        return self._settings.run_dir / "users.acl"

    def _commands(self, old: Mapping[str, str], new: Mapping[str, str]) -> list[Command]:
        tell = data_commands if self._conf == "redis.conf" else sentinel_commands
        return tell(old, new)

    def _tell(self, commands: list[Command]) -> dict[Command, str]:
        """Send all; say what was refused, without values, for there are passwords in them."""
        refused: dict[Command, str] = {}
        credentials = Credentials(KEEPER, self._password)
        address = self._settings.address
        with self._settings.access.connect(address, credentials=credentials) as client:
            for command in commands:
                try:
                    client.execute_command(*command)
                except redis.ResponseError as error:
                    refused[command] = f"{' '.join(command[:3])}: {error}"
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
