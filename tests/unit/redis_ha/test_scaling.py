"""Who leaves a cluster that gets smaller, and who takes over from a master among them."""

import socket
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from redis_ha.cli import scale
from redis_ha.connection import Address, Credentials
from redis_ha.discovery import Access, NodeView
from redis_ha.errors import SwitchoverRefused, Unreachable
from redis_ha.scaling import (
    Listing,
    obstacle,
    staying,
    still_to_wait_for,
    successor,
    wait_until_forgotten,
)
from redis_ha.site import Member, Site

NODES = tuple(Member(f"redis-{n}", Address("10.0.0.1", 6378 + n)) for n in range(1, 7))
SITE = Site(Access((), "mymaster", Credentials("u", "p"), Path("ca")), None, NODES, ())


def follower(number: int, offset: int) -> NodeView:
    master = NODES[5].address
    return NodeView(NODES[number - 1].address, "slave", offset, "id", master=master)


def chosen(*views: NodeView, master: int = 6) -> str | None:
    member = successor(staying(SITE, replicas=2), views, master=NODES[master - 1].address)
    return member.name if member else None


def test_the_first_ones_stay() -> None:
    assert [member.name for member in staying(SITE, replicas=2)] == [
        "redis-1",
        "redis-2",
        "redis-3",
    ]


def test_a_master_that_leaves_is_followed_by_the_best_of_those_that_stay() -> None:
    assert chosen(follower(1, 10), follower(2, 30), follower(3, 20), follower(4, 99)) == "redis-2"


def test_nobody_is_chosen_where_the_master_stays() -> None:
    assert chosen(follower(1, 10), master=3) is None


def forbidden(*views: NodeView, master: int | None = 6) -> str:
    named = None if master is None else NODES[master - 1].address
    return obstacle(staying(SITE, replicas=2), views, master=named)


def test_the_node_with_the_data_may_not_leave_unless_one_that_stays_holds_them() -> None:
    leaver = NodeView(NODES[5].address, "master", 99, "id")
    silent = NodeView(NODES[1].address, problem="refused")
    loading, syncing = (
        replace(follower(1, 10), loading=True),
        replace(follower(3, 10), syncing=True),
    )
    said = forbidden(loading, silent, syncing, follower(5, 99), leaver)
    assert said == (
        "10.0.0.1:6384, the master, leaves, and none that stays can take over: redis-1 is loading"
        " its data; redis-2 doesn't answer: refused; redis-3 is syncing"
    )
    cut_off = replace(follower(1, 10), link_down_seconds=3)
    elsewhere = replace(follower(2, 10), master=NODES[4].address)
    assert "redis-1 doesn't follow" in forbidden(cut_off, elsewhere, syncing, leaver)
    assert "redis-2 doesn't follow" in forbidden(cut_off, elsewhere, syncing, leaver)
    assert forbidden(loading, silent, follower(3, 10), leaver) == ""
    assert chosen(replace(loading, offset=50), silent, follower(3, 10), leaver) == "redis-3"


def test_nobody_may_leave_while_it_is_not_known_who_holds_the_data() -> None:
    views = [follower(1, 10), follower(2, 10)]
    assert "no majority of the sentinels" in forbidden(*views, master=None)
    dead = NodeView(NODES[2].address, problem="refused")
    assert forbidden(*views, dead, master=3) == (
        "10.0.0.1:6381 is named master, but doesn't answer: refused"
    )
    assert forbidden(*views, NodeView(NODES[2].address, "master", 10, "id"), master=3) == ""


@pytest.fixture
def closed() -> Iterator[Address]:
    """Give an address where nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield Address(*bound.getsockname())


@pytest.fixture
def silent_site(closed: Address) -> Site:
    return replace(
        SITE,
        operator=replace(SITE.operator, sentinels=(closed,)),
        sentinels=(Member("sentinel-1", closed),),
    )


def test_a_refused_scale_changes_nothing(
    silent_site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program, trace = tmp_path / "pulumi", tmp_path / "changed"
    program.write_text(f"#!/bin/sh\ntouch {trace}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    nodes = tuple(Member(m.name, silent_site.sentinels[0].address) for m in NODES[:3])
    site = replace(silent_site, data_nodes=nodes)
    monkeypatch.setattr(scale, "read_outputs", lambda _: {"files": {}})
    monkeypatch.setattr(scale, "site_of", lambda *_: site)
    monkeypatch.setattr(scale, "wait_until_forgotten", lambda *_: None)
    with pytest.raises(SwitchoverRefused, match=r"stack dev: no majority .*nothing was changed"):
        scale.command.main(["1", "--yes"], standalone_mode=False)
    assert not trace.exists()
    # Nobody leaves: whoever is master, its data stay.
    scale.command.main(["2", "--yes"], standalone_mode=False)
    assert trace.exists()


def test_who_left_is_forgotten_once_every_sentinel_says_so(silent_site: Site) -> None:
    sentinel = silent_site.sentinels[0].address
    lists = Listing(sentinel, frozenset({NODES[4].address}))
    silent = Listing(sentinel, problem="refused")
    waiting = still_to_wait_for(silent_site, [lists, silent], lost=NODES[4:6])
    assert waiting == ["redis-5 is still listed", "sentinel-1: refused"]
    assert still_to_wait_for(silent_site, [lists], lost=NODES[5:6]) == []


def test_silent_sentinels_have_forgotten_nobody(silent_site: Site) -> None:
    seconds = count()
    with pytest.raises(Unreachable, match=r"forget redis-6: after 3 s: sentinel-1: .*refused"):
        wait_until_forgotten(
            silent_site,
            NODES[5:6],
            patience=3.0,
            clock=lambda: float(next(seconds)),
            sleep=lambda _: None,
        )
