"""When the next machine of a rolling change may be touched."""

import pytest

from node.vm.ready import Machine, judge

WELL = {"data": "ok master, 2 replicas", "sentinel": "ok sentinel"}
WAITING = {"data": "waiting: no majority", "sentinel": "ok sentinel"}
DEAF = {"data": "ok master, 2 replicas", "sentinel": "the sentinel doesn't answer"}


@pytest.mark.parametrize(
    ("health", "fresh", "answering", "ready"),
    [
        (WELL, False, 3, True),
        (WELL, True, 1, True),
        # The first machine of a new cluster: it can't be well before the second is there.
        (WAITING, True, 1, True),
        # The second of three: with it a majority is there, so it must become well.
        (WAITING, True, 2, False),
        # A machine with a lost volume in a living cluster has to catch up first.
        (WAITING, True, 3, False),
        # A cluster that lost its majority isn't a new one.
        (WAITING, False, 1, False),
        (DEAF, False, 3, False),
    ],
)
def test_verdict(health: dict[str, str], fresh: bool, answering: int, ready: bool) -> None:
    verdict = judge(Machine(health, fresh_volume=fresh, sentinels=3, answering=answering))
    assert verdict.ready is ready
    assert verdict.reason
