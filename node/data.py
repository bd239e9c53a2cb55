"""A data node: guard, server, watch, handover; the program that a container or a unit runs."""

import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import redis

from node.appended import BrokenLog
from node.boot import BootGuard
from node.disk import Marker, Note
from node.errors import Stopped
from node.files import write_atomically
from node.guard import Action, Decision
from node.health import Health, judge, write_health
from node.keeper import Keeper
from node.orphan import LOOK_SECONDS, Search, is_orphan
from node.process import Events, Server
from node.settings import NodeSettings
from redis_ha.connection import Address
from redis_ha.discovery import (
    NodeView,
    ask_nodes,
    ask_sentinels,
    majority_master,
    parse_replication,
)
from redis_ha.errors import RedisHaError
from redis_ha.eventlog import EventLog
from redis_ha.switchover import OldMaster, switch_over

_PERIOD_SECONDS = 1.0
# Until the first good news, which a rolling change waits for, look more often.
_FIRST_PERIOD_SECONDS = 0.2
# A server that was stopped waits for its replicas; asked twice, it gets only so long.
_HURRIED_SECONDS = 2.0
# A master that is to stop in the middle of a slow command is asked for so long (s) what it is.
_ROLE_PATIENCE_SECONDS, _ROLE_LOOK_SECONDS = 3.0, 0.1
# The sentinel that leads a failover sends the other replicas to the new master a second later.
_RELIEF_SECONDS, _RELIEF_LOOK_SECONDS = 3.0, 0.1


def run_data_node(settings: NodeSettings) -> int:
    """Run one data node until it is stopped (0) or its server dies (1)."""
    log, events = EventLog(settings.name, component="guard"), Events()
    try:
        keeper = Keeper(settings, log, wait=events.wait)
        decision = BootGuard(settings, log, wait=events.wait).clear()
    except Stopped:
        log.info("stopped-before-start")
        return 0
    log.info("starting", role=decision.action.value, reason=decision.reason)
    return _DataNode(settings, log, events, keeper, decision).run()


class _DataNode:
    def __init__(
        self,
        settings: NodeSettings,
        log: EventLog,
        events: Events,
        keeper: Keeper,
        decision: Decision,
    ) -> None:
        self._settings = settings
        self._log = log
        self._events = events
        self._keeper = keeper
        self._client = self._connect()
        self._search = Search()
        self._broken_log = BrokenLog()
        started = datetime.now(UTC).isoformat(timespec="seconds")
        self._note = Note(settings.data_dir, Marker(started), self._not_noted)
        self._server = Server([settings.server, self._write_config(decision)])
        events.server = self._server

    def run(self) -> int:
        period = _FIRST_PERIOD_SECONDS
        while not self._events.stop_asked(period):
            if self._server.exit_code is not None:
                return self._died()
            health, view = self._watch()
            if health.healthy:
                period = _PERIOD_SECONDS
                self._take_changes()
            if self._follow_heir(view):
                period = LOOK_SECONDS
            elif period == LOOK_SECONDS:
                period = _FIRST_PERIOD_SECONDS
        self._stop()
        return 0

    def _connect(self) -> redis.Redis:
        settings = self._settings
        return settings.access.connect(settings.address, name=self._keeper.connection_name)

    def _take_changes(self) -> None:
        """Apply what changed in the node's files; a node that isn't well is left alone."""
        changed = self._keeper.look()
        if changed is not None:
            self._settings = changed
            self._client.close()
            self._client = self._connect()

    def _write_config(self, decision: Decision) -> str:
        """Write the server's configuration anew, with the role that the guard decided."""
        text = (self._settings.config_dir / "redis.conf").read_text()
        if decision.action is Action.START_AS_REPLICA and decision.master is not None:
            text += f"\nreplicaof {decision.master.host} {decision.master.port}\n"
        path = self._settings.data_dir / "redis.conf"
        write_atomically(path, self._keeper.prepare(text))
        return str(path)

    def _watch(self) -> tuple[Health, NodeView]:
        view = self._ask()
        health = judge(view).with_remark(self._keeper.complaint)
        self._write_health(health)
        if view.role is not None and not view.loading:
            self._see(view)
        return health, view

    def _follow_heir(self, view: NodeView) -> bool:
        """Follow the successor of a master that left us; True while we have to look again soon."""
        if not is_orphan(view):
            self._search.end()
            return False
        heir = self._search.look(view, self._settings.access, self._settings.peers)
        if heir is None:
            return self._search.eager
        self._log.info("following-heir", master=heir, old=view.master)
        with suppress(redis.RedisError, OSError):
            self._command("REPLICAOF", heir.host, str(heir.port))
        return False

    def _ask(self) -> NodeView:
        address = self._settings.address
        try:
            info = self._client.info()
            self._mend_log(info)
            return parse_replication(address, info)
        except (redis.RedisError, OSError) as error:
            self._client.close()
            return NodeView(address, problem=str(error) or type(error).__name__)

    def _mend_log(self, info: Mapping[str, Any]) -> None:
        """Have the append-only file written anew after an error in writing it is over."""
        if self._broken_log.wants_rewrite(info, time.monotonic()):
            self._log.warning("rewriting-appended", reason="writing it had failed for a time")
            try:
                self._command("BGREWRITEAOF")
            except redis.ResponseError as error:
                self._log.warning("no-rewrite", reason=str(error))

    def _see(self, view: NodeView) -> None:
        """Keep the marker true without a write per second: the offset is noted at the end."""
        role, known = view.role or "", self._note.marker
        seen = replace(known, role=role, replid=view.replid, has_keys=view.keys > 0)
        if seen != known:
            self._log.info("role-changed", role=view.role, replid=view.replid, master=view.master)
        self._note.put(seen)

    def _not_noted(self, reason: str) -> None:
        self._log.error("marker-not-written", reason=reason)

    def _write_health(self, health: Health) -> None:
        # Whoever reads it sees its age.
        with suppress(OSError):
            write_health(self._settings.health_file, health)

    def _died(self) -> int:
        self._log.error("server-died", exit_code=self._server.exit_code)
        self._write_health(Health(False, "the server died"))
        return 1

    def _stop(self) -> None:
        self._write_health(Health(False, "stopping"))
        hurried = self._is_master() and not self._hand_over()
        final = self._freeze()
        self._log.info("stopping-server", role=final.role, offset=final.offset)
        seconds = _HURRIED_SECONDS if hurried else self._settings.stop_seconds
        if self._end_server(seconds) and final.role is not None:
            seen = replace(self._note.marker, role=final.role, replid=final.replid)
            clean = replace(seen, clean_stop=True, offset=final.offset, has_keys=final.keys > 0)
            self._note.put(clean)
        self._log.info("stopped", exit_code=self._server.exit_code)

    def _is_master(self) -> bool:
        """Ask what this node is; one that was master and is busy just now is asked again."""
        deadline = time.monotonic() + _ROLE_PATIENCE_SECONDS
        while (view := self._ask()).role is None and self._note.marker.role == "master":
            late = time.monotonic() >= deadline or self._server.exit_code is not None
            if late or self._events.stop_asked(_ROLE_LOOK_SECONDS):
                self._log.warning("no-handover", reason=f"it doesn't answer: {view.problem}")
                break
        return view.role == "master"

    def _hand_over(self) -> bool:
        """Give the mastership away without loss, or say why not; False when asked to hurry."""
        self._log.info("handing-over")
        deadline = time.monotonic() + self._settings.handover_seconds
        try:
            done = switch_over(
                self._settings.access,
                deadline_seconds=self._settings.handover_seconds,
                old_master=OldMaster.LEAVE,
                expected=self._settings.address,
                sleep=self._events.wait,
            )
        except (RedisHaError, redis.RedisError, OSError) as error:
            self._log.warning("no-handover", reason=str(error))
        except Stopped as stopped:
            self._log.warning("handover-broken-off", reason=str(stopped))
            return False
        else:
            gap = round(done.write_gap_seconds, 3)
            self._log.info("handed-over", to=done.new, offset=done.new_offset, gap_seconds=gap)
            return self._await_relief(done.new, deadline)
        return True

    def _await_relief(self, new: Address, deadline: float) -> bool:
        """Stay the new master's replica until it can do without; False when asked to hurry.

        Without any replica it accepts no writes (min-replicas-to-write). And sentinels that still
        name this node would, once it is gone, promote one that lacks what the new master took.
        """
        relieved = min(deadline, time.monotonic() + _RELIEF_SECONDS)
        while not self._is_named(new) or not (
            self._has_another(new) or time.monotonic() >= relieved
        ):
            if time.monotonic() >= deadline:
                self._log.warning("successor-not-named", master=str(new))
                break
            if self._events.stop_asked(_RELIEF_LOOK_SECONDS):
                return False
        return True

    def _is_named(self, new: Address) -> bool:
        return majority_master(ask_sentinels(self._settings.access)) == new

    def _has_another(self, new: Address) -> bool:
        settings = self._settings
        others = [peer for peer in settings.peers if peer != new]
        return not others or any(view.follows(new) for view in ask_nodes(settings.access, others))

    def _freeze(self) -> NodeView:
        """Let no more writes in, so that the offset that is noted is the final one."""
        with suppress(redis.RedisError, OSError):
            pause = int((self._settings.stop_seconds + 5) * 1000)
            self._command("CLIENT", "PAUSE", str(pause), "WRITE")
        return self._ask()

    def _command(self, *words: str) -> None:
        self._client.execute_command(*words)  # type: ignore[no-untyped-call]

    def _end_server(self, seconds: float) -> bool:
        """Stop the server, by force when it takes too long or is asked again; True if in order."""
        self._server.send(signal.SIGTERM)
        deadline = time.monotonic() + seconds
        while self._server.exit_code is None:
            remaining = deadline - time.monotonic()
            if self._events.stop_asked(max(0.0, remaining)) or remaining <= 0:
                self._log.warning("killing-server")
                self._server.send(signal.SIGKILL)
                self._events.stop_asked(5.0)
        return self._server.exit_code == 0
