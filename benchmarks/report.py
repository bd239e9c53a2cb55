"""docs/BENCHMARKS.md and its picture, made of the results. Pure."""

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from benchmarks.figures import FIGURES, PEERS, Figure, measured
from benchmarks.machine import under_load

PICTURE = "benchmarks.svg"
UNDER_LOAD = "measured under load"
_HEAD = f"""# Benchmarks

Made by `python -m benchmarks report` of `benchmarks/results/*.json`; `make bench` measures them.
Each figure is a ratio to, or stands beside, a peer of the same run. A figure short of its goal is
said to be. Where the machine had a load of more than half its cores before the benchmark began,
times tell little: then it says "{UNDER_LOAD}", whatever came out. No load excuses a lost write.

![each figure as a share of its goal; grey: {UNDER_LOAD}]({PICTURE})
"""
_ROW, _LABELS, _WIDTH, _BARS = 22, 350, 900, 420
_GOAL_AT = _LABELS + _BARS * 0.6
_GOOD, _SHORT, _UNSURE = "#2b8a3e", "#c92a2a", "#868e96"


def document(results: Mapping[str, Any]) -> str:
    """Write the page: a section for each benchmark, measured or not."""
    return "\n".join([_HEAD, *("\n".join(_section(name, results)) for name in PEERS)])


def _section(name: str, results: Mapping[str, Any]) -> Iterator[str]:
    yield f"## {name.capitalize()}\n"
    yield f"Against {PEERS[name]}.\n"
    if name not in results:
        yield "Not measured.\n"
        return
    machine = results[name]["measured_on"]
    rows = {figure: figure.of(results) for figure in FIGURES if figure.benchmark == name}
    if set(rows.values()) == {None}:
        yield (
            f"Measured on {machine['date']} in an older form that can't be shown here:"
            f' `make bench ARGS="{name}"` measures it again.\n'
        )
        return
    yield "| figure | value | goal | |\n|---|---|---|---|"
    yield from (_row(figure, value, machine) for figure, value in rows.items())
    yield f"\n{_told(machine)}.\n"


def _row(figure: Figure, value: float | None, machine: Mapping[str, Any]) -> str:
    sign = ">=" if figure.better == "higher" else "<="
    goal = "" if figure.goal is None else f"{sign} {_shown(figure.goal, figure.unit)}"
    shown, said = "not measured", ""
    if value is not None:
        shown, said = _shown(value, figure.unit), _said(figure, value, machine)
    text = figure.text.replace("|", "\\|")
    return f"| {text} | {shown} | {goal} | {said} |"


def _said(figure: Figure, value: float, machine: Mapping[str, Any]) -> str:
    # A goal of 0 is one of lost writes, which no load excuses.
    if figure.goal and under_load(machine):
        return UNDER_LOAD
    return {None: "", True: "reached", False: "short"}[figure.reached(value)]


def _told(machine: Mapping[str, Any]) -> str:
    """Say in a line what it was measured on; results of an older form know less."""
    known = {key: f"{value}" for key, value in machine.items()}
    parts = [
        known["date"],
        known.get("cpu", ""),
        f"{known['cpus']} cores",
        f"{known['memory_gib']} GiB" if "memory_gib" in known else "",
        f"Linux {known['kernel']}" if "kernel" in known else "",
        f"load {known['load_before']} before it",
        f"Redis {known['redis']}",
        f"Python {known['python']}",
        *(f"{name} {value:,}" for name, value in machine.get("settings", {}).items()),
    ]
    return ", ".join(part for part in parts if part)


def picture(results: Mapping[str, Any]) -> str:
    """Draw each figure that has a goal above 0 as a bar against it: the line is the goal."""
    rows = [
        (f, v / f.goal, _colour(f, v, results[f.benchmark]["measured_on"]))
        for f, v in measured(results)
        if f.goal
    ]
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


def _colour(figure: Figure, value: float, machine: Mapping[str, Any]) -> str:
    return {"reached": _GOOD, "short": _SHORT}.get(_said(figure, value, machine), _UNSURE)


def _bar(number: int, figure: Figure, share: float, colour: str) -> str:
    """Draw a row; a bar that would leave the picture is cut, its number tells."""
    y = _ROW * (number + 1) + 4
    length = min(share * 0.6, 1.0) * _BARS
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
