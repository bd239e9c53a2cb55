"""The picture of what the witnesses spare: outages of the same crash with and without them.

Bars of HTML and CSS: unlike a drawing they stay readable on a small screen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from redis_ha.failover_test.clients import OURS, STOCK
from redis_ha.failover_test.records import Fault
from redis_ha.failover_test.summary import Row

_WHO: tuple[tuple[Fault, str, str], ...] = (
    ("crash-unseen", "alone", "Sentinel alone"),
    ("crash", "witnessed", "with the witnesses"),
)


@dataclass(frozen=True)
class Bar:
    """One kind of client under one kind of crash; outages in seconds."""

    look: str
    text: str
    kind: str
    middle: float
    worst: float
    runs: int
    lost: int


def bars(rows: Sequence[Row]) -> list[Bar]:
    """Choose what stands beside each other; empty unless both kinds of crash were done."""
    found = {(row.fault, row.kind): row for row in rows}
    if not {fault for fault, _, _ in _WHO} <= {fault for fault, _ in found}:
        return []
    return [
        Bar(look, text, kind, row.outage_middle, row.outage_worst, row.runs, row.lost)
        for fault, look, text in _WHO
        for kind in (STOCK, OURS)
        if (row := found.get((fault, kind)))
    ]


def draw(chosen: Sequence[Bar]) -> str:
    """Draw the bars on one scale: the middle run as a bar, the worst as a mark."""
    longest = max(bar.worst for bar in chosen)
    return '<div class="bars">' + "".join(_bar(bar, longest) for bar in chosen) + "</div>"


def _bar(bar: Bar, longest: float) -> str:
    middle, worst = (100 * seconds / longest for seconds in (bar.middle, bar.worst))
    title = f"{bar.runs} runs: middle {bar.middle:.2f} s, worst {bar.worst:.2f} s, {bar.lost} lost"
    return (
        f'<div class="bar" data-bar="{bar.look} {escape(bar.kind)}" title="{escape(title)}">'
        f"<span>{escape(bar.text)}, <b>{escape(bar.kind)}</b></span>"
        f'<span class="track"><i class="{bar.look}" style="width:{middle:.2f}%"></i>'
        f'<i class="worst" style="left:{worst:.2f}%"></i></span>'
        f"<span><b>{bar.middle:.2f} s</b> "
        f'<small class="soft">worst {bar.worst:.2f} s of {bar.runs}, {bar.lost} lost</small>'
        "</span></div>"
    )
