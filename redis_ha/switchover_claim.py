"""Who may pause a master: a claim that lives and dies with a connection to it.

A lock needs no store beside the data: a claim is a connection whose name says whose it is. MULTI
makes setting the name and looking for others' one step, so that of two who come at once exactly
one sees nobody. The kernel closes the connection when its process dies, so nothing stays behind;
whoever vanishes without that is silent for a while, and is then cut off by the next who comes.
An operator and its guard hold one each under the same token: the claim stands while one of them
lives. What pauses and unpauses goes over the claim, so it is never done without it. A promotion
needs no new claim: who comes later finds another master than the one it wanted to relieve.

Needs the rights to multi, exec, client setname, client list, client kill, client pause and client
unpause on the master.
"""

import secrets
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import redis

from redis_ha.connection import Address
from redis_ha.discovery import Access
from redis_ha.errors import SwitchoverBusy, SwitchoverRefused
from redis_ha.explaining import explained

_PREFIX = "redis-ha:switchover:"
# A claim says something each second; one that said nothing for so long (s) has lost its process.
SILENT_SECONDS = 10
_BEAT_SECONDS = 1.0


@dataclass(frozen=True)
class Holder:
    """One connection that holds a claim: its id, whose it is, and its age and silence (s)."""

    connection: int
    token: str
    peer: str
    user: str
    age: int
    silence: int


def new_token() -> str:
    """Return a token that nobody else has."""
    return secrets.token_hex(8)


def parse_holders(listing: str) -> list[Holder]:
    """Read the connections that hold a claim from the text of CLIENT LIST."""
    rows = (dict(p.partition("=")[::2] for p in line.split()) for line in listing.splitlines())
    return [
        Holder(
            connection=int(row["id"]),
            token=row["name"].removeprefix(_PREFIX),
            peer=row["addr"],
            user=row.get("user", ""),
            age=int(row["age"]),
            silence=int(row["idle"]),
        )
        for row in rows
        if row.get("name", "").startswith(_PREFIX)
    ]


def find_rival(holders: Sequence[Holder], token: str) -> Holder | None:
    """Return the oldest connection of somebody else who is alive, if any."""
    rivals = [h for h in holders if h.token != token and h.silence < SILENT_SECONDS]
    return min(rivals, key=lambda holder: holder.connection, default=None)


def left_behind(holders: Sequence[Holder], token: str) -> list[Holder]:
    """Return the silent connections of others: should their process come back, it has no claim."""
    return [h for h in holders if h.token != token and h.silence >= SILENT_SECONDS]


@dataclass
class Claim:
    """The claim on one master; made by `claim`."""

    node: Address
    _connection: Any
    _pause: float | None = None
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _over: threading.Event = field(default_factory=threading.Event)

    def command(self, *words: object) -> Any:
        """Send one command; raises redis.RedisError, also for ever once the connection broke."""
        with self._lock:
            if self._connection is None:
                raise redis.ConnectionError(f"the claim on {self.node} is lost")
            try:
                self._connection.send_command(*words)
                return self._connection.read_response()
            except redis.ResponseError:
                raise
            except (redis.RedisError, OSError):
                self.close()
                raise

    def pause(self, seconds: float) -> None:
        """Pause writes once: the pause ends by itself, and nothing renews it any more."""
        with self._lock:
            self._pause = None
            self._pause_for(seconds)

    def hold(self, seconds: float) -> None:
        """Pause writes and renew that each second: `seconds` is what outlasts this process."""
        with self._lock:
            self._pause = seconds
            self._pause_for(seconds)

    def release(self) -> None:
        """Let writes go; raises redis.RedisError."""
        with self._lock:
            self._pause = None
            self.command("CLIENT", "UNPAUSE")

    def close(self) -> None:
        """Give the claim up; a pause stays."""
        self._over.set()
        with self._lock:
            if self._connection is not None:
                self._connection.disconnect()
            self._connection = None

    def beat(self) -> None:
        """Show signs of life and renew the pause until the claim is closed or lost."""
        while not self._over.wait(_BEAT_SECONDS):
            with suppress(redis.RedisError, OSError), self._lock:
                if self._pause is None:
                    self.command("PING")
                else:
                    self._pause_for(self._pause)

    def _pause_for(self, seconds: float) -> None:
        self.command("CLIENT", "PAUSE", max(1, int(seconds * 1000)), "WRITE")


def claim(access: Access, node: Address, token: str) -> Claim:
    """Be the only one who switches this master over.

    Raises SwitchoverBusy when somebody else is, SwitchoverRefused when it can't be claimed.
    """
    connection: Any = access.connect(node).connection_pool.make_connection()
    try:
        connection.connect()
        holders = parse_holders(_name_and_look(connection, token))
        rival = find_rival(holders, token)
        if rival is None:
            for holder in left_behind(holders, token):
                connection.send_command("CLIENT", "KILL", "ID", holder.connection)
                connection.read_response()
    except (redis.RedisError, OSError) as error:
        connection.disconnect()
        raise SwitchoverRefused(
            operation="claim",
            subject=str(node),
            cause=explained(error),
            hint="nothing was changed; see `redis-ha doctor`",
        ) from error
    if rival is not None:
        connection.disconnect()
        raise SwitchoverBusy(
            operation="switch over",
            subject=access.master_name,
            cause=_described(rival),
            hint="nothing was changed; wait for its end, see `redis-ha status`",
        )
    claimed = Claim(node, connection)
    threading.Thread(target=claimed.beat, daemon=True, name="switchover claim").start()
    return claimed


def _name_and_look(connection: Any, token: str) -> str:
    for words in (("MULTI",), ("CLIENT", "SETNAME", _PREFIX + token), ("CLIENT", "LIST")):
        connection.send_command(*words)
        connection.read_response()
    connection.send_command("EXEC")
    return str(connection.read_response()[1])


def _described(rival: Holder) -> str:
    return (
        f"another switchover is under way for {rival.age} s, by user {rival.user} from {rival.peer}"
    )
