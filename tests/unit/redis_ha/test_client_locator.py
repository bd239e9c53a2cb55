"""How a search for the master goes on asking."""

import time
from itertools import pairwise
from pathlib import Path

import pytest

from redis_ha.client.locator import Locator, _Search
from redis_ha.client.scout import Report
from redis_ha.connection import Address, Credentials
from redis_ha.discovery import Access, NodeView
from redis_ha.errors import NoMaster

NODE = Address("127.0.0.1", 1)
WELL = Report(NodeView(NODE, "master"))
LOST = Report(NodeView(NODE, problem="Connection closed by server."))
PAUSE = 0.1
ACCESS = Access((), "mymaster", Credentials("app", ""), Path("ca.crt"))


def test_a_search_that_begins_after_the_close_looks_once() -> None:
    locator = Locator(ACCESS, on_master=print)
    locator.close()
    with pytest.raises(NoMaster):
        locator.search(time.monotonic() + 600).result(60)


def test_a_node_that_closed_its_connection_is_asked_anew_at_once_but_only_once() -> None:
    search = _Search(Locator(ACCESS, on_master=print), time.monotonic() + 5, doubt_only=False)
    answers, asked = [WELL, LOST, LOST, WELL], []

    def ask(_: Address) -> Report:
        asked.append(time.monotonic())
        search._over = len(asked) == len(answers)
        return answers[len(asked) - 1]

    search._keep_asking(NODE, ask, lambda: PAUSE)
    pauses = [later - earlier for earlier, later in pairwise(asked)]
    assert pauses[0] >= PAUSE
    assert pauses[1] < PAUSE
    assert pauses[2] >= PAUSE
