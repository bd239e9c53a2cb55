"""How long a client's connection waits for an address that says nothing."""

from redis_ha.client.wires import CONNECT_SECONDS, connect_seconds


def test_a_dead_masters_address_is_left_soon_and_a_distant_one_is_reached_in_the_end() -> None:
    first = connect_seconds(0.0)
    assert first < CONNECT_SECONDS / 5
    assert connect_seconds(first) == CONNECT_SECONDS
