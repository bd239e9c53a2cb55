"""`redis-ha monitor`: health and stats again and again, one line each."""

import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import click

from redis_ha.cli import output
from redis_ha.cli.cluster import json_option, stack_option, the_site
from redis_ha.cli.health import check
from redis_ha.cli.main import Terminated
from redis_ha.cli.seconds import Seconds
from redis_ha.cli.stats import measure
from redis_ha.errors import RedisHaError
from redis_ha.findings import State
from redis_ha.health import overall

_SAMPLES = 20
_STYLES = {"healthy": "green", "degraded": "yellow", "down": "red"}


@dataclass
class Summary:
    """What was seen so far."""

    began: float
    levels: Counter[str] = field(default_factory=Counter)
    masters: list[str] = field(default_factory=list)
    worst_p99: float = 0.0

    def note(self, tick: dict[str, Any]) -> None:
        self.levels[tick["health"]] += 1
        if tick["master"] and tick["master"] not in self.masters[-1:]:
            self.masters.append(tick["master"])
        self.worst_p99 = max(self.worst_p99, tick["p99_ms"] or 0.0)

    @property
    def ticks(self) -> int:
        return sum(self.levels.values())

    @property
    def code(self) -> int:
        """Give the exit code that the worst line means."""
        return 2 if self.levels["down"] else 1 if self.levels["degraded"] else 0

    def described(self, now: float) -> dict[str, Any]:
        return {
            "summary": True,
            "seconds": round(now - self.began, 1),
            "ticks": self.ticks,
            **{level: self.levels[level] for level in ("healthy", "degraded", "down")},
            "masters": self.masters,
            "worst_p99_ms": self.worst_p99,
        }


@click.command("monitor", short_help="Repeat health and stats, one line each time.")
@click.option("--interval", type=Seconds(0.1, 86_400), default=5.0, show_default=True,
              help="Seconds from one line to the next.")  # fmt: skip
@click.option("--duration", type=Seconds(0.0), help="Seconds until the end; else ^C.")
@stack_option
@json_option
def command(stack: str | None, interval: float, duration: float | None, as_json: bool) -> None:
    """Watch the cluster: a line each time, a summary at the end, which ^C or SIGTERM brings on.

    In a pipe: time, health, master, availability, sentinels that agree, largest lag in bytes, p99
    in ms, reason. With --json one JSON document a line, the last with "summary": true. Exit code 0
    when every line was healthy, 1 when one was degraded, 2 when one was down; 143 after SIGTERM,
    130 after ^C before the first line.

    \b
    Examples:
      redis-ha monitor --interval 1 --duration 30
      redis-ha monitor --json | jq -c 'select(.health != "healthy")'
    """
    summary = Summary(time.monotonic())
    try:
        _watch(stack, interval, duration, summary=summary, as_json=as_json)
    except (KeyboardInterrupt, Terminated) as ended:
        if summary.ticks:
            click.echo(err=True)
            _sum_up(summary, as_json=as_json)
        if isinstance(ended, Terminated) or not summary.ticks:
            raise
    else:
        _sum_up(summary, as_json=as_json)
    raise click.exceptions.Exit(summary.code)


def _watch(
    stack: str | None, interval: float, duration: float | None, *, summary: Summary, as_json: bool
) -> None:
    site = the_site(stack)
    until = None if duration is None else summary.began + duration
    due = summary.began
    while until is None or due <= until:
        time.sleep(max(0.0, due - time.monotonic()))
        tick = _tick(site)
        summary.note(tick)
        _show(tick, as_json=as_json)
        due = max(due + interval, time.monotonic())


def _tick(site: Any) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    try:
        _, findings = check(site, witnesses=False)
        stats = measure(site, _SAMPLES, budget=1.0)
    except RedisHaError as error:
        nothing = {"master": "", "availability": 0.0, "agreeing": 0, "lag_bytes": None}
        return {"at": now, "health": "down", **nothing, "p99_ms": None, "reason": error.cause}
    troubles = [f for f in findings if f.state > State.UNKNOWN]
    lags = [lag.bytes for lag in stats.lag if lag.bytes is not None]
    return {
        "at": now,
        "health": overall(findings),
        "master": stats.master,
        "availability": round(stats.availability, 4),
        "agreeing": stats.agreeing,
        "lag_bytes": max(lags, default=None),
        "p99_ms": stats.latency.p99,
        "reason": "; ".join(f"{f.subject} {f.reason}".strip() for f in troubles),
    }


def _show(tick: dict[str, Any], *, as_json: bool) -> None:
    cells = ["-" if value in ("", None) else str(value) for value in tick.values()]
    if as_json:
        click.echo(output.one_line_json(tick))
    elif not output.on_terminal():
        click.echo("\t".join(cells))
    else:
        text = (
            f"  {cells[2]:<9} available {tick['availability']:.0%}, {cells[4]} sentinels agree,"
            f" lag {cells[5]} B, p99 {cells[6]} ms"
        )
        style = _STYLES[tick["health"]]
        head = [(cells[0][11:19] + "  ", "dim"), (f"{tick['health']:<8}", style), (text, "")]
        output.print_lines([[*head, (f"  {tick['reason']}", style)]])


def _sum_up(summary: Summary, *, as_json: bool) -> None:
    described = summary.described(time.monotonic())
    if as_json:
        click.echo(output.one_line_json(described))
    else:
        levels = ", ".join(f"{described[level]} {level}" for level in _STYLES)
        masters = " -> ".join(summary.masters) or "none"
        text = f"{described['ticks']} looks in {described['seconds']} s: {levels}"
        click.echo(f"{text}; master {masters}; worst p99 {summary.worst_p99:.2f} ms", err=True)
