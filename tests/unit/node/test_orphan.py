"""Whom a replica follows by itself once its master is gone."""

from dataclasses import replace

import pytest

from node.orphan import find_heir, is_orphan
from redis_ha.connection import Address
from redis_ha.discovery import NodeView

OLD, HEIR, ME = (Address("10.0.0.1", port) for port in (6379, 6380, 6381))
MINE = NodeView(ME, "slave", offset=100, replid="a", master=OLD, link_down_seconds=0)
PROMOTED = NodeView(HEIR, "master", offset=110, replid="b", replid2="a", second_offset=101)


def test_the_sibling_that_was_promoted_out_of_my_history_is_followed() -> None:
    assert find_heir(MINE, [PROMOTED]) == HEIR


@pytest.mark.parametrize(
    "sibling",
    [
        replace(PROMOTED, role="slave"),
        replace(PROMOTED, role=None),
        # The old one that is back: it never was my history's second part.
        replace(PROMOTED, replid="a", replid2="0" * 40, second_offset=-1),
        # It lacks what I have: to follow it would cost a copy of everything, and lose it.
        replace(PROMOTED, second_offset=100),
        replace(PROMOTED, replid2="c"),
        replace(PROMOTED, address=OLD),
    ],
)
def test_no_other_is(sibling: NodeView) -> None:
    assert find_heir(MINE, [sibling]) is None


def test_of_two_none_is() -> None:
    assert find_heir(MINE, [PROMOTED, replace(PROMOTED, address=Address("10.0.0.1", 6382))]) is None


@pytest.mark.parametrize(
    ("view", "orphan"),
    [
        (MINE, True),
        (replace(MINE, link_down_seconds=None), False),
        # Never linked in this process's life: it may hold anything.
        (replace(MINE, link_down_seconds=-1), False),
        (replace(MINE, syncing=True), False),
        (replace(MINE, loading=True), False),
        (replace(MINE, role="master"), False),
        (NodeView(ME), False),
    ],
)
def test_an_orphan_has_lost_a_master_that_it_followed(view: NodeView, orphan: bool) -> None:
    assert is_orphan(view) is orphan
