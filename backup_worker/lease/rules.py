"""Who holds the lease: decisions over one's own clock, and steps that ask the store. No I/O.

A step is a generator: it yields a request, is sent the answer, and returns the state after it.
An error of the store, thrown in, ends the step and leaves the state as it was.

Why two never hold at once, while clocks run at the same speed and the store shows what was
written: a renewal counts for VALID seconds from before it was sent, and only if AFTER its write
the next term's object was not there. Whoever claims the next term waits WAIT > VALID seconds
from after the claim. A renewal that had its look before the claim ends before that wait does;
one that looks later sees the claim. How long an object went unchanged decides only whether a
claim is worth making, so a look that came too late or too early costs a change of holders, never
two. The wait is left out where no renewal can count any more: the holder released the lease, or
it was this worker's own earlier process, which the lock on its state directory proves gone.

Where the store makes an object twice (it ignores If-None-Match) two may hold one term, until the
next renewal of one of them: it looks at the object first, and finds the other's.
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from backup_worker.lease.document import Document, Phase, decode, encode

# Seconds. A holder that dies is replaced within POLL + STALE + WAIT and the requests in between.
RENEW = 5.0
POLL = 3.0
STALE = 15.0
VALID = 20.0
# Five per cent for clocks that differ in speed.
WAIT = VALID * 1.05
# Each so many renewals all terms are listed: finds a holder after somebody deleted objects.
_LOOK_AROUND = 12


@dataclass(frozen=True)
class ListTerms:
    """Answered with the terms whose objects are there."""


@dataclass(frozen=True)
class Read:
    """Answered with the object's bytes, or None when it is not there."""

    term: int


@dataclass(frozen=True)
class Create:
    """Answered True when the object is made, False when one is there."""

    term: int
    content: bytes


@dataclass(frozen=True)
class Rewrite:
    """Answered with None."""

    term: int
    content: bytes


Request = ListTerms | Read | Create | Rewrite


@dataclass(frozen=True)
class StandingBy:
    """Watches the highest term's object: its bytes, unchanged since a moment of one's own clock.

    `lost` says why this worker no longer holds what it held.
    """

    term: int = 0
    content: bytes = b""
    since: float = 0.0
    lost: str = ""


@dataclass(frozen=True)
class Claimed:
    """Has made a term's object and waits until `free_at`; `renewed`: before the last write.

    `reason` is why it was free to be claimed.
    """

    term: int
    counter: int
    renewed: float
    free_at: float
    reason: str


@dataclass(frozen=True)
class Holding:
    """Holds the lease until VALID seconds after `renewed`, the moment before that write."""

    term: int
    counter: int
    renewed: float
    reason: str


State = StandingBy | Claimed | Holding
Clock = Callable[[], float]
Steps = Generator[Request, Any, State]


@dataclass(frozen=True)
class Verdict:
    """Whether to claim the next term, and whether no earlier holder need be waited for."""

    claim: bool
    at_once: bool
    reason: str


def judge(watch: StandingBy, me: str, *, now: float) -> Verdict:
    """Say what the highest term's object means to worker `me`.

    Content that can't be read is a living holder's: it is free only once it has stopped changing.
    """
    if watch.term == 0:
        return Verdict(True, True, "nobody has held the lease")
    document = decode(watch.content)
    if document is not None and document.state is Phase.RELEASED:
        return Verdict(True, True, f"{document.worker} released it")
    if document is not None and document.worker == me:
        held = document.state is Phase.HELD
        return Verdict(True, held, "this worker's own process before this one held it")
    who = "an unknown holder" if document is None else document.worker
    quiet = now - watch.since
    if quiet >= STALE:
        return Verdict(True, False, f"{who} has not renewed it for {quiet:.0f} s")
    return Verdict(False, False, f"{who} holds term {watch.term}")


def why_not(state: State, *, now: float) -> str:
    """Say why whoever is in this state may not publish now; empty when it may."""
    if isinstance(state, StandingBy):
        return state.lost or "another worker holds the lease"
    if isinstance(state, Claimed):
        return "an earlier holder may still believe in its lease"
    age = now - state.renewed
    return f"the last renewal began {age:.0f} s ago" if age >= VALID else ""


def pause(state: State, *, now: float) -> float:
    """Say how many seconds to wait before the next step."""
    if isinstance(state, StandingBy):
        return POLL
    wait = max(0.0, state.renewed + RENEW - now)
    if isinstance(state, Claimed) and state.free_at > now:
        return min(wait, state.free_at - now)
    return wait


def step(state: State, me: str, clock: Clock) -> Steps:
    """Look, claim, wait or renew: whatever the state asks for next."""
    if isinstance(state, StandingBy):
        return (yield from _watch(state, me, clock))
    if isinstance(state, Claimed):
        return (yield from _confirm(state, me, clock))
    return (yield from _renew(state, me, clock))


def _watch(state: StandingBy, me: str, clock: Clock) -> Steps:
    term, content = yield from _highest(state.term)
    now = clock()
    if (term, content) != (state.term, state.content):
        state = replace(state, term=term, content=content, since=now)
    verdict = judge(state, me, now=now)
    if not verdict.claim:
        return state
    began = clock()
    mine = Document(me, Phase.CLAIMED, 0)
    if not (yield Create(term + 1, encode(mine))):
        return state
    made = clock()
    free_at = made if verdict.at_once else made + WAIT
    claimed = Claimed(term + 1, 0, began, free_at, verdict.reason)
    return (yield from _confirm(claimed, me, clock))


def _confirm(state: Claimed, me: str, clock: Clock) -> Steps:
    """Renew a claim; when its wait is over, look at all terms and hold it."""
    began = clock()
    free = began >= state.free_at
    if not free and began < state.renewed + RENEW:
        return state
    if lost := (yield from _taken_by_another(state.term, me)):
        return StandingBy(lost=lost)
    document = Document(me, Phase.HELD if free else Phase.CLAIMED, state.counter + 1)
    higher = yield from _write_and_look(state.term, document, everywhere=free)
    if higher:
        return StandingBy(lost=f"term {higher} was claimed by another worker")
    if free:
        return Holding(state.term, document.counter, began, state.reason)
    return replace(state, counter=document.counter, renewed=began)


def _renew(state: Holding, me: str, clock: Clock) -> Steps:
    """Renew what is held. Once it has lapsed it stays lost: objects of later terms may be gone."""
    began = clock()
    if lapsed := why_not(state, now=began):
        return StandingBy(lost=lapsed)
    if lost := (yield from _taken_by_another(state.term, me)):
        return StandingBy(lost=lost)
    document = Document(me, Phase.HELD, state.counter + 1)
    around = document.counter % _LOOK_AROUND == 0
    higher = yield from _write_and_look(state.term, document, everywhere=around)
    if higher:
        return StandingBy(lost=f"term {higher} was claimed by another worker")
    return replace(state, counter=document.counter, renewed=began)


def _taken_by_another(term: int, me: str) -> Generator[Request, Any, str]:
    """Look at one's own object before it is written again; say who has written it, if not `me`.

    A store that ignores the condition of a claim lets two workers make the same one: the last to
    write goes on. An object that is gone was deleted by somebody who tidied up too much.
    """
    content: bytes | None = yield Read(term)
    document = None if content is None else decode(content)
    if content is None or (document is not None and document.worker == me):
        return ""
    who = "an unknown worker" if document is None else document.worker
    return f"{who} has written term {term} too: the store must honour If-None-Match"


def _write_and_look(
    term: int, document: Document, *, everywhere: bool
) -> Generator[Request, Any, int]:
    """Write one's own object, then look for a higher term: in this order (see above). 0: none."""
    yield Rewrite(term, encode(document))
    if (yield Read(term + 1)) is not None:
        return term + 1
    if everywhere:
        terms: Sequence[int] = yield ListTerms()
        return max((other for other in terms if other > term), default=0)
    return 0


def _highest(known: int) -> Generator[Request, Any, tuple[int, bytes]]:
    """Find the highest term and its object's bytes; (0, nothing) when there is none.

    From a term that is still there one asks for the next: cheaper than a listing, never stale.
    """
    content: bytes | None = None
    if known:
        content = yield Read(known)
    if content is None:
        terms: Sequence[int] = yield ListTerms()
        known = max(terms, default=0)
        content = (yield Read(known)) if known else None
    while (following := (yield Read(known + 1))) is not None:
        known, content = known + 1, following
    return known, content or b""
