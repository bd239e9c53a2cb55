"""docs/BENCHMARKS.md and its picture, made of the results. Pure."""

from collections.abc import Iterator, Mapping
from html import escape
from itertools import groupby
from typing import Any

from benchmarks.figures import PEERS, Figure, measured

PICTURE = "benchmarks.svg"
_HEAD = f"""# Benchmarks

Made by `python -m benchmarks report` of `benchmarks/results/*.json`; `make bench` measures them.
Each figure is a ratio to, or stands beside, a peer of the same run. A load that was there before
it began spoils times, so it is noted. A figure short of its goal is said to be.

![each figure as a share of its goal]({PICTURE})
"""
_ROW, _LABELS, _WIDTH, _BARS = 22, 330, 900, 420
_GOAL_AT = _LABELS + _BARS * 0.6
_GOOD, _SHORT = "#2b8a3e", "#c92a2a"


def document(results: Mapping[str, Any]) -> str:
    """Write the page: a table for each benchmark."""
    parts = [_HEAD]
    for name, group in groupby(measured(results), key=lambda pair: pair[0].benchmark):
        parts.append("\n".join(_table(name, list(group), results[name]["measured_on"])))
    return "\n".join(parts)


def _table(
    name: str, rows: list[tuple[Figure, float]], machine: Mapping[str, Any]
) -> Iterator[str]:
    yield f"## {name.capitalize()}\n"
    yield f"Against {PEERS[name]}.\n"
    yield "| figure | value | goal | |\n|---|---|---|---|"
    for figure, value in rows:
        sign = ">=" if figure.better == "higher" else "<="
        goal = "" if figure.goal is None else f"{sign} {_shown(figure.goal, figure.unit)}"
        said = {None: "", True: "reached", False: "short"}[figure.reached(value)]
        yield f"| {figure.text} | {_shown(value, figure.unit)} | {goal} | {said} |"
    yield (
        f"\n{machine['date']}, {machine['cpus']} cores, load {machine['load_before']} before it,"
        f" Redis {machine['redis']}, Python {machine['python']}.\n"
    )


def picture(results: Mapping[str, Any]) -> str:
    """Draw each figure that has a goal as a bar against it: the line is the goal."""
    rows = [(f, v / f.goal) for f, v in measured(results) if f.goal]
    height = _ROW * (len(rows) + 2)
    bars = "\n".join(_bar(number, *row) for number, row in enumerate(rows))
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}"
 font-family="sans-serif" font-size="13" role="img" aria-label="figures against their goals">
<rect width="100%" height="100%" fill="#ffffff"/>
<line x1="{_GOAL_AT}" y1="{_ROW}" x2="{_GOAL_AT}" y2="{height - _ROW / 2}" stroke="#495057"
 stroke-dasharray="4 3"/>
<text x="{_GOAL_AT}" y="{_ROW - 6}" text-anchor="middle" fill="#495057">goal</text>
{bars}
</svg>
"""


def _bar(number: int, figure: Figure, share: float) -> str:
    """Draw a row; a bar that would leave the picture is cut, its number tells."""
    y = _ROW * (number + 1) + 4
    length = min(share * 0.6, 1.0) * _BARS
    colour = _GOOD if share <= 1 else _SHORT
    label = escape(figure.text)
    return (
        f'<text x="{_LABELS - 10}" y="{y + 12}" text-anchor="end" fill="#212529">{label}</text>'
        f'<rect x="{_LABELS}" y="{y}" width="{length:.1f}" height="15" fill="{colour}"/>'
        f'<text x="{max(_LABELS + length, _GOAL_AT) + 8:.1f}" y="{y + 12}" fill="#212529">'
        f"{_shown(share * (figure.goal or 1), figure.unit)}</text>"
    )


def _shown(value: float, unit: str) -> str:
    text = f"{value:.3f}".rstrip("0").rstrip(".") if value < 10 else f"{value:,.0f}"
    return f"{text} {unit}".strip()
