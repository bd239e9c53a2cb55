"""How long a client's connection waits for an address that says nothing."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import redis

from redis_ha.client.call import Call
from redis_ha.client.wires import PatientConnection, turns
from redis_ha.connection import Address
from tests.patience import at_best
from tests.unit.redis_ha.full_queues import fill


class Seat:
    """A node whose master may turn out to be another."""

    address = Address("127.0.0.1", 1)
    retired = False
    counts = (0, 0)

    def suspect(self) -> None:
        """Nobody looks."""


@pytest.fixture
def silent() -> Iterator[int]:
    """Give the port of a listener that lets nobody in: SYNs are dropped."""
    with ExitStack() as stack:
        server = stack.enter_context(socket.socket())
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        fill(stack, server)
        yield server.getsockname()[1]


def seconds_of(connection: PatientConnection, call: Call, **expected: Any) -> float:
    began = time.monotonic()
    with pytest.raises(redis.RedisError, **expected):
        connection.serve(call)
    return time.monotonic() - began


def test_a_distant_node_is_reached_in_the_end() -> None:
    assert len(turns(0.0)) == 1
    assert max(turns(1.0)) > 0.5
    assert sum(turns(1.0)) == pytest.approx(1.0)


def test_at_first_an_address_that_says_nothing_is_left_soon(silent: int) -> None:
    connection = PatientConnection(host="127.0.0.1", port=silent, ca="none")
    at_best(lambda: seconds_of(connection, Call(5.0)), under=0.5)


def test_a_node_that_was_given_up_meanwhile_is_not_waited_for(silent: int) -> None:
    connection = PatientConnection(host="127.0.0.1", port=silent, ca="none")

    def given_up() -> float:
        return seconds_of(connection, old_call(retired=True), match="was given up")

    def waited_for() -> float:
        seconds = seconds_of(connection, old_call(retired=False), match="Timeout")
        assert seconds > 0.9
        return seconds

    at_best(given_up, under=0.5)
    at_best(waited_for, under=2.0)


def old_call(*, retired: bool) -> Call:
    """Make a call that is a second old, to a node that was given up or not."""
    call, seat = Call(5.0), Seat()
    call.began -= 1.0
    call.seat, seat.retired = seat, retired
    return call
