"""When `redis-ha failover` says that all is done, and what it says it would do."""

import json
from pathlib import Path

import click
import pytest

from redis_ha.cli import failover
from redis_ha.cli.failover import Outcome
from redis_ha.connection import Address, Credentials
from redis_ha.discovery import Access, NodeView, SentinelView
from redis_ha.site import Site, named

NODES = tuple(Address("10.0.0.1", port) for port in (6379, 6380, 6381))
OLD, NEW = NODES[:2]
SENTINELS = tuple(Address("10.0.0.1", port) for port in (26379, 26380, 26381))
ACCESS = Access(SENTINELS, "mymaster", Credentials("operator", "secret"), Path("ca.crt"))
SITE = Site(ACCESS, None, named(NODES, "redis"), named(SENTINELS, "sentinel"))


class Time:
    """A clock that each sleep moves on."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def says(master: Address | None, *, busy: bool = False) -> SentinelView:
    flags = frozenset({"master", "failover_in_progress"} if busy else {"master"})
    problem = "" if master else "Timeout"
    return SentinelView(SENTINELS[0], master, flags=flags, problem=problem)


AGREED = [says(NEW)] * 3


@pytest.mark.parametrize(
    ("looks", "role", "agreed"),
    [
        ([AGREED], "master", True),
        ([[says(NEW), says(NEW), says(None)]], "master", True),
        ([[says(OLD)] * 3, [says(NEW), says(OLD), says(NEW)], AGREED], "master", True),
        ([AGREED], "slave", False),
        ([AGREED], None, False),
        ([[says(NEW), says(OLD), says(NEW)]], "master", False),
        ([[says(NEW), says(NEW, busy=True), says(NEW)]], "master", False),
        ([[says(NEW), says(None), says(None)]], "master", False),
        ([[says(None)] * 3], "master", False),
    ],
)
def test_all_that_answer_must_name_the_new_master_and_it_must_still_be_one(
    monkeypatch: pytest.MonkeyPatch, looks: list[list[SentinelView]], role: str, agreed: bool
) -> None:
    left = list(looks)
    monkeypatch.setattr(failover, "time", Time())
    monkeypatch.setattr(
        failover, "ask_sentinels", lambda _: left.pop(0) if len(left) > 1 else left[0]
    )
    monkeypatch.setattr(failover, "ask_node", lambda _, address: NodeView(address, role))
    assert failover._await_agreement(SITE, NEW) is agreed


def test_without_an_agreement_it_is_no_success(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = Outcome("redis-1", "redis-2", None, lossless=True, seconds=1.0, agreed=False)
    with pytest.raises(click.exceptions.Exit) as ended:
        failover._show(outcome, as_json=True)
    assert ended.value.exit_code == 1
    said = capsys.readouterr()
    assert json.loads(said.out)["to"] == "redis-2"
    assert said.err == "the sentinels don't all name redis-2 yet: see `redis-ha status`\n"
