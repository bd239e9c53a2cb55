"""Which node a client writes to, whatever the nodes and sentinels say of themselves and others."""

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from redis_ha.client.mastership import Evidence, Known, decide
from redis_ha.connection import Address
from redis_ha.discovery import NodeView, SentinelView

A, B, C = (Address("10.0.0.1", 1), Address("10.0.0.2", 2), Address("10.0.0.3", 3))
S = tuple(Address(f"10.0.1.{n}", n) for n in (1, 2, 3))

MASTER_A = NodeView(A, "master", replid="a", replid2="0")
PROMOTED_B = NodeView(B, "master", replid="b", replid2="a")
FOLLOWS_A = NodeView(B, "slave", replid="a", master=A)
THIRD = NodeView(C, "slave", replid="a", master=A)
GONE_A = NodeView(A, problem="connection refused")
RESTARTED_A = NodeView(A, "master", replid="a-restarted", replid2="0")
DEMOTED_A = NodeView(A, "slave", replid="b", master=B)
KNOWN_A = Known(A, "a", epoch=1)
KNOWN_B = Known(B, "b", epoch=1)
NAME_A = tuple(SentinelView(s, A, config_epoch=1) for s in S)
NAME_B = tuple(SentinelView(s, B, config_epoch=2) for s in S)
SILENT = tuple(SentinelView(s, problem="timed out") for s in S)
ONE_KNOWS = (*NAME_A[:2], NAME_B[2])
FAILING_OVER = (
    replace(NAME_A[0], flags=frozenset({"failover_in_progress"})),
    *NAME_A[1:],
)


def chosen(known: Known | None, sentinels: tuple[SentinelView, ...], *nodes: NodeView) -> object:
    verdict = decide(known, Evidence(sentinels, nodes))
    assert verdict.reason
    return verdict.master and verdict.master.address


CASES = {
    "first look": (None, NAME_A, (MASTER_A, FOLLOWS_A), A),
    "first look, no majority": (None, (NAME_A[0], *SILENT[1:]), (MASTER_A,), None),
    "first look, named one is away": (None, NAME_A, (GONE_A, PROMOTED_B), None),
    "first look, named one follows a master": (None, NAME_A, (DEMOTED_A, PROMOTED_B), B),
    "first look, in the middle of a failover": (None, FAILING_OVER, (MASTER_A, PROMOTED_B), B),
    "first look, one sentinel is ahead": (
        None,
        ONE_KNOWS,
        (RESTARTED_A, replace(PROMOTED_B, replid2="x")),
        None,
    ),
    "still the master, sentinels away": (KNOWN_A, SILENT, (MASTER_A, FOLLOWS_A), A),
    "crashed, nobody promoted": (KNOWN_A, NAME_A, (GONE_A, FOLLOWS_A, THIRD), None),
    "crashed, promoted, sentinels late": (KNOWN_A, NAME_A, (GONE_A, PROMOTED_B, THIRD), B),
    "crashed, promoted, sentinels away": (KNOWN_A, SILENT, (GONE_A, PROMOTED_B, THIRD), B),
    "no word from it yet, promoted, a sentinel knows": (
        KNOWN_A,
        FAILING_OVER,
        (PROMOTED_B, THIRD),
        B,
    ),
    "no word from it yet, a replica cut loose by hand": (
        KNOWN_A,
        NAME_A,
        (PROMOTED_B, THIRD),
        None,
    ),
    "demoted": (KNOWN_A, NAME_A, (DEMOTED_A, PROMOTED_B), B),
    "a replica cut loose by hand": (KNOWN_A, NAME_A, (MASTER_A, PROMOTED_B), A),
    "promoted while the old one lives": (KNOWN_A, FAILING_OVER, (MASTER_A, PROMOTED_B), B),
    "one sentinel knows": (KNOWN_A, ONE_KNOWS, (MASTER_A, PROMOTED_B), B),
    "old one back, sentinels late": (KNOWN_A, NAME_A, (RESTARTED_A, PROMOTED_B), B),
    "old one back and alone": (KNOWN_A, NAME_B, (RESTARTED_A,), None),
    "old one back, new one away": (
        KNOWN_A,
        NAME_B,
        (RESTARTED_A, NodeView(B, problem="refused"), THIRD),
        None,
    ),
    "old one back, we know better": (KNOWN_B, NAME_A, (RESTARTED_A, PROMOTED_B), B),
    "restarted in place": (KNOWN_A, NAME_A, (RESTARTED_A, FOLLOWS_A), A),
    "restarted, sentinels away": (KNOWN_A, SILENT, (RESTARTED_A, FOLLOWS_A), None),
    "loading": (KNOWN_A, NAME_A, (replace(MASTER_A, loading=True), FOLLOWS_A), None),
    "two failovers missed": (
        KNOWN_A,
        tuple(SentinelView(s, C, config_epoch=3) for s in S),
        (DEMOTED_A, replace(FOLLOWS_A, master=C), NodeView(C, "master", replid="c", replid2="b")),
        C,
    ),
    "two heirs": (KNOWN_A, NAME_A, (GONE_A, PROMOTED_B, replace(PROMOTED_B, address=C)), None),
}


@pytest.mark.parametrize("name", CASES)
def test_the_writable_master(name: str) -> None:
    known, sentinels, nodes, expected = CASES[name]
    assert chosen(known, sentinels, *nodes) == expected


def test_without_a_majority_each_problem_of_the_sentinels_is_said_once() -> None:
    unknown = "No such master with that name"
    sentinels = tuple(SentinelView(s, problem=unknown) for s in S)
    assert decide(None, Evidence(sentinels, ())).reason.count(unknown) == 1
    mixed = (NAME_A[0], sentinels[1], SentinelView(S[2], problem="x " * 500))
    reason = decide(None, Evidence(mixed, ())).reason
    assert unknown in reason
    assert "x x" in reason
    assert len(reason) < 300


def test_the_known_master_is_kept_only_when_every_sentinel_was_heard() -> None:
    early = Evidence(SILENT, (MASTER_A,), complete=False)
    assert decide(KNOWN_A, early).master is None
    assert decide(KNOWN_A, replace(early, complete=True)).master is not None


def test_an_early_choice_is_not_undone_by_sentinels_that_are_late() -> None:
    first = decide(KNOWN_A, Evidence(NAME_A, (GONE_A, PROMOTED_B))).master
    assert first == Known(B, "b", 1)
    again = decide(first, Evidence(NAME_A, (RESTARTED_A, PROMOTED_B))).master
    assert again == first
    assert decide(first, Evidence(NAME_B, (DEMOTED_A, PROMOTED_B))).master == Known(B, "b", 2)


addresses = st.sampled_from([A, B, C])
replids = st.sampled_from(["a", "b", "c", "a-restarted", "0"])


@st.composite
def node_views(draw: st.DrawFn, address: Address) -> NodeView:
    return NodeView(
        address,
        draw(st.sampled_from(["master", "slave", None])),
        replid=draw(replids),
        replid2=draw(replids),
        master=draw(addresses),
        loading=draw(st.booleans()),
        problem="away",
    )


@st.composite
def sentinel_views(draw: st.DrawFn) -> tuple[SentinelView, ...]:
    return tuple(
        SentinelView(
            s,
            draw(st.none() | addresses),
            config_epoch=draw(st.integers(0, 3)),
            flags=draw(st.sampled_from([frozenset[str](), frozenset({"failover_in_progress"})])),
        )
        for s in S
    )


@given(
    known=st.none() | st.builds(Known, addresses, replids, st.integers(0, 3)),
    sentinels=sentinel_views(),
    nodes=st.tuples(node_views(A), node_views(B), node_views(C)),
    complete=st.booleans(),
)
def test_whatever_they_say_only_a_serving_master_is_chosen_and_epochs_never_go_back(
    known: Known | None,
    sentinels: tuple[SentinelView, ...],
    nodes: tuple[NodeView, ...],
    complete: bool,
) -> None:
    evidence = Evidence(sentinels, nodes, complete=complete)
    verdict = decide(known, evidence)
    assert verdict.reason
    if verdict.master is None:
        return
    view = evidence.node(verdict.master.address)
    assert view is not None
    assert view.role == "master"
    assert not view.loading
    assert verdict.master.replid == view.replid
    if known is not None and known.address == verdict.master.address:
        assert verdict.master.epoch >= known.epoch


@given(
    old=st.sampled_from([GONE_A, DEMOTED_A, RESTARTED_A, replace(GONE_A, problem="timed out")]),
    new_heard=st.booleans(),
    late=st.lists(st.booleans(), min_size=3, max_size=3),
    silent=st.lists(st.booleans(), min_size=3, max_size=3),
    known=st.sampled_from([KNOWN_A, KNOWN_B, Known(B, "b", 2)]),
    third=st.sampled_from([THIRD, NodeView(C, problem="refused")]),
)
def test_after_a_failover_a_client_that_knew_either_never_goes_to_the_old_master(
    old: NodeView,
    new_heard: bool,
    late: list[bool],
    silent: list[bool],
    known: Known,
    third: NodeView,
) -> None:
    # Somebody must know: a failover whose every witness is silent is one for the sentinels alone.
    assume(new_heard or any(not (late[n] or silent[n]) for n in range(3)))
    sentinels = tuple(
        SILENT[n] if silent[n] else NAME_A[n] if late[n] else NAME_B[n] for n in range(3)
    )
    new = PROMOTED_B if new_heard else NodeView(B, problem="timed out")
    assert chosen(known, sentinels, old, new, third) in ((B,) if new_heard else (None,))
