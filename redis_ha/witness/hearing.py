"""Asks all witnesses how they are, over a data node that each of them listens on."""

import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import redis

from redis_ha.connection import Address
from redis_ha.discovery import Access, NodeView, ask_nodes
from redis_ha.explaining import explained
from redis_ha.witness.channels import ANSWERS, QUESTIONS
from redis_ha.witness.report import Report, read

# All witnesses answer in a few milliseconds; one that doesn't is waited for this long (s).
PATIENCE = 1.0
# A witness that was just asked by somebody else leaves a question unanswered: it is repeated (s).
_AGAIN_SECONDS = 0.25


@dataclass(frozen=True)
class Hearing:
    """What the witnesses said: `listening` got the question; `problem` is why none could be put."""

    listening: int = 0
    reports: tuple[Report, ...] = ()
    problem: str = ""


def places_to_ask(nodes: Sequence[NodeView]) -> list[Address]:
    """Order the data nodes that answer by how well they can be asked over.

    Replicas first: what is published on a master goes to all its replicas.
    """
    answering = [node for node in nodes if node.role is not None and not node.loading]
    return [node.address for node in sorted(answering, key=lambda node: not node.link_up)]


def hear_witnesses(access: Access, nodes: Sequence[Address]) -> Hearing:
    """Ask over whichever data node is best for it."""
    return ask_witnesses(access, places_to_ask(ask_nodes(access, nodes)))


def ask_witnesses(access: Access, places: Sequence[Address]) -> Hearing:
    """Ask over the first data node that a witness listens on; a failure is an answer too."""
    heard = Hearing(problem="no data node answers over which to ask them")
    for place in places:
        heard = _ask_over(access, place, time.monotonic() + PATIENCE)
        if heard.listening:
            return heard
    return heard


def _ask_over(access: Access, place: Address, deadline: float) -> Hearing:
    try:
        with (
            access.connect(place) as asking,
            access.connect(place) as listening,
            listening.pubsub() as pubsub,
        ):
            _listen(pubsub, deadline)
            return _ask(asking, pubsub, deadline)
    except (redis.RedisError, OSError) as error:
        return Hearing(problem=explained(error))


def _listen(pubsub: Any, deadline: float) -> None:
    """Return once answers would arrive."""
    pubsub.subscribe(ANSWERS)
    while (left := deadline - time.monotonic()) > 0:
        message = pubsub.get_message(timeout=left)
        if message and message["type"] == "subscribe":
            return


def _ask(asking: Any, pubsub: Any, deadline: float) -> Hearing:
    nonce, found, listening = secrets.token_hex(16), dict[int, Report](), 0
    while (now := time.monotonic()) < deadline:
        listening = int(asking.publish(QUESTIONS, nonce))
        for report in _answers(pubsub, nonce, until=min(deadline, now + _AGAIN_SECONDS)):
            found[report.number] = report
            if len(found) >= listening:
                break
        if len(found) >= listening:
            break
    return Hearing(listening, tuple(found[number] for number in sorted(found)))


def _answers(pubsub: Any, nonce: str, *, until: float) -> Iterator[Report]:
    while (left := until - time.monotonic()) > 0:
        message = pubsub.get_message(timeout=left)
        if message and message["type"] == "message" and (report := read(message["data"], nonce)):
            yield report
