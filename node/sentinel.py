"""A sentinel: seeded once, its memory kept from then on; watched and stopped like a data node."""

import signal
import time
from collections.abc import Callable

import redis

from node.clock import Clock
from node.errors import BadSettings, Stopped
from node.files import write_atomically
from node.forgetting import Forgotten, all_well, gone, is_my_turn
from node.health import Health, write_health
from node.keeper import Keeper
from node.process import Events, Server
from node.sentinel_memory import monitors, with_memory
from node.settings import NodeSettings
from node.witness import Companion
from redis_ha.connection import Address
from redis_ha.discovery import ask_sentinels
from redis_ha.eventlog import EventLog

_PERIOD_SECONDS = 1.0
# Between two looks for members that are gone (s).
_FORGET_EVERY = 3.0
# How often a sentinel that takes the master for dead asks the others for their view. Sentinel's
# own second costs a failover that second wherever all of them notice at the same time: the first
# asks, is told no, and asks again too late.
_ASK_PERIOD_MS = 200


def run_sentinel(settings: NodeSettings) -> int:
    """Run one sentinel until it is stopped (0) or its server dies (1)."""
    log, events = EventLog(settings.name, component="guard"), Events()
    try:
        keeper = Keeper(settings, log, wait=events.wait)
    except Stopped:
        log.info("stopped-before-start")
        return 0
    return _Sentinel(settings, log, events, keeper).run()


class _Sentinel:
    def __init__(
        self, settings: NodeSettings, log: EventLog, events: Events, keeper: Keeper
    ) -> None:
        self._settings = settings
        self._log = log
        self._events = events
        self._keeper = keeper
        self._server = self._start()
        self._client = self._connect()
        self._witness = Companion(settings, log, events)
        self._looked = time.monotonic()
        self._forgotten = Forgotten()
        self._clock = Clock(time.time(), time.monotonic())

    def run(self) -> int:
        while not self._events.stop_asked(_PERIOD_SECONDS):
            if self._server.exit_code is not None:
                self._log.error("server-died", exit_code=self._server.exit_code)
                return 1
            self._witness.keep_running()
            if self._clock.was_set_back(time.time(), time.monotonic()):
                self._log.warning("clock-set-back", reason="the sentinel would wait for it")
                if not self._begin_anew():
                    break
            health = self._ask()
            write_health(self._settings.health_file, health)
            if health.healthy and not self._look_after():
                break
        self._stop()
        return 0

    def _start(self) -> Server:
        path = seed_config(self._settings, self._log, prepare=self._keeper.prepare_again)
        server = Server([self._settings.server, path, "--sentinel"])
        self._asks_often = False
        self._events.server = server
        return server

    def _connect(self) -> redis.Redis:
        settings = self._settings
        return settings.access.connect(settings.address, name=self._keeper.connection_name)

    def _ask(self) -> Health:
        """Judge the sentinel; a missing witness is worth a word, not a restart."""
        try:
            self._client.ping()
            self._have_it_ask_often()
        except (redis.RedisError, OSError) as error:
            self._client.close()
            reason = str(error) or type(error).__name__
            return Health(False, f"the sentinel doesn't answer: {reason}")
        return Health(True, f"sentinel{self._witness.complaint}{self._keeper.complaint}")

    def _have_it_ask_often(self) -> None:
        """Set what no configuration file can, once for each start of the server."""
        if self._asks_often:
            return
        try:
            self._client.execute_command("SENTINEL", "DEBUG", "ask-period", str(_ASK_PERIOD_MS))  # type: ignore[no-untyped-call]
        except redis.ResponseError as error:
            self._log.warning("asks-seldom", reason=str(error))
        self._asks_often = True

    def _look_after(self) -> bool:
        """Take changed files, forget who is gone; False when a stop was asked for meanwhile."""
        changed = self._keeper.look()
        if changed is not None:
            self._settings = changed
            self._forgotten.welcome({*changed.data_nodes, *changed.sentinels})
            self._witness.renew(changed)
            self._client.close()
            self._client = self._connect()
        now = time.monotonic()
        if now - self._looked < _FORGET_EVERY:
            return True
        self._looked = now
        lost = self._to_forget()
        return self._forget(lost) if lost else True

    def _to_forget(self) -> list[Address]:
        """Name who is gone, if this is the moment to forget them."""
        settings = self._settings
        if not is_my_turn(settings.address, settings.sentinels, now=time.time()):
            return []
        try:
            rows = [*self._client.sentinel_slaves(settings.master_name)]
            rows += list(self._client.sentinel_sentinels(settings.master_name))  # type: ignore[arg-type]
        except (redis.RedisError, OSError):
            return []
        members = {*settings.data_nodes, *settings.sentinels}
        lost = gone(rows, members)
        if self._forgotten.lately(lost, now=time.monotonic()):
            return []
        return lost if all_well(ask_sentinels(settings.access)) else []

    def _forget(self, lost: list[Address]) -> bool:
        members = [str(address) for address in lost]
        self._log.info("forgetting", members=members, reason="they are down and not the stack's")
        self._forgotten.note(lost, now=time.monotonic())
        return self._begin_anew()

    def _begin_anew(self) -> bool:
        """Start the server again; False when a stop was asked for meanwhile."""
        self._client.close()
        if not self._end_server():
            return False
        self._server = self._start()
        return True

    def _end_server(self) -> bool:
        """Stop the server, by force when it takes too long; False when a stop was asked for."""
        self._server.send(signal.SIGTERM)
        asked = self._events.stop_asked(self._settings.stop_seconds)
        if self._server.exit_code is None:
            self._server.send(signal.SIGKILL)
            asked = self._events.stop_asked(self._settings.stop_seconds) or asked
        return not asked

    def _stop(self) -> None:
        write_health(self._settings.health_file, Health(False, "stopping"))
        self._witness.stop()
        self._server.send(signal.SIGTERM)
        if self._events.stop_asked(self._settings.stop_seconds) or self._server.exit_code is None:
            self._server.send(signal.SIGKILL)
        self._log.info("stopped", exit_code=self._server.exit_code)


def seed_config(
    settings: NodeSettings, log: EventLog, *, prepare: Callable[[str], str] = str
) -> str:
    """Write the live file, the seed's settings with Sentinel's own memory; return its path.

    `prepare` has the last word on the seed.
    Raises BadSettings when a live file is there and names no master: its memory is lost.
    """
    path = settings.data_dir / "sentinel.conf"
    seed = prepare((settings.config_dir / "sentinel.conf").read_text())
    if not path.exists():
        write_atomically(path, seed)
        log.info("seeded", file=path)
        return str(path)
    live = path.read_text()
    if not monitors(live, settings.master_name):
        raise BadSettings(
            operation="start from",
            subject=str(path),
            cause=f"it doesn't monitor {settings.master_name}",
            hint="it is torn or foreign: move it away to seed this sentinel anew",
        )
    members = {(a.host, a.port) for a in (*settings.data_nodes, *settings.sentinels)}
    text = with_memory(seed, live=live, master_name=settings.master_name, members=members)
    write_atomically(path, text)
    return str(path)
