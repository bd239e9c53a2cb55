"""Who leaves a cluster that gets smaller, and who takes over from a master among them."""

from pathlib import Path

from redis_ha.connection import Address, Credentials
from redis_ha.discovery import Access, NodeView
from redis_ha.scaling import staying, successor
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


def test_nobody_is_chosen_where_the_master_stays_or_nobody_is_in_sync() -> None:
    assert chosen(follower(1, 10), master=3) is None
    silent = NodeView(NODES[0].address, problem="refused")
    assert chosen(silent, follower(5, 10)) is None
