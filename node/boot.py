"""The boot guard's loop: look, decide, act, until the server may start."""

import time
from collections.abc import Callable
from dataclasses import replace

from node.disk import Disk, read_disk
from node.guard import Action, Decision, Situation, decide
from node.health import Health, write_health
from node.settings import NodeSettings
from redis_ha.discovery import SentinelView, ask_nodes, ask_sentinels
from redis_ha.eventlog import EventLog
from redis_ha.failover_request import Request, ask_for_failover, asking_order

_LOOK_AGAIN_SECONDS = 0.3


class BootGuard:
    """Holds a starting data node back until it is clear as what it may start."""

    def __init__(
        self,
        settings: NodeSettings,
        log: EventLog,
        *,
        wait: Callable[[float], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._log = log
        self._wait = wait
        self._clock = clock
        self._asked: tuple[Request, float] | None = None
        self._refusals = 0

    def clear(self) -> Decision:
        """Return how to start; `wait` may raise to break off."""
        began, said = self._clock(), ""
        disk = read_disk(self._settings.data_dir)
        while True:
            situation = self._look(disk, began)
            decision = decide(situation)
            if decision.action in (Action.START_AS_MASTER, Action.START_AS_REPLICA):
                return decision
            if decision.reason != said:
                self._log.warning("waiting", reason=decision.reason)
                said = decision.reason
            write_health(self._settings.health_file, Health(False, f"waiting: {decision.reason}"))
            if decision.action is Action.ASK_FOR_FAILOVER:
                self._ask(situation.sentinels)
            self._wait(_LOOK_AGAIN_SECONDS)

    def _look(self, disk: Disk, began: float) -> Situation:
        settings, now = self._settings, self._clock()
        sentinels = ask_sentinels(settings.access)
        peers = ask_nodes(settings.access, settings.peers)
        return Situation(
            me=settings.address,
            initial_master=settings.name == settings.initial_master,
            disk=disk,
            sentinels=tuple(sentinels),
            peers=tuple(peers),
            waited=now - began,
            request=replace(self._asked[0], age=now - self._asked[1]) if self._asked else None,
            refusals=self._refusals,
            peer_wait=settings.peer_wait_seconds,
            failover_retry=settings.failover_retry_seconds,
        )

    def _ask(self, views: tuple[SentinelView, ...]) -> None:
        """Ask the same sentinel that anybody else would ask, of those that answer."""
        settings = self._settings
        order = asking_order(views, master=settings.address, data_nodes=settings.data_nodes)
        sentinel = next(view.sentinel for view in order if not view.problem)
        answer, text = ask_for_failover(self._settings.access, sentinel)
        self._log.warning("failover-requested", sentinel=sentinel, answer=answer, text=text)
        request = Request(sentinel, answer, text=text)
        self._asked = (request, self._clock())
        self._refusals = self._refusals + 1 if request.no_good_replica else 0
