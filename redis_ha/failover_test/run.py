"""One fault from the first write to the last check: the thin shell that does it all in order."""

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from redis_ha.errors import HarmRefused
from redis_ha.failover_request import ask_for_failover
from redis_ha.failover_test import quieting, steadiness
from redis_ha.failover_test.clients import KINDS
from redis_ha.failover_test.deeds import deeds_between
from redis_ha.failover_test.expectation import LiveSettings
from redis_ha.failover_test.hands import Hands, Injury, InsideClient
from redis_ha.failover_test.inside import KIND as INSIDE
from redis_ha.failover_test.journal import Journal
from redis_ha.failover_test.ledger import find_lost, key_of
from redis_ha.failover_test.measures import promotions
from redis_ha.failover_test.observer import Observer
from redis_ha.failover_test.records import (
    BEGUN,
    DONE,
    HEALED,
    HEALING,
    HEALTHY,
    PROMOTED,
    ClientRecord,
    Fault,
    LostWrite,
    RunRecord,
)
from redis_ha.failover_test.workload import Job, Workload
from redis_ha.site import Member, Site
from redis_ha.switchover import OldMaster, switch_over
from redis_ha.switchover_guard import guarded
from redis_ha.witness.hearing import Hearing, hear_witnesses

_POLL = 0.02
_START_SECONDS = 30.0
_ELECTION_SECONDS = 30.0
_WHOLE_SECONDS = 120.0
# redis-py's own retries alone can take this long (s).
_COMEBACK_SECONDS = 45.0
# What Sentinel needs to make the old master a replica after a plain failover (s).
_PLAIN_SECONDS = 13.0

Say = Callable[[str], None]


def clients_limit(seconds: float) -> float:
    """Say when (s) clients end by themselves: a run lasts `seconds` before and after the fault."""
    rest = _START_SECONDS + _ELECTION_SECONDS + _COMEBACK_SECONDS + _WHOLE_SECONDS
    return 2 * max(seconds, _PLAIN_SECONDS) + 2 * rest


@dataclass(frozen=True)
class Options:
    """How the clients work: `pace` (s) between two writes of a writer.

    `seconds` is for how long they work undisturbed before the fault and again after it.
    """

    kinds: tuple[str, ...] = KINDS
    writers: int = 2
    pace: float = 0.004
    seconds: float = 3.0


@dataclass
class Run:
    """One run on one site."""

    site: Site
    fault: Fault
    hands: Hands
    journal: Journal
    options: Options
    settings: LiveSettings
    say: Say = print
    id: str = field(default_factory=lambda: secrets.token_hex(4))
    marks: dict[str, float] = field(default_factory=dict)

    def record(self) -> RunRecord:
        """Do it; raises HarmRefused when the cluster is not fit, and leaves it as it was."""
        wrong = steadiness.wait_until_whole(
            self.site, within=_WHOLE_SECONDS, wrong=steadiness.unfit
        )
        if wrong:
            raise HarmRefused(
                operation=f"begin the fault {self.fault} on",
                subject=self.site.operator.master_name,
                cause="the cluster is not healthy: " + "; ".join(wrong),
                hint="see `redis-ha health`; a cluster that is hurt already proves nothing",
            )
        evicted = steadiness.evictions(self.site)
        victim = steadiness.master_of(self.site)
        injury = self._prepare(victim)
        observer = Observer(self.site, self.id)
        self.journal.owe(keys=(*self._keys(inside=True), *observer.probe_keys()))
        try:
            return self._watched(victim, injury, observer, evicted=evicted)
        finally:
            put_right(self.site, self.hands, self.journal)

    def _prepare(self, victim: Member) -> Injury | None:
        if self.fault in ("switchover", "plain"):
            return None
        fault: Fault = "crash" if self.fault == "crash-unseen" else self.fault
        if fault not in self.hands.faults:
            raise HarmRefused(
                operation="inflict",
                subject=self.fault,
                cause="it can't be done to nodes of this kind",
                hint="choose one of " + ", ".join(sorted(self.hands.faults)),
            )
        return self.hands.prepare(fault, victim, sentinels=self.site.sentinels)

    def _watched(
        self, victim: Member, injury: Injury | None, observer: Observer, *, evicted: dict[str, int]
    ) -> RunRecord:
        heard = self._hear()
        with ExitStack() as stack:
            stack.enter_context(observer.watching())
            workloads = stack.enter_context(self._workloads())
            self._await_writes(workloads)
            inside = self._inside(victim)
            if inside is not None:
                stack.callback(inside.kill)
            time.sleep(self.options.seconds)
            self._inflict(injury, victim)
            self._await_promotion(observer, victim)
            self._await_comeback(workloads)
            time.sleep(self._hold_seconds())
            self._heal(injury)
            wrong = steadiness.wait_until_whole(self.site, within=_WHOLE_SECONDS)
            self._mark(HEALTHY)
            time.sleep(1.0)
            clients = tuple(workload.stop() for workload in workloads)
            cut_off = inside.stop() if inside else None
        return self._closed(
            RunRecord(
                self.fault,
                victim.name,
                marks=dict(self.marks),
                clients=clients,
                nodes={name: tuple(seen) for name, seen in observer.nodes.items()},
                sentinels={name: tuple(seen) for name, seen in observer.sentinels.items()},
                lost=self._lost((*clients, cut_off) if cut_off else clients),
                inside=cut_off,
                unhealthy="; ".join(wrong),
                unequal=steadiness.differences(self.site, self._keys()),
                evicted=self._evicted_since(evicted),
                deeds=deeds_between(heard, self._hear(), name=self._name_of),
            )
        )

    def _hear(self) -> Hearing:
        return hear_witnesses(self.site.operator, [m.address for m in self.site.data_nodes])

    def _name_of(self, address: str) -> str:
        members = (*self.site.data_nodes, *self.site.sentinels)
        return next((m.name for m in members if str(m.address) == address), address)

    def _closed(self, run: RunRecord) -> RunRecord:
        """Take the promotion's moment from the samples, which know it best."""
        seen = promotions(run)
        if seen:
            self.marks[PROMOTED] = seen[0][0]
        return RunRecord(**{**vars(run), "marks": dict(sorted(self.marks.items(), key=_moment))})

    @contextmanager
    def _workloads(self) -> Iterator[list[Workload]]:
        with ExitStack() as stack:
            started: list[Workload] = []
            for kind in self.options.kinds:
                job = Job(
                    kind,
                    self.site.app or self.site.operator,
                    self.id,
                    clients_limit(self.options.seconds),
                    writers=self.options.writers,
                    pace=self.options.pace,
                )
                workload = Workload(job)
                stack.callback(workload.kill)
                started.append(workload)
            yield started

    def _keys(self, *, inside: bool = False) -> list[str]:
        keys = [
            key_of(self.id, kind, number)
            for kind in self.options.kinds
            for number in range(self.options.writers)
        ]
        return [*keys, key_of(self.id, INSIDE, 0)] if inside else keys

    def _await_writes(self, workloads: list[Workload]) -> None:
        """Wait until every writer of every kind has written something."""
        deadline = time.monotonic() + _START_SECONDS
        while not all(all(workload.progress().last) for workload in workloads):
            if time.monotonic() > deadline:
                raise HarmRefused(
                    operation="begin the fault",
                    subject=self.fault,
                    cause=f"not every client can write within {_START_SECONDS:.0f} s",
                    hint="check the application's user with `redis-ha health`",
                )
            time.sleep(0.1)

    def _inside(self, victim: Member) -> InsideClient | None:
        if self.fault not in ("partition", "asymmetric-partition"):
            return None
        access = self.site.app or self.site.operator
        return self.hands.inside(victim, access, key=key_of(self.id, INSIDE, 0))

    def _inflict(self, injury: Injury | None, victim: Member) -> None:
        if self.fault == "crash-unseen":
            self._quiet()
        self.say(f"{self.fault}: now")
        if injury is not None:
            self.journal.owe(injury)
        if self.fault == "switchover":
            self._hand_over(victim)
            return
        self._mark(BEGUN)
        if injury is not None:
            self.hands.inflict(injury)
        else:
            ask_for_failover(self.site.operator, self.site.operator.sentinels[0])
        self._mark(DONE)

    def _quiet(self) -> None:
        quiet = quieting.prepare(self.site.operator)
        self.journal.owe(quiet)
        quieting.inflict(self.site.operator, quiet)

    def _hand_over(self, victim: Member) -> None:
        """Do what `redis-ha failover` does, with its guard: this process may be killed."""
        old = victim.address
        others = tuple(m.address for m in self.site.data_nodes if m.address != old)
        with guarded(self.site.operator, old=old, others=others) as guard:
            self._mark(BEGUN)
            switch_over(
                self.site.operator,
                old_master=OldMaster.DEMOTE,
                expected=old,
                token=guard.token,
                begin=guard.begin,
            )
            self._mark(DONE)

    def _await_promotion(self, observer: Observer, victim: Member) -> None:
        """Wait until another node is master, or so long that none will be."""
        begun, at = self.marks[BEGUN], None
        deadline = time.monotonic() + self.settings.down_after + _ELECTION_SECONDS
        while at is None and time.monotonic() < deadline:
            time.sleep(_POLL)
            at = observer.first_master_since(begun, besides=victim.name)
        after = "nobody was promoted" if at is None else f"promoted after {at - begun:.2f} s"
        self.say(f"{self.fault}: {after}")

    def _await_comeback(self, workloads: list[Workload]) -> None:
        """Wait until every writer was acknowledged anew, or so long that some never will be."""
        since = time.monotonic()
        deadline = since + _COMEBACK_SECONDS
        while time.monotonic() < deadline:
            if all(min(workload.progress().last) > since for workload in workloads):
                return
            time.sleep(0.1)

    def _hold_seconds(self) -> float:
        """How long the wounded state is kept up: long enough to see what the old master does."""
        if self.fault == "plain":
            return max(self.options.seconds, _PLAIN_SECONDS)
        if self.fault == "asymmetric-partition":
            return max(self.options.seconds, (self.settings.fencing or 0.0) + 1.0)
        return self.options.seconds

    def _heal(self, injury: Injury | None) -> None:
        if injury is None:
            return
        self._mark(HEALING)
        self.hands.heal(injury)
        self._mark(HEALED)
        self.journal.settle(injury)
        for quiet in filter(quieting.is_quieting, self.journal.debts.injuries):
            quieting.heal(self.site.operator, quiet)
            self.journal.settle(quiet)

    def _lost(self, clients: tuple[ClientRecord, ...]) -> tuple[LostWrite, ...]:
        keys = {
            (client.kind, number): key_of(self.id, client.kind, number)
            for client in clients
            for number in range(len(client.writers))
        }
        master = steadiness.master_of(self.site)
        fields = steadiness.held_fields(self.site.operator, master, list(keys.values()))
        return find_lost(clients, {place: fields[key] for place, key in keys.items()})

    def _evicted_since(self, before: dict[str, int]) -> int:
        now = steadiness.evictions(self.site)
        return sum(max(0, now[name] - before[name]) for name in now)

    def _mark(self, name: str) -> None:
        self.marks[name] = time.monotonic()


def put_right(site: Site, hands: Hands, journal: Journal) -> None:
    """Undo all that the journal notes; raises what redis-py raises when the keys must stay."""

    def heal(injury: Injury) -> None:
        if quieting.is_quieting(injury):
            quieting.heal(site.operator, injury)
        else:
            hands.heal(injury)

    def delete(keys: tuple[str, ...]) -> None:
        steadiness.wait_until_whole(site, within=_WHOLE_SECONDS)
        steadiness.delete(site, keys)

    journal.pay(heal, delete)


def _moment(mark: tuple[str, float]) -> float:
    return mark[1]
