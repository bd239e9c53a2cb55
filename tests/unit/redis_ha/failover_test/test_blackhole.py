"""The netlink messages that make a node deaf to some, and what the kernel says to them."""

import errno
import struct

import pytest

from redis_ha.failover_test.blackhole import answer, request


def test_a_route_is_a_blackhole_to_one_address() -> None:
    message = request("add", "172.28.0.21")
    length, kind, flags, _, _ = struct.unpack_from("=IHHII", message)
    assert (length, kind) == (len(message), 24)
    assert flags & 0x400
    assert message[16:18] == bytes([2, 32])
    assert message[23] == 6
    assert message[-4:] == bytes([172, 28, 0, 21])


def test_deleting_creates_nothing() -> None:
    _, kind, flags, _, _ = struct.unpack_from("=IHHII", request("del", "10.0.0.1"))
    assert kind == 25
    assert not flags & 0x400


@pytest.mark.parametrize("code", [0, errno.EEXIST, errno.EPERM])
def test_the_kernel_answers_with_an_error_number(code: int) -> None:
    assert answer(bytes(16) + struct.pack("=i", -code) + bytes(16)) == code
