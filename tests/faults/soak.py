"""Many random faults: `make soak ARGS="--faults 100 --seed 1"`.

Each scenario has a seed of its own, the first one `--seed`; one that fails prints its seed, and
`make soak ARGS="--seed S --faults 1"` plays that one again. `--worlds` clusters are hurt at once,
each in a process of its own.
"""

import argparse
import json
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.faults.chance import random_scenario
from tests.faults.lan import why_not
from tests.faults.scenario import Outcome, Scenario
from tests.faults.table import NAMED
from tests.faults.worlds import Worlds

Row = dict[str, Any]


def main(words: Sequence[str]) -> int:
    """Play until so many faults were played; 0 when every scenario passed."""
    options = _options(words)
    # Whichever way it is ended, networks and processes are taken away.
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, signal.default_int_handler)
    if reason := why_not():
        _say(f"no soak: {reason}")
        return 2
    scenarios = list(scenarios_of(options.seed, options.faults))
    if options.named is not None:
        scenarios = [scenario for scenario in NAMED if options.named in scenario.name]
    if options.only is not None:
        scenarios = [random_scenario(seed) for seed in options.only]
    before = _read(options.output) if options.more else []
    if options.worlds > 1 and options.named is None:
        rows = _shared_out(options, [scenario.seed for scenario in scenarios])
    else:
        rows = []
        for row in _played(scenarios):
            rows.append(row)
            _write(joined(before, rows), options.output)
    _write(joined(before, rows), options.output)
    sys.stdout.write(summary(rows) + "\n")
    return 1 if any(row["troubles"] for row in rows) else 0


def joined(before: Sequence[Row], rows: Sequence[Row]) -> list[Row]:
    """Add what was played to what was there; played again, a scenario's last row counts."""
    played = {(row["seed"], row["name"]): row for row in (*before, *rows)}
    return sorted(played.values(), key=lambda row: row["seed"])


def _read(output: Path | None) -> list[Row]:
    path = output.with_suffix(".json") if output else None
    rows: list[Row] = json.loads(path.read_text()) if path and path.exists() else []
    return rows


def _write(rows: Sequence[Row], output: Path | None) -> None:
    if output is not None:
        output.with_suffix(".md").write_text(summary(rows) + "\n")
        output.with_suffix(".json").write_text(json.dumps(rows, indent=1) + "\n")


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def scenarios_of(seed: int, faults: int) -> Iterator[Scenario]:
    """Make up scenarios from a seed on until they have so many faults."""
    while faults > 0:
        scenario = random_scenario(seed)
        yield scenario
        faults, seed = faults - len(scenario.faults), seed + 1


def row_of(outcome: Outcome) -> Row:
    """Say what a scenario came to, for the record."""
    return {
        "name": outcome.scenario.name,
        "seed": outcome.scenario.seed,
        "faults": [str(fault) for fault in outcome.scenario.faults],
        "kinds": [fault.kind for fault in outcome.scenario.faults],
        "acknowledged": outcome.acknowledged,
        "lost": outcome.lost,
        "gap": round(outcome.longest_gap, 2),
        "two_masters": round(outcome.two_masters, 2),
        "healthy_after": round(outcome.healthy_after, 1),
        "troubles": outcome.troubles,
    }


def summary(rows: Sequence[Row]) -> str:
    """Write what the scenarios came to, failures with how to play them again."""
    kinds = Counter(kind for row in rows for kind in row["kinds"])
    failed = [row for row in rows if row["troubles"]]
    acknowledged, lost = (sum(row[name] for row in rows) for name in ("acknowledged", "lost"))
    lines = [
        f"{sum(kinds.values())} faults in {len(rows)} scenarios, {len(failed)} of these failed.",
        f"{lost} of {acknowledged} acknowledged writes lost (beyond the bound: see the failures).",
        f"Longest time with two masters taking writes: {_most(rows, 'two_masters')} s.",
        f"Longest time from the last fault's end until healthy: {_most(rows, 'healthy_after')} s.",
        "",
        "| kind | faults | in scenarios that failed |",
        "|---|---|---|",
    ]
    bad = Counter(kind for row in failed for kind in row["kinds"])
    lines += [f"| {kind} | {count} | {bad[kind]} |" for kind, count in sorted(kinds.items())]
    lines += _each(rows)
    return "\n".join([*lines, *(_failure(row) for row in failed)])


def _each(rows: Sequence[Row]) -> Iterator[str]:
    """Give every scenario a line of a table."""
    yield "\n| seed | faults | lost of acknowledged | outage | two masters | healthy after (s) | |"
    yield "|---|---|---|---|---|---|---|"
    for row in rows:
        name = f"**{row['name']}**: " if not row["seed"] else ""
        times = " | ".join(str(row[each]) for each in ("gap", "two_masters", "healthy_after"))
        verdict = "failed" if row["troubles"] else "passed"
        yield (
            f"| {row['seed'] or ''} | {name}{'; '.join(row['faults'])} |"
            f" {row['lost']} of {row['acknowledged']} | {times} | {verdict} |"
        )


def _most(rows: Sequence[Row], name: str) -> float:
    return max((float(row[name]) for row in rows), default=0.0)


def _failure(row: Row) -> str:
    faults, troubles = "; ".join(row["faults"]), "; ".join(row["troubles"])
    how = again(row["seed"]) if row["seed"] else f"make soak ARGS='--named \"{row['name']}\"'"
    return f"\nFAILED {row['name']}, seed {row['seed']}: {faults}\n    {troubles}\n    {how}"


def again(seed: int) -> str:
    """Say how to play a scenario again."""
    return f'make soak ARGS="--seed {seed} --faults 1"'


def _played(scenarios: Sequence[Scenario]) -> Iterator[Row]:
    with Worlds.one_by_one() as worlds:
        for scenario in scenarios:
            outcome = worlds.play(scenario)
            if isinstance(outcome, str):
                _say(f"{scenario.name} (seed {scenario.seed}): left out, {outcome}")
                continue
            _say(str(outcome))
            if outcome.troubles and scenario.seed:
                _say(f"FAILED: {again(scenario.seed)}")
            yield row_of(outcome)


def _shared_out(options: argparse.Namespace, seeds: Sequence[int]) -> list[Row]:
    """Deal the seeds out to processes of this program; gather what they write."""
    with tempfile.TemporaryDirectory() as directory:
        running = []
        for number in range(options.worlds):
            output = Path(directory) / str(number)
            mine = [str(seed) for seed in seeds[number :: options.worlds]]
            command = [sys.executable, "-m", "tests.faults.soak", "--only", *mine]
            process = subprocess.Popen(
                [*command, "--output", str(output)], stdout=subprocess.DEVNULL
            )
            running.append((process, output.with_suffix(".json")))
        for process, _ in running:
            process.wait()
        found = [json.loads(path.read_text()) for _, path in running if path.exists()]
    rows: list[Row] = [row for part in found for row in part]
    return sorted(rows, key=lambda row: row["seed"])


def _options(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--faults", type=int, default=100, metavar="N")
    parser.add_argument("--seed", type=int, default=1, metavar="S")
    named = "the table's scenarios instead, those whose name has TEXT"
    parser.add_argument("--named", nargs="?", const="", metavar="TEXT", help=named)
    parser.add_argument("--worlds", type=int, default=1, metavar="N", help="clusters at once")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write FILE.json and FILE.md")
    more = "add to what FILE has instead of writing it anew"
    parser.add_argument("--more", action="store_true", help=more)
    parser.add_argument("--only", type=int, nargs="*", help=argparse.SUPPRESS)
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
