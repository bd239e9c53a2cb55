"""One call of `execute_with_failover`: its time, what it has sent, what its errors lead to."""

import time
from contextvars import ContextVar
from typing import NoReturn, Protocol

import redis

from redis_ha.client.origin import comes_from_elsewhere
from redis_ha.client.retrying import FOLLOWING_PAUSES, Exposure, Judgement, Meaning, judge
from redis_ha.connection import Address
from redis_ha.discovery import one_line
from redis_ha.errors import AccessDenied, CallTimedOut, OutcomeUnknown

# How long (s) a reply is waited for before the client asks whether the node still is the master.
SLICE = 0.25
MAY_BE_APPLIED = "writes that it sent may have been applied"


class Seat(Protocol):
    """The node that a call's connections lead to."""

    address: Address
    retired: bool

    @property
    def counts(self) -> tuple[int, int]:
        """Return how many connections are idle and how many are lent."""

    def suspect(self) -> None:
        """Have somebody look whether this node still is what it was."""


class Call:
    """State of a call; belongs to one thread or one task and those that it starts."""

    __slots__ = (
        "began",
        "deadline",
        "exposure",
        "followed",
        "last_error",
        "on_replica",
        "outer",
        "over",
        "repeatable",
        "seat",
        "seconds",
        "starving",
        "uncertain",
    )

    def __init__(self, seconds: float, *, repeatable: bool = False) -> None:
        self.seconds = seconds
        self.began = time.monotonic()
        self.deadline = self.began + seconds
        self.repeatable = repeatable
        self.uncertain = 0
        # Pauses that were made for replicas to follow.
        self.followed = 0
        self.on_replica = False
        self.over = False
        self.outer: Call | None = None
        # Waiting for a pool's connection.
        self.starving = False
        self.last_error: Exception | None = None
        self.seat: Seat | None = None
        self.exposure = Exposure()

    def within(self, outer: "Call | None") -> "Call":
        """Let a call inside a call end with it at the latest."""
        if outer is not None:
            self.outer = outer
            self.deadline = min(self.deadline, outer.deadline)
        return self

    def end(self) -> None:
        """Take what was sent into account for the call around this one."""
        self.over = True
        if self.outer is not None:
            self.outer.exposure.add(self.sent)

    @property
    def elapsed(self) -> float:
        """Return for how long (s) the call has gone on."""
        return time.monotonic() - self.began

    @property
    def remaining(self) -> float:
        """Return the seconds left, never below 0."""
        return max(0.0, self.deadline - time.monotonic())

    @property
    def sent(self) -> int:
        """Return how many writes and pipelines this and earlier attempts may have applied."""
        return self.exposure.writes + self.exposure.pipelines + self.uncertain

    def begin(self, seat: Seat, *, on_replica: bool = False) -> None:
        """Start an attempt on a node."""
        self.seat = seat
        self.on_replica = on_replica
        if self.exposure.last:
            self.exposure = Exposure()

    def patience(self) -> float:
        """Return how long (s) to wait for the socket; raises TimeoutError when time is over."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"no time left of the call's {self.seconds:g} s")
        return min(left, SLICE)

    def waited(self) -> None:
        """Go on waiting, unless it is pointless; called after each slice of silence."""
        if self.seat is None:
            return
        if self.seat.retired:
            raise ConnectionAbortedError(f"{self.seat.address} was given up")
        self.seat.suspect()

    def failed(self, error: Exception) -> Judgement:
        """As `broke`; what the function's other servers raised is raised as it is."""
        if self.seat is not None and comes_from_elsewhere(error, self.seat):
            raise error
        return self.broke(error)

    def broke(self, error: Exception) -> Judgement:
        """Return when the attempt may be repeated; else raise what the caller shall see."""
        self.last_error = error
        verdict = judge(
            error,
            self.exposure,
            repeatable=self.repeatable,
            uncertain=self.uncertain,
            on_replica=self.on_replica,
        )
        if verdict.meaning is Meaning.CALLERS:
            raise error
        if verdict.meaning is Meaning.DENIED:
            raise denied(self._place, error) from error
        if not self.remaining:
            effects = verdict.effects + self.uncertain
            raise self.timed_out(one_line(error), effects=effects) from error
        if not verdict.again:
            self._unknown(error, verdict.effects)
        self.uncertain += bool(verdict.effects)
        self.exposure = Exposure()
        return verdict

    def pause_to_be_followed(self, verdict: Judgement) -> float:
        """Return how long (s) to wait for a replica to follow a new master; 0.0: look elsewhere."""
        if not verdict.lacks_replicas or self.followed >= len(FOLLOWING_PAUSES):
            return 0.0
        self.followed += 1
        return FOLLOWING_PAUSES[self.followed - 1]

    def timed_out(self, cause: str, *, effects: int) -> CallTimedOut:
        """Build the error of a call whose time is over."""
        applied = MAY_BE_APPLIED if effects else "nothing was applied"
        last = one_line(self.last_error) if self.last_error else ""
        if last not in cause:
            cause = f"{cause}; the last error was: {last}"
        return CallTimedOut(
            operation="call",
            subject=self._place,
            cause=f"not done within {self.seconds:g} s: {cause}",
            hint=f"{applied}; give it more time with timeout=, or see `redis-ha status`",
        )

    def _unknown(self, error: Exception, effects: int) -> NoReturn:
        raise OutcomeUnknown(
            operation="call",
            subject=self._place,
            cause=f"{one_line(error)}, after {effects} write(s) or pipeline(s) had been sent",
            hint="see whether they were applied; with idempotent=True they are repeated for you",
        ) from error

    @property
    def _place(self) -> str:
        return str(self.seat.address) if self.seat else "the cluster"


def denied(subject: str, error: Exception) -> AccessDenied:
    """Build the error of a user or certificate that won't do."""
    cause = one_line(error)
    hint = "check REDIS_USERNAME, REDIS_PASSWORD, the user's ACL rules and REDIS_TLS_CA"
    if "has expired" in cause:
        hint = "have it renewed: `pulumi up`"
    return AccessDenied(operation="use", subject=subject, cause=cause, hint=hint)


CURRENT: ContextVar[Call | None] = ContextVar("redis_ha_call", default=None)


def current() -> Call | None:
    """Return the call that this thread or task runs in; a task may outlive the one it began in."""
    call = CURRENT.get()
    return None if call is None or call.over else call


def refuse_when_over() -> None:
    """Raise ConnectionError for a command that begins when its call's time is over.

    What a call does on its way out (a lock's release, UNWATCH) gets the error on which redis-py
    gives the connection back.
    """
    call = current()
    if call is not None and not call.remaining:
        raise redis.ConnectionError(f"no time left of the call's {call.seconds:g} s")


def refuse_when_given_up() -> None:
    """As `refuse_when_over`, and when the node was given up.

    For tasks: one is cancelled once, and nobody would end what it waits for on its way out.
    """
    refuse_when_over()
    call = current()
    if call is not None and call.seat is not None and call.seat.retired:
        raise redis.ConnectionError(f"{call.seat.address} was given up")
