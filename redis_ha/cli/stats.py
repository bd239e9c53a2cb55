"""`redis-ha stats`: the six key metrics."""

import click

from redis_ha.cli import output
from redis_ha.cli.cluster import json_option, stack_option, the_site
from redis_ha.round_trip import sample_pings
from redis_ha.site import Site
from redis_ha.stats import Stats, compute
from redis_ha.surveying import take_survey

_SAMPLES = 200


@click.command("stats", short_help="Measure availability, lag, consensus, load and latency.")
@click.option(
    "--samples",
    type=click.IntRange(1, 100_000),
    default=_SAMPLES,
    show_default=True,
    help="Round trips to measure; over at most 3 s.",
)
@stack_option
@json_option
def command(stack: str | None, samples: int, as_json: bool) -> None:
    """Measure the six key metrics.

    Availability (PINGs of the master that succeeded), lag of each replica in bytes and seconds,
    how many sentinels name the same master, connections, memory, and percentiles of the measured
    round trips. Exit code 1 when a PING failed or the sentinels have no majority.

    \b
    Examples:
      redis-ha stats
      redis-ha stats --samples 1000 --json | jq .latency.p99
    """
    stats = measure(the_site(stack), samples)
    if as_json:
        output.print_json(stats.described())
    else:
        output.print_table(("METRIC", "SUBJECT", "VALUE"), _rows(stats))
    raise click.exceptions.Exit(0 if is_fine(stats) else 1)


def measure(site: Site, samples: int, *, budget: float = 3.0) -> Stats:
    """Ask and measure; the round trips are the operator's, over at most `budget` seconds."""
    survey = take_survey(site)
    return compute(survey, sample_pings(site.operator, count=samples, budget=budget))


def is_fine(stats: Stats) -> bool:
    """Say whether every PING succeeded and most sentinels agree."""
    return stats.availability == 1.0 and stats.agreeing > stats.sentinels // 2


def _rows(stats: Stats) -> list[tuple[str, str, str]]:
    size = output.human_size
    rows = [("availability", stats.master or "-", f"{stats.availability:.2%}")]
    for lag in stats.lag:
        behind = "not known" if lag.bytes is None else size(lag.bytes)
        heard = "" if lag.seconds is None else f", {lag.seconds:.0f} s"
        rows.append(("replica lag", lag.name, behind + heard))
    agreeing = f"{stats.agreeing} of {stats.sentinels} name {stats.master or 'nobody'}"
    rows.append(("consensus", "sentinels", agreeing))
    rows += [
        ("connections", load.name, f"{load.connections} of {load.max_connections}")
        for load in stats.load
    ]
    for load in stats.load:
        limit = f" of {size(load.memory_limit)}" if load.memory_limit else ", no limit"
        rows.append(("memory", load.name, size(load.memory) + limit))
    took = stats.latency
    if took.p50 is not None:
        text = f"p50 {took.p50:.2f} ms, p95 {took.p95:.2f} ms, p99 {took.p99:.2f} ms"
        rows.append(("latency", stats.master, f"{text} ({took.samples} round trips)"))
    if stats.problem:
        rows.append(("last failure", stats.master or "-", stats.problem))
    return rows
