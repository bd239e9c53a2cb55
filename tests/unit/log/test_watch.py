"""What a replica's ROLE says against reading from it."""

import pytest

from backup_worker.log.watch import disowned, judge
from redis_ha.connection import Address

FOLLOWS = ["slave", "10.0.0.1", 6379, "connected", 900]


def test_a_linked_replica_is_fine() -> None:
    assert judge(FOLLOWS) == ("", False)


def test_a_promoted_one_is_left_at_once() -> None:
    assert judge(["master", 900, []]) == ("it was promoted", True)


@pytest.mark.parametrize("state", ["connect", "connecting", "sync", "none"])
def test_one_without_its_master_is_doubted(state: str) -> None:
    doubt, final = judge([*FOLLOWS[:3], state, -1])
    assert state in doubt
    assert not final


def test_one_that_follows_a_deposed_master_is_doubted() -> None:
    assert disowned(FOLLOWS, Address("10.0.0.1", 6379)) == ""
    assert disowned(FOLLOWS, None) == ""
    assert "10.0.0.3:6381" in disowned(FOLLOWS, Address("10.0.0.3", 6381))
