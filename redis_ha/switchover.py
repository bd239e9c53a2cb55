"""Zero-loss switchover: hand the mastership to a replica that holds every acknowledged write.

Stock `SENTINEL FAILOVER` loses what the old master accepts until Sentinel demotes it, about ten
seconds. Here writes are paused first, the replicas catch up, and only then a sentinel is asked.

What may be done is decided by pure functions on what the nodes and sentinels say; `switch_over`
asks them and acts, over a claim on the old master (redis_ha.switchover_claim). It needs a user with
ping, info, role and a claim's rights on the data nodes, and the reading commands and sentinel
failover on the sentinels.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, NoReturn

import redis

from redis_ha.connection import Address
from redis_ha.discovery import (
    NO_ANSWER,
    Access,
    NodeView,
    SentinelView,
    ask_node,
    ask_nodes,
    ask_sentinel,
    ask_sentinels,
    asking,
    at_once,
    flags_of,
    majority_master,
)
from redis_ha.errors import SwitchoverBusy, SwitchoverRefused, SwitchoverUncertain
from redis_ha.failover_request import Request, ask_for_failover, asking_order, request_state
from redis_ha.kept import keeping
from redis_ha.switchover_claim import Claim, claim, new_token
from redis_ha.switchover_rules import (
    PAUSE_MARGIN_SECONDS,
    Listed,
    Scene,
    behind,
    electable,
    is_lasting,
    obstacle,
    outlasting_pause,
    promoted,
    still_possible,
)

# Over connections that stay open a look costs well below a millisecond of each node.
_POLL_SECONDS = 0.005
_PATIENT_POLL_SECONDS = 0.2
# The part of the time for what passes by itself: of the ten seconds that a node has to hand over,
# enough for the sentinels to take one that left before it for down. A promotion takes one second.
_PATIENT_PART = 0.7
# However much time there is in all, writes wait no longer than this for a promotion.
_PAUSED_SECONDS = 10.0


class OldMaster(Enum):
    """What becomes of the old master once another node is promoted."""

    # Not left to Sentinel: its PUBLISH to a paused master blocks, so it takes that for down and
    # doesn't demote it before the pause ends. And a new master accepts writes only with a replica
    # (min-replicas-to-write): this one is the first to follow it.
    LEAVE = "make it a replica until the caller stops it; needs the right to REPLICAOF"
    DEMOTE = "make it a replica for good; needs the right to REPLICAOF and CONFIG REWRITE"


@dataclass(frozen=True)
class Switchover:
    """What was done: both nodes, their offsets at the promotion (bytes), seconds for each step."""

    old: Address
    new: Address
    old_offset: int
    new_offset: int
    prepare_seconds: float
    catch_up_seconds: float
    promotion_seconds: float
    demotion_seconds: float

    @property
    def write_gap_seconds(self) -> float:
        """Return for how long no node accepted writes."""
        return self.catch_up_seconds + self.promotion_seconds


def switch_over(  # noqa: PLR0913 - one argument for each thing that some caller decides
    access: Access,
    *,
    deadline_seconds: float = 10.0,
    old_master: OldMaster,
    expected: Address | None = None,
    chosen: Address | None = None,
    token: str | None = None,
    begin: Callable[[], None] = lambda: None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Switchover:
    """Promote a replica without losing an acknowledged write; return what was done.

    `deadline_seconds` bounds everything up to the promotion: what stands in the way may take seven
    tenths of it to pass, and writes are paused for ten seconds at most. `expected` refuses when the
    sentinels name another node: one that stops must not take the mastership from its successor.
    `chosen` refuses unless the sentinels prefer that replica by priority (redis_ha.preference).
    `token` is the one under which a guard holds its claim already (redis_ha.switchover_guard), and
    `begin`, called right before the first pause, is to tell it.
    Raises SwitchoverRefused when nothing changed, SwitchoverUncertain when a promotion may still
    come: the old master's writes then stay paused until the sentinels must have given it up.
    """
    deadline = clock() + deadline_seconds
    with keeping(access) as kept:
        mark = token or new_token()
        runner = _Runner(kept, deadline, expected, chosen, mark, begin, clock, sleep)
        return runner.run(old_master)


@dataclass
class _Runner:
    access: Access
    deadline: float
    expected: Address | None
    chosen: Address | None
    token: str
    begin: Callable[[], None]
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    requests: list[tuple[Request, float]] = field(default_factory=list)

    def run(self, old_master: OldMaster) -> Switchover:
        began = self.clock()
        scene = self._prepare()
        self.access = replace(self.access, sentinels=self._answering(scene))
        old = scene.master.address
        ends = old_master is OldMaster.LEAVE
        with closing(self._claim(old, patient=ends)) as master:
            paused = self.clock()
            self.deadline = min(self.deadline, paused + _PAUSED_SECONDS)
            self.begin()
            try:
                offset, candidates = self._pause_and_catch_up(master, scene, ends=ends)
            except (redis.RedisError, OSError) as error:
                self._unpause(master)
                raise self._refused(f"{old} stopped answering: {error}") from error
            except BaseException:
                self._unpause(master)
                raise
            caught_up = self.clock()
            new = self._promote(master, old, candidates)
            done = self.clock()
            self._settle(master, old, new.address, old_master)
        return Switchover(
            old,
            new.address,
            old_offset=offset,
            new_offset=new.offset,
            prepare_seconds=paused - began,
            catch_up_seconds=caught_up - paused,
            promotion_seconds=done - caught_up,
            demotion_seconds=self.clock() - done,
        )

    def _prepare(self) -> Scene:
        """Wait, for most of the time, until nothing stands in the way."""
        patience = self._patience()
        while text := obstacle(scene := self._look()):
            if self.clock() >= patience or is_lasting(scene):
                raise self._refused(text)
            self.sleep(_PATIENT_POLL_SECONDS)
        return scene

    def _answering(self, scene: Scene) -> tuple[Address, ...]:
        """Return the sentinels to go on with, in the order in which they are asked.

        A silent one would cost a timeout at every look, also while writes are paused. As it is not
        asked, it never holds a request of ours.
        """
        answering = {view.sentinel for view in scene.sentinels if view.master is not None}
        nodes, master = self.access.data_nodes, scene.master.address
        # By the numbers of all that are configured.
        order = asking_order(self.access.sentinels, master=master, data_nodes=nodes)
        return tuple(sentinel for sentinel in order if sentinel in answering)

    def _patience(self) -> float:
        return self.clock() + (self.deadline - self.clock()) * _PATIENT_PART

    def _claim(self, old: Address, *, patient: bool) -> Claim:
        """Be the only one; a node that stops waits for who is at it, which may be all it needs."""
        patience = self._patience()
        while True:
            try:
                return claim(self.access, old, self.token)
            except SwitchoverBusy:
                if not patient or self.clock() >= patience:
                    raise
            self.sleep(_PATIENT_POLL_SECONDS)

    def _look(self) -> Scene:
        sentinels = tuple(ask_sentinels(self.access))
        named = majority_master(sentinels) or Address("", 0)
        master = ask_node(self.access, named) if named.port else NodeView(named)
        answering = tuple(view.sentinel for view in sentinels if view.master is not None)
        listed = listed_replicas(replace(self.access, sentinels=answering))
        candidates = ask_nodes(self.access, electable(listed))
        return Scene(sentinels, master, tuple(candidates), self.expected, self.chosen, listed)

    def _pause_and_catch_up(
        self, master: Claim, scene: Scene, *, ends: bool
    ) -> tuple[int, list[Address]]:
        """Pause writes; return the offset (bytes) that every electable replica then reached.

        Killed while the replicas catch up, this must leave no pause that outlasts down-after:
        Sentinel would promote one, and then writes go on here. So that pause is short and renewed,
        and what was seen in it is looked at again in one that outlasts the promotion.
        """
        until = min(self.deadline, self.clock() + scene.patience)
        while True:
            master.pause(scene.patience / 2)
            offset, candidates, late = self._compare(scene.master.address)
            if not late:
                remaining = self.deadline - self.clock()
                master.hold(outlasting_pause(scene.master, remaining, ends=ends))
                offset, candidates, late = self._compare(scene.master.address)
                if not late:
                    return offset, candidates
                self._unpause(master)
            if self.clock() >= until:
                raise self._refused("; ".join(late))
            self.sleep(_POLL_SECONDS)

    def _compare(self, old: Address) -> tuple[int, list[Address], list[str]]:
        """Return the master's offset (bytes), the electable replicas, and what keeps them back."""
        frozen = ask_node(self.access, old)
        if frozen.role != "master":
            raise self._refused(f"{old} says it is {frozen.role or frozen.problem}")
        # Asked anew each time: a replica that comes back now could be chosen too.
        candidates = electable(listed_replicas(self.access))
        late = behind(ask_nodes(self.access, candidates), master=old, offset=frozen.offset)
        return frozen.offset, candidates, late if candidates else ["no replica is left to promote"]

    def _promote(self, master: Claim, old: Address, candidates: Sequence[Address]) -> NodeView:
        """Ask one sentinel after the other, each only when none before can still deliver."""
        try:
            for sentinel in self.access.sentinels:
                # Fails when the claim is lost: then nobody may be asked.
                master.command("PING")
                self._ask(sentinel)
                if (new := self._await_promotion(sentinel, candidates)) is not None:
                    return new
                if self.clock() >= self.deadline:
                    break
        except redis.RedisError as error:
            return self._give_up(master, old, candidates, f"{old} stopped answering: {error}")
        return self._give_up(master, old, candidates, "no replica was promoted")

    def _ask(self, sentinel: Address) -> None:
        answer, text = ask_for_failover(self.access, sentinel)
        self.requests.append((Request(sentinel, answer, text=text), self.clock()))

    def _await_promotion(self, sentinel: Address, candidates: Sequence[Address]) -> NodeView | None:
        while True:
            # The sentinel first: a promotion that it completes in between is then still seen.
            state = request_state(self._asked()[-1], ask_sentinel(self.access, sentinel))
            if (new := promoted(ask_nodes(self.access, candidates))) is not None:
                return new
            if state == "over" or self.clock() >= self.deadline:
                return None
            self.sleep(_POLL_SECONDS)

    def _asked(self) -> list[Request]:
        now = self.clock()
        return [replace(r, age=now - at) for r, at in self.requests]

    def _give_up(
        self, master: Claim, old: Address, candidates: Sequence[Address], cause: str
    ) -> NodeView:
        """Roll back where that is safe; a promotion seen at the last look is a success."""
        # The sentinels first, as above. The one that led tells the others a moment later.
        sentinels, views = ask_sentinels(self.access), ask_nodes(self.access, candidates)
        if (new := promoted(views)) is not None:
            return new
        named = {view.master for view in sentinels} - {None, old}
        text = still_possible(self._asked(), sentinels, views)
        if named:
            others = " and ".join(sorted(map(str, named)))
            text = f"a sentinel names {others}, which had not been seen to hold everything"
        if text:
            self._hold(master, sentinels, text)
        self._unpause(master)
        answers = [f"{r.sentinel} {r.answer} {r.text}".rstrip() for r in self._asked()]
        raise self._refused(f"{cause} ({', '.join(answers)})")

    def _hold(self, master: Claim, sentinels: Sequence[SentinelView], cause: str) -> NoReturn:
        seconds = max(view.failover_timeout for view in sentinels) + PAUSE_MARGIN_SECONDS
        with suppress(redis.RedisError):
            master.pause(seconds)
        raise SwitchoverUncertain(
            operation="switch over",
            subject=self.access.master_name,
            cause=cause,
            hint=f"writes on the old master stay paused for up to {seconds:.0f} s; see who is"
            " master, then CLIENT UNPAUSE the old one only if it still is",
        )

    def _settle(self, master: Claim, old: Address, new: Address, old_master: OldMaster) -> None:
        """Let the old master's clients go once it is a replica and will refuse their writes."""
        try:
            master.command("REPLICAOF", new.host, new.port)
        except redis.RedisError as error:
            if old_master is OldMaster.LEAVE:
                # It ends while they wait.
                with suppress(redis.RedisError, OSError):
                    master.pause(PAUSE_MARGIN_SECONDS)
                return
            cause = f"{new} is master, but {old} could not be made its replica: {error}"
            self._hold(master, [SentinelView(old)], cause)
        self._unpause(master)
        if old_master is OldMaster.DEMOTE:
            # Its clients don't wait for a disk. Sentinel rewrites the file too; a node that dies
            # before that asks who is master when it boots.
            with suppress(redis.RedisError, OSError):
                master.command("CONFIG", "REWRITE")

    def _unpause(self, master: Claim) -> None:
        # The pause ends by itself; a master that can't be reached needs no more than that.
        with suppress(redis.RedisError, OSError):
            master.release()

    def _refused(self, cause: str) -> SwitchoverRefused:
        return SwitchoverRefused(
            operation="switch over",
            subject=self.access.master_name,
            cause=cause,
            hint="nothing was changed; see `redis-ha status`, then try again",
        )


def listed_replicas(access: Access) -> tuple[Listed, ...]:
    """Return what all answering sentinels list: any of them could do the choosing."""
    lists = at_once(lambda sentinel: _list_replicas(access, sentinel), access.sentinels)
    return tuple(replica for listed in lists for replica in listed)


def _list_replicas(access: Access, sentinel: Address) -> list[Listed]:
    try:
        with asking(access, sentinel) as client:
            rows: Sequence[Mapping[str, Any]] = client.sentinel_slaves(access.master_name)
        return [
            Listed(
                Address(str(row["ip"]), int(row["port"])),
                flags_of(row),
                int(row["slave-priority"]),
                str(row["role-reported"]),
            )
            for row in rows
        ]
    except NO_ANSWER:
        return []
