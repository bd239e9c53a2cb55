"""The topology as a picture of text: who follows whom, how far behind, whom the sentinels name.

Pure: a survey in, lines of (text, style) pieces out; styles are rich's.
"""

from collections.abc import Iterator, Sequence

from redis_ha.connection import Address
from redis_ha.survey import NodeSurvey, SentinelSurvey, Survey
from redis_ha.witnessing import witness_troubles, witnesses_fine

Line = list[tuple[str, str]]


def draw(survey: Survey, *, master_name: str) -> list[Line]:
    """Draw data nodes as a tree and the sentinels below it."""
    return [
        [(master_name, "bold"), (f"  {last_failover(survey)}", "dim")],
        [],
        *_tree(survey),
        [],
        *_sentinels(survey),
        _witnesses(survey),
    ]


def _witnesses(survey: Survey) -> Line:
    troubles = [trouble.reason for trouble in witness_troubles(survey)]
    if troubles:
        return [("  witnesses  ", "dim"), ("; ".join(dict.fromkeys(troubles)), "yellow")]
    return [(f"  witnesses  {witnesses_fine(survey)}", "dim")]


def last_failover(survey: Survey) -> str:
    """Say what the sentinels know of the last failover: its epoch, and how long ago at least."""
    if not survey.answering:
        return "last failover: not known, no sentinel answers"
    epoch = max(sentinel.epoch for sentinel in survey.answering)
    if not epoch:
        return "no failover yet"
    seconds = max(sentinel.since_role for sentinel in survey.answering)
    return f"last failover: epoch {epoch}, at least {_ago(seconds)} ago"


def _ago(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _tree(survey: Survey) -> Iterator[Line]:
    """Draw each master or stray node with those that follow it below."""
    addresses = {node.address for node in survey.nodes}
    drawn: set[Address] = set()
    roots = [node for node in survey.nodes if node.view.role == "master"]
    roots += [n for n in survey.nodes if n.view.role != "master" and n.view.master not in addresses]
    # Nodes that follow each other in a ring have no root: they come last.
    for root in (*roots, *survey.nodes):
        if root.address not in drawn:
            yield from _branch(survey, root, drawn, indent="")


def _branch(
    survey: Survey, node: NodeSurvey, drawn: set[Address], *, indent: str, joint: str = ""
) -> Iterator[Line]:
    drawn.add(node.address)
    yield [(indent + joint, "dim"), *_describe(survey, node)]
    deeper = indent + {"": "", "├─ ": "│  ", "└─ ": "   "}[joint]
    children = [n for n in survey.nodes if n.view.master == node.address and n.address not in drawn]
    for number, child in enumerate(children, start=1):
        corner = "└─ " if number == len(children) else "├─ "
        yield from _branch(survey, child, drawn, indent=deeper, joint=corner)


def _describe(survey: Survey, node: NodeSurvey) -> Line:
    view, name = node.view, survey.name(node.address)
    head: Line = [(f"{name:<9} ", "bold"), (f"{node.address!s:<21} ", "")]
    if view.role is None:
        return [("✗ ", "red"), *head, (view.problem, "red")]
    if view.role == "master":
        named = survey.master == node.address
        said = "" if named else "  but the sentinels don't name it"
        mark = ("● ", "green" if named else "red")
        text = f"offset {view.offset}, {view.keys} keys"
        return [mark, *head, ("MASTER   ", "bold green"), (text, ""), (said, "red")]
    state, style = _link(survey, node)
    return [("● ", style), *head, ("replica  ", ""), (state, style), (_behind(survey, node), "")]


def _link(survey: Survey, node: NodeSurvey) -> tuple[str, str]:
    view = node.view
    if view.syncing:
        return "syncing", "yellow"
    if view.loading:
        return "loading", "yellow"
    if not view.link_up:
        down = view.link_down_seconds
        return ("link down" if down is None or down < 0 else f"link down for {down} s"), "red"
    if view.master != survey.master:
        return "follows another than the master", "red"
    return "in sync", "green"


def _behind(survey: Survey, node: NodeSurvey) -> str:
    if survey.leader is None or node.view.master != survey.leader.address:
        return f", offset {node.view.offset}"
    behind, seconds = survey.lag(node)
    heard = "" if seconds is None else f", heard {seconds:.0f} s ago"
    return f", offset {node.view.offset}, {behind} B behind{heard}"


def _sentinels(survey: Survey) -> Iterator[Line]:
    for sentinel in survey.sentinels:
        name = survey.name(sentinel.address)
        head: Line = [(f"{name:<11}", "bold"), (f"{sentinel.address!s:<21} ", "")]
        if sentinel.answers:
            agrees = sentinel.view.master == survey.master
            style = "green" if agrees else "red"
            yield [("● ", style), *head, *_vote(survey, sentinel, style)]
        else:
            yield [("✗ ", "red"), *head, (sentinel.view.problem, "red")]


def _vote(survey: Survey, sentinel: SentinelSurvey, style: str) -> Line:
    flags = ",".join(sorted(sentinel.view.flags))
    knows = f"knows {len(sentinel.replicas)} replicas, {len(sentinel.peers)} sentinels"
    down = [survey.name(address) for address in sentinel.takes_for_down]
    trouble = f", takes {', '.join(down)} for down" if down else ""
    return [
        (f"names {survey.name(sentinel.view.master)}", style),
        (f" [{flags}] epoch {sentinel.epoch}, {knows}", ""),
        (trouble, "yellow"),
    ]


def rows(survey: Survey) -> Sequence[tuple[str, ...]]:
    """Give the same as rows for a program: kind, name, address, role or vote, state, ...

    A node's row: node, name, address, role, state, master, offset, bytes behind. A sentinel's:
    sentinel, name, address, master, flags, epoch, replicas, sentinels.
    """
    return [
        *(_node_row(survey, node) for node in survey.nodes),
        *(_sentinel_row(survey, sentinel) for sentinel in survey.sentinels),
    ]


def _node_row(survey: Survey, node: NodeSurvey) -> tuple[str, ...]:
    view, head = node.view, ("node", survey.name(node.address), str(node.address))
    if view.role is None:
        return (*head, "-", view.problem, "-", "-", "-")
    if view.role == "master":
        return (*head, "master", "up", "-", str(view.offset), "0")
    behind = str(survey.lag(node)[0]) if survey.leader else "-"
    state = _link(survey, node)[0]
    return (*head, "replica", state, survey.name(view.master), str(view.offset), behind)


def _sentinel_row(survey: Survey, sentinel: SentinelSurvey) -> tuple[str, ...]:
    head = ("sentinel", survey.name(sentinel.address), str(sentinel.address))
    if not sentinel.answers:
        return (*head, "-", sentinel.view.problem, "-", "-", "-")
    named, flags = survey.name(sentinel.view.master), ",".join(sorted(sentinel.view.flags))
    counts = (str(len(sentinel.replicas)), str(len(sentinel.peers)))
    return (*head, named, flags, str(sentinel.epoch), *counts)
