"""SENTINEL FAILOVER, sent to exactly one sentinel, and whether it may still lead to a promotion.

Two sentinels that were asked at once run two failovers. Everybody here asks them in the same
order and the next only when the one before can no longer deliver: a second request then meets
the first at the same sentinel, which refuses it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import redis

from redis_ha.connection import Address
from redis_ha.discovery import NO_ANSWER, Access, SentinelView, asking
from redis_ha.explaining import problem_of

T = TypeVar("T", Address, SentinelView)
# A sentinel promotes within two seconds of accepting; one that vanished gets this long.
VANISHED_SECONDS = 3.0
Answer = Literal["accepted", "refused", "vanished"]


@dataclass(frozen=True)
class Request:
    """A request for a failover: the sentinel, what became of it, and how long ago (s) it was."""

    sentinel: Address
    answer: Answer
    age: float = 0.0
    text: str = ""

    @property
    def no_good_replica(self) -> bool:
        """True when the sentinel itself finds no replica fit to be promoted."""
        return "NOGOODSLAVE" in self.text


def asking_order(
    sentinels: Sequence[T], *, master: Address | None, data_nodes: Sequence[Address]
) -> tuple[T, ...]:
    """Return sentinels, or what they said, in the order in which everybody asks: the last first.

    The one that leads a failover names the old master until its end, two seconds after the
    promotion; the others hear of the new one sooner, and stock clients ask from the first on. One
    that shares the master's place comes after all others: it may be about to die of the same
    cause. Both lists are the configured ones, in the order of their numbers.
    """
    at = [one.sentinel if isinstance(one, SentinelView) else one for one in sentinels]
    risky = _beside(at, master, data_nodes)
    order = tuple(reversed(tuple(zip(at, sentinels, strict=True))))
    return tuple(one for last in (False, True) for a, one in order if (a in risky) is last)


def _beside(
    sentinels: Sequence[Address], master: Address | None, data_nodes: Sequence[Address]
) -> set[Address]:
    """Return those on the master's host; where no host has both kinds, the one of its number.

    A topology lays equal numbers into the same zone.
    """
    there = {one for one in sentinels if master is not None and one.host == master.host}
    if there or {one.host for one in sentinels} & {one.host for one in data_nodes}:
        return there
    return {one for node, one in zip(data_nodes, sentinels, strict=False) if node == master}


def request_state(request: Request, now: SentinelView) -> Literal["open", "over"]:
    """Say whether a promotion may still follow from a request, given the sentinel's state now.

    A sentinel starts its failover with the reply, so the flag shows from then on; without it the
    failover was given up. A sentinel that doesn't answer may still be at it for a while.
    """
    if request.answer == "refused":
        return "over"
    if now.problem or request.answer == "vanished":
        return "open" if request.age < VANISHED_SECONDS else "over"
    return "open" if now.failing_over or request.age < 1.0 else "over"


def ask_for_failover(access: Access, sentinel: Address) -> tuple[Answer, str]:
    """Send SENTINEL FAILOVER to one sentinel; a lost connection may have delivered it.

    One in TILT mode would accept and do nothing for half a minute: it is not asked.
    """
    try:
        with asking(access, sentinel) as client:
            client.ping()
            if _in_tilt(client):
                return "refused", "it is in TILT mode"
            return _send_failover(client, access.master_name)
    except NO_ANSWER as error:
        return "refused", f"unreachable: {problem_of(error)}"


def answer_to_refusal(text: str) -> Answer:
    """Read an error reply; INPROG is someone else's request there, which serves ours as well."""
    return "accepted" if "INPROG" in text else "refused"


def _in_tilt(client: Any) -> bool:
    try:
        return bool(int(client.info("sentinel").get("sentinel_tilt", 0)))
    except redis.ResponseError:
        # Not every user that may ask for a failover may look.
        return False


def _send_failover(client: Any, master_name: str) -> tuple[Answer, str]:
    try:
        client.execute_command("SENTINEL", "FAILOVER", master_name)
    except redis.ResponseError as error:
        return answer_to_refusal(str(error)), str(error)
    except NO_ANSWER as error:
        return "vanished", problem_of(error)
    return "accepted", ""
