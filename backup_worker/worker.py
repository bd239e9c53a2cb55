"""The worker: follows the stream all the time, takes snapshots while it holds the lease.

Any number may run. One holds the lease: it ships its log and takes the snapshots. The others
follow as well and keep the last minutes, so that whoever takes over has no gap to bridge.
"""

import logging
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NoReturn, TypeVar

from backup_worker import metrics, schedule
from backup_worker import status as statuses
from backup_worker.clock import Clocks
from backup_worker.config import WorkerConfig
from backup_worker.demand import Demand
from backup_worker.errors import BackupError, LeaseLost
from backup_worker.health import BEAT_SECONDS, Heartbeat
from backup_worker.lease import Lease
from backup_worker.log.following import Following
from backup_worker.rounds import Rounds
from backup_worker.schedule import Standing
from backup_worker.snapshot import Destination
from backup_worker.status import Role, WorkerStatus
from backup_worker.store.contract import Store
from backup_worker.store.fenced import FencedStore
from backup_worker.store.observed import ObservedStore
from redis_ha.eventlog import emit

T = TypeVar("T")
# How long the first round waits for the log.
_LOG_SECONDS = 10.0


@dataclass(frozen=True)
class Parts:
    """What a worker works with; opening a store may fail and is tried again.

    `destination` is given what to call while its store takes bytes, from any thread.
    `lease_store` answers or fails within seconds. `following` is None when the log is off.
    `rounds` gets a store that only the holder of the lease `term` may change.
    """

    destination: Callable[[Callable[[], None]], Destination]
    lease_store: Callable[[], Store]
    following: Callable[[Destination, Demand], Following | None]
    rounds: Callable[[Destination, int, Demand], Rounds]


@dataclass
class Worker:
    """Runs until an exception that is no Exception ends it (SIGTERM), unwinding what is open.

    `me` is the id under which it asks for the lease, `name` what it is called in its status.
    """

    parts: Parts
    config: WorkerConfig
    me: str
    name: str
    health_file: Path
    clocks: Clocks = field(default_factory=Clocks)
    demand: Demand = field(default_factory=Demand)
    _role: Role = field(default="starting", init=False)
    _term: int = field(default=0, init=False)
    _problem: str = field(default="", init=False)
    _rounds: Rounds | None = field(default=None, init=False)
    _following: Following | None = field(default=None, init=False)
    _store: ObservedStore | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        files = {
            self.health_file: self._line,
            self.config.state / statuses.FILE_NAME: lambda: statuses.encode(self.status()),
        }
        self._heart = Heartbeat(files, monotonic=self.clocks.steady)

    def run(self) -> NoReturn:
        """Stand by and work in turn, for ever."""
        with ExitStack() as stack:
            stack.enter_context(self._heart.beating())
            self._serve_metrics(stack)
            alive = self._heart.sign_of_life
            destination = self._opened(lambda: self.parts.destination(alive))
            self._store = ObservedStore(self._opened(self.parts.lease_store))
            lease = Lease(self._store, self.me, clock=self.clocks.steady)
            self._following = self.parts.following(destination, self.demand)
            if self._following is not None:
                stack.enter_context(self._following.running())
            while True:
                self._work(lease, self._stand_by(lease), destination)

    def status(self) -> WorkerStatus:
        """Say what this worker knows of itself now."""
        standing = Standing() if self._rounds is None else self._rounds.standing
        now = self.clocks.steady()
        return WorkerStatus(
            at=self.clocks.wall().timestamp(),
            worker=self.name,
            role=self._role,
            term=self._term,
            interval=self.config.interval.total_seconds(),
            seal_seconds=self.config.log.seal_seconds,
            snapshot=standing.snapshot,
            snapshot_age=None if standing.snapshot is None else now - standing.taken,
            proof_age=None if standing.proven_at is None else now - standing.proven_at,
            proving=self.config.drill,
            snapshot_seconds=standing.seconds,
            drill_seconds=standing.drill_seconds,
            restore_seconds=statuses.last_restore(self.config.state),
            log=None if self._following is None else self._following.state(self.demand.open[1]),
            problem=self._problem or standing.problem,
            proof_failed=standing.proof_failed,
            store_problem=self._problem if self._store is None else self._store.problem,
            store_failures=0 if self._store is None else self._store.failures,
        )

    def _opened(self, opening: Callable[[], T]) -> T:
        """Try to open a store until it is there."""
        failures = 0
        while True:
            self._heart.sign_of_life()
            try:
                opened = opening()
            except BackupError as error:
                failures += 1
                self._trouble("store-not-opened", error)
                self.demand.bell.wait(schedule.pause_after(failures, interval=BEAT_SECONDS))
            else:
                self._problem = ""
                return opened

    def _stand_by(self, lease: Lease) -> int:
        """Wait for the lease; return its term."""
        while True:
            self._heart.sign_of_life()
            try:
                term = lease.try_acquire()
                if term is None and self._following is not None:
                    self._following.stand_by()
                self._problem = ""
            except BackupError as error:
                term = None
                self._trouble("lease-out-of-reach", error)
            if term is not None:
                return term
            self._role = "starting" if self._problem and self._role == "starting" else "standing by"
            self._wait(lease.pause)

    def _work(self, lease: Lease, term: int, destination: Destination) -> None:
        """Hold the lease as long as it lasts."""
        emit("lease-held", term=term)
        lost = threading.Event()

        def on_lost(error: LeaseLost) -> None:
            emit("lease-lost", level=logging.WARNING, term=term, reason=error.cause)
            lost.set()
            self.demand.bell.set()

        fenced = replace(destination, store=FencedStore(destination.store, lease.require))
        with lease.kept(on_lost), ExitStack() as stack:
            self._role, self._term = "working", term
            if self._following is not None:
                # Where another worker's log reaches into ours, its snapshots do so too.
                self.demand.met_since(self._following.stored_until())
                stack.enter_context(self._following.leading(lease.require, term))
            self._rounds = self.parts.rounds(fenced, term, self.demand)
            self._rounds.alive = self._heart.sign_of_life
            self._await_log()
            while not lost.is_set():
                self._wait(self._rounds.round())
        self._role, self._term = "standing by", 0

    def _await_log(self) -> None:
        """Give the log a moment to begin: a snapshot taken before it would not reach into it."""
        until = self.clocks.steady() + _LOG_SECONDS
        while self._following is not None and not self._following.attached:
            if self.clocks.steady() > until:
                return
            self._heart.sign_of_life()
            self.demand.bell.wait(0.1)

    def _wait(self, seconds: float) -> None:
        """Wait until then, or until somebody rings."""
        until = self.clocks.steady() + seconds
        self._heart.write()
        while (left := until - self.clocks.steady()) > 0:
            self._heart.sign_of_life()
            if self.demand.bell.wait(min(left, BEAT_SECONDS)):
                self.demand.bell.clear()
                return

    def _trouble(self, event: str, error: BackupError) -> None:
        if str(error) != self._problem:
            emit(event, level=logging.ERROR, error=str(error))
        self._problem = str(error)

    def _serve_metrics(self, stack: ExitStack) -> None:
        address, scratch, access = self.config.metrics, self.config.scratch, self.config.access
        if address is None or scratch is None:
            return
        serving = metrics.served(
            self.status,
            address,
            certificate=scratch.certificate,
            private_key=scratch.private_key,
            ca=None if access is None else access.ca,
        )
        emit("metrics-served", host=address.host, port=stack.enter_context(serving))

    def _line(self) -> str:
        if self._role == "standing by":
            return f"ok standing by; {self._problem}" if self._problem else "ok standing by"
        if self._rounds is None:
            return f"starting: {self._problem}"
        seconds = self.config.interval.total_seconds()
        return schedule.health_line(
            self._rounds.standing, now=self.clocks.steady(), interval=seconds
        )
