"""The picture of one run as inline SVG: each node's state, each client's acknowledged writes.

Colours are CSS classes of the page, so that the picture follows its light or dark scheme.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

from redis_ha.failover_test.measures import (
    outages,
    overlaps,
    stretches,
    writable_spans,
)
from redis_ha.failover_test.records import (
    BEGUN,
    HEALED,
    HEALTHY,
    PROMOTED,
    ClientRecord,
    RunRecord,
    SentinelSample,
)

WIDTH, GUTTER, RIGHT = 1000, 132, 14
_TOP = 54
_NODE, _CLIENT, _SPACE = 20, 40, 8
_BUCKETS = 240
# What is shown of the quiet time before the fault (s).
_BEFORE = 2.0
MARKS = {
    BEGUN: "fault",
    PROMOTED: "promoted",
    HEALED: "healed",
    HEALTHY: "healthy",
}
STATES = {
    "master": "master, takes writes",
    "refusing": "master, refuses writes",
    "replica": "replica",
    "silent": "no answer",
}


@dataclass(frozen=True)
class Scale:
    """Turns the run's time (s) into x of the picture."""

    begin: float
    end: float

    def x(self, at: float) -> float:
        share = (min(max(at, self.begin), self.end) - self.begin) / (self.end - self.begin)
        return GUTTER + share * (WIDTH - GUTTER - RIGHT)


def draw(run: RunRecord) -> str:
    """Draw a run; the fault is at 0 s."""
    scale = Scale(max(run.start, run.marks[BEGUN] - _BEFORE), run.end)
    parts: list[str] = []
    y = float(_TOP)
    for name in run.nodes:
        parts += _node_row(run, name, scale, y)
        y += _NODE + _SPACE
    parts += _sentinel_row(run, scale, y)
    y += _NODE + 2 * _SPACE
    for client in (*run.clients, *((run.inside,) if run.inside else ())):
        parts += _client_row(run, client, scale, y)
        y += _CLIENT + _SPACE
    overlap = _overlaps(run, scale)
    axis = _axis(scale, run.marks[BEGUN], y)
    marks = _marks(run, scale, y)
    label = escape(f"{run.fault} of {run.victim}: states of the nodes and writes of the clients")
    return (
        f'<svg viewBox="0 0 {WIDTH} {y + 30:.0f}" role="img" aria-label="{label}">'
        + "".join([*axis, *overlap, *parts, *marks])
        + "</svg>"
    )


def _node_row(run: RunRecord, name: str, scale: Scale, y: float) -> Iterator[str]:
    suffix = " ✕" if name == run.victim else ""
    yield _row_name(name + suffix, y + _NODE / 2)
    for stretch in stretches(run.nodes[name]):
        if stretch.end < scale.begin:
            continue
        left, right = scale.x(stretch.begin), scale.x(stretch.end)
        yield (
            f'<rect class="state-{stretch.state}" data-node="{escape(name)}"'
            f' data-state="{stretch.state}" x="{left:.1f}" y="{y:.1f}"'
            f' width="{max(right - left, 0.8):.1f}" height="{_NODE}"><title>'
            f"{escape(name)}: {STATES[stretch.state]}, {stretch.seconds:.2f} s</title></rect>"
        )


def _sentinel_row(run: RunRecord, scale: Scale, y: float) -> Iterator[str]:
    yield _row_name("sentinels name", y + _NODE / 2)
    named = [span for span in named_masters(run) if span[1] > scale.begin]
    for begin, end, name in named:
        left, right = scale.x(begin), scale.x(end)
        yield (
            f'<rect class="named" x="{left:.1f}" y="{y:.1f}" width="{right - left:.1f}"'
            f' height="{_NODE}"/>'
        )
        if right - left > 8 * len(name):
            middle = (left + right) / 2
            yield f'<text class="in" x="{middle:.1f}" y="{y + 14:.1f}">{escape(name)}</text>'


def named_masters(run: RunRecord) -> list[tuple[float, float, str]]:
    """Return whom the majority of the sentinels named: from, to (s), name."""
    needed = len(run.sentinels) // 2 + 1
    looks = sorted(
        (sample.at, sentinel, sample)
        for sentinel, samples in run.sentinels.items()
        for sample in samples
    )
    latest: dict[str, SentinelSample] = {}
    spans: list[tuple[float, float, str]] = []
    for at, sentinel, sample in looks:
        latest[sentinel] = sample
        name, votes = Counter(s.master for s in latest.values()).most_common(1)[0]
        if votes < needed:
            continue
        if spans and spans[-1][2] == name:
            spans[-1] = (spans[-1][0], at, name)
        else:
            spans.append((at, at, name))
    return spans


def _client_row(run: RunRecord, client: ClientRecord, scale: Scale, y: float) -> Iterator[str]:
    bottom = y + _CLIENT
    yield _row_name(client.kind, y + _CLIENT / 2)
    yield f'<line class="base" x1="{GUTTER}" x2="{WIDTH - RIGHT}" y1="{bottom}" y2="{bottom}"/>'
    yield _area(client, scale, bottom)
    gap = outages(run, since=run.marks[BEGUN]).get(client.kind)
    if gap is not None:
        left, right = scale.x(gap.begin), scale.x(gap.end)
        yield (
            f'<rect class="gap" data-gap="{escape(client.kind)}" x="{left:.1f}" y="{y:.1f}"'
            f' width="{max(right - left, 1):.1f}" height="{_CLIENT}"><title>{gap.seconds:.3f} s'
            " without an acknowledged write</title></rect>"
        )
        yield _gap_label(gap.seconds, left, right, y + 16)
    lost = [write.at for write in run.lost if write.kind == client.kind]
    yield from _ticks("lost", lost, scale, y, 9)
    yield from _ticks("stale", [read.at for read in client.stale], scale, bottom - 6, 6)


def _gap_label(seconds: float, left: float, right: float, y: float) -> str:
    inside = right - left > 52
    x, anchor = ((left + right) / 2, "middle") if inside else (right + 4, "start")
    return (
        f'<text class="gap-label" text-anchor="{anchor}" x="{x:.1f}" y="{y:.1f}">'
        f"{seconds:.2f} s</text>"
    )


def _area(client: ClientRecord, scale: Scale, bottom: float) -> str:
    """Draw how many writes were acknowledged in each small piece of time."""
    times = sorted(at for writer in client.writers for at in writer.times)
    step = (scale.end - scale.begin) / _BUCKETS
    edges = [scale.begin + n * step for n in range(_BUCKETS + 1)]
    counts = [bisect_right(times, b) - bisect_left(times, a) for a, b in pairwise(edges)]
    highest = max(*counts, 1)
    points = [f"{scale.x(edges[0]):.1f},{bottom:.1f}"]
    for count, (begin, end) in zip(counts, pairwise(edges), strict=True):
        y = bottom - (_CLIENT - 4) * count / highest
        points += [f"{scale.x(begin):.1f},{y:.1f}", f"{scale.x(end):.1f},{y:.1f}"]
    points.append(f"{scale.x(edges[-1]):.1f},{bottom:.1f}")
    return f'<polygon class="acks" points="{" ".join(points)}"/>'


def _ticks(
    kind: str, moments: Iterable[float], scale: Scale, y: float, height: float
) -> Iterator[str]:
    """Draw short lines; those that fall on the same spot are one."""
    for x in sorted({round(scale.x(at)) for at in moments if at >= scale.begin}):
        yield f'<line class="{kind}" x1="{x}" x2="{x}" y1="{y:.1f}" y2="{y + height:.1f}"/>'


def _overlaps(run: RunRecord, scale: Scale) -> Iterator[str]:
    height = len(run.nodes) * (_NODE + _SPACE)
    for span in overlaps(writable_spans(run)):
        left, right = scale.x(span.begin), scale.x(span.end)
        yield (
            f'<rect class="overlap" x="{left:.1f}" y="{_TOP - 4}" width="{right - left:.1f}"'
            f' height="{height}"><title>two nodes take writes, {span.seconds:.2f} s</title></rect>'
        )


def _marks(run: RunRecord, scale: Scale, bottom: float) -> Iterator[str]:
    """Draw the moments; labels that would touch go to a second line."""
    shown = [(run.marks[name], name) for name in MARKS if name in run.marks]
    ends = [0.0, 0.0]
    for at, name in sorted(shown):
        x, text = scale.x(at), f"{MARKS[name]} {at - run.marks[BEGUN]:+.2f} s"
        if name == BEGUN:
            text = run.fault
        line = 0 if x > ends[0] else 1
        ends[line] = x + 7 * len(text) + 8
        right = ends[line] > WIDTH
        anchor, shift = ("end", -4) if right else ("start", 4)
        kind = "mark-fault" if name == BEGUN else "mark"
        yield (
            f'<g class="{kind}" data-mark="{escape(name)}"><line x1="{x:.1f}" x2="{x:.1f}"'
            f' y1="{8 + 18 * line}" y2="{bottom:.1f}"/><text text-anchor="{anchor}"'
            f' x="{x + shift:.1f}" y="{18 + 18 * line}">{escape(text)}</text></g>'
        )


def _axis(scale: Scale, zero: float, y: float) -> Iterator[str]:
    span = scale.end - scale.begin
    step = next(s for s in (0.5, 1, 2, 5, 10, 20, 60, 600) if span / s <= 16)
    first = int((scale.begin - zero) / step)
    for n in range(first, int((scale.end - zero) / step) + 1):
        x = scale.x(zero + n * step)
        yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP - 4}" y2="{y:.1f}"/>'
        yield f'<text class="tick" x="{x:.1f}" y="{y + 16:.1f}">{n * step:g} s</text>'


def _row_name(name: str, y: float) -> str:
    return f'<text class="row" x="{GUTTER - 10}" y="{y + 4:.1f}">{escape(name)}</text>'


def legend() -> Sequence[tuple[str, str]]:
    """Name the classes that a reader needs explained, with their meaning."""
    states = [(f"state-{state}", text) for state, text in STATES.items()]
    return [
        *states,
        ("acks", "acknowledged writes"),
        ("gap", "the longest silence of one writer"),
        ("overlap", "two nodes take writes"),
        ("lost", "a lost write"),
        ("stale", "a stale read"),
    ]
