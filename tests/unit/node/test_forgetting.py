"""Whom a sentinel forgets, and that only one does so at a time."""

from hypothesis import given
from hypothesis import strategies as st

from node.forgetting import Forgotten, all_well, gone, is_my_turn
from node.sentinel_memory import with_memory
from redis_ha.connection import Address
from redis_ha.discovery import SentinelView

SENTINELS = tuple(Address("10.0.0.2", 26379 + n) for n in range(5))
MASTER, STAYS, LEFT = (Address("10.0.0.1", port) for port in (6379, 6380, 6381))


def row(address: Address, *, down: bool) -> dict[str, object]:
    return {
        "ip": address.host,
        "port": address.port,
        "is_sdown": down,
        "is_disconnected": False,
    }


def test_only_who_is_down_and_not_of_the_stack_is_gone() -> None:
    rows = [row(STAYS, down=True), row(LEFT, down=True), row(SENTINELS[4], down=False)]
    assert gone(rows, {MASTER, STAYS, *SENTINELS[:3]}) == [LEFT]


@given(now=st.floats(0, 1e10), count=st.sampled_from([1, 3, 5]))
def test_it_is_exactly_one_sentinels_turn(now: float, count: int) -> None:
    turns = [is_my_turn(each, SENTINELS[:count], now=now) for each in SENTINELS[:count]]
    assert turns.count(True) == 1


def test_nobody_forgets_while_the_sentinels_are_not_of_one_mind() -> None:
    well = [SentinelView(each, MASTER, flags=frozenset({"master"})) for each in SENTINELS[:2]]
    assert all_well(well)
    assert not all_well([*well, SentinelView(SENTINELS[2], problem="refused")])
    assert not all_well([*well, SentinelView(SENTINELS[2], STAYS, flags=frozenset({"master"}))])
    down = SentinelView(SENTINELS[2], MASTER, flags=frozenset({"master", "s_down"}))
    assert not all_well([*well, down])


def test_who_follows_from_outside_of_the_stack_costs_few_restarts() -> None:
    forgotten, restarts = Forgotten(), 0
    for now in range(0, 24 * 3600, 24):
        if not forgotten.lately([LEFT], now=now):
            forgotten.note([LEFT], now=now)
            restarts += 1
    # At 0 s, 90 s, 450 s, 1,890 s, and from then on each hour.
    assert restarts == 27


def test_a_replica_whose_host_was_lost_is_forgotten_once_the_master_has_done_so() -> None:
    forgotten = Forgotten()
    forgotten.note([LEFT], now=10.0)
    assert forgotten.lately([LEFT], now=10.0 + 60.0)
    assert not forgotten.lately([LEFT], now=10.0 + 100.0)


def test_who_leaves_is_forgotten_whoever_was_lately() -> None:
    forgotten = Forgotten()
    assert not forgotten.lately([LEFT], now=10.0)
    forgotten.note([LEFT], now=10.0)
    assert forgotten.lately([LEFT], now=20.0)
    assert not forgotten.lately([LEFT, SENTINELS[4]], now=20.0)


def test_a_node_that_came_back_and_leaves_again_is_forgotten_at_once() -> None:
    forgotten = Forgotten()
    forgotten.note([LEFT, SENTINELS[4]], now=10.0)
    forgotten.welcome({MASTER, STAYS, LEFT})
    assert not forgotten.lately([LEFT], now=20.0)
    assert forgotten.lately([SENTINELS[4]], now=20.0)


def test_the_memory_keeps_the_master_the_epochs_and_the_members() -> None:
    seed = "port 0\nsentinel monitor m 10.0.0.1 6379 2\n"
    memory = [
        "sentinel myid abc",
        "sentinel current-epoch 7",
        f"sentinel known-replica m {STAYS.host} {STAYS.port}",
        f"sentinel known-replica m {LEFT.host} {LEFT.port}",
        f"sentinel known-sentinel m {SENTINELS[1].host} {SENTINELS[1].port} def",
        f"sentinel known-sentinel m {SENTINELS[4].host} {SENTINELS[4].port} ghi",
    ]
    live = "\n".join(["sentinel monitor m 10.0.0.1 6380 2", *memory])
    members = {(each.host, each.port) for each in (MASTER, STAYS, *SENTINELS[:3])}
    kept = with_memory(seed, live=live, master_name="m", members=members).splitlines()
    assert kept == [
        "port 0",
        "sentinel monitor m 10.0.0.1 6380 2",
        *(line for line in memory if str(LEFT.port) not in line and "ghi" not in line),
    ]
