"""`python -m benchmarks [NAME]...`: run the benchmarks, print a table, keep the numbers.

The results land in benchmarks/results/NAME.json, with what they were measured on. Those files
are committed: docs/BENCHMARKS.md is made of them, after each benchmark and by
`python -m benchmarks report`. `python -m benchmarks compare FOLDER` holds the results against
others of the same machine and settings. --quick shows that it works, and keeps nothing.
"""

import argparse
import inspect
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks import (
    client,
    failover,
    follow,
    growth,
    machine,
    protections,
    report,
    restore,
    snapshot,
    stack,
)
from benchmarks.comparison import changes, difference

RESULTS = Path(__file__).parent / "results"
DOCS = Path(__file__).parents[1] / "docs"
BENCHMARKS: Mapping[str, Callable[..., dict[str, Any]]] = {
    "snapshot": snapshot.measure,
    "growth": growth.measure,
    "client": client.measure,
    "follow": follow.measure,
    "restore": restore.measure,
    "failover": failover.measure,
    "protections": protections.measure,
    "stack": stack.measure,
}


def main() -> None:
    """Run what was asked for."""
    options = _parser().parse_args()
    match options.names:
        case ["report"]:
            write_report()
        case ["compare", folder]:
            sys.exit(compare(Path(folder), limit=options.limit))
        case ["compare", *_]:
            raise SystemExit("compare takes one folder, with the results from before")
        case _:
            run(options)


def run(options: argparse.Namespace) -> None:
    """Measure, one benchmark after the other; each has its place in the page once it is done."""
    names = options.names or list(BENCHMARKS)
    if unknown := [name for name in names if name not in BENCHMARKS]:
        raise SystemExit(f"no benchmark {unknown[0]!r}: there are {', '.join(BENCHMARKS)}")
    for name in names:
        settings = _settings(options, BENCHMARKS[name])
        before = os.getloadavg()[0] if options.quick else machine.rested()
        result = BENCHMARKS[name](**settings)
        for row in table(result):
            print("  ".join(row))
        if options.quick:
            print(f"{name} works; nothing is kept of a --quick run")
        else:
            keep(name, result | {"measured_on": machine.describe(before, settings)})
            write_report()


def write_report() -> None:
    """Write docs/BENCHMARKS.md and its picture."""
    results = load(RESULTS)
    (DOCS / "BENCHMARKS.md").write_text(report.document(results))
    (DOCS / report.PICTURE).write_text(report.picture(results))


def compare(folder: Path, *, limit: float) -> int:
    """Say how the figures changed since those in `folder`; 1 when one is worse by `limit` or gone.

    Raises SystemExit where nothing can be compared.
    """
    if folder.resolve() == RESULTS.resolve():
        raise SystemExit(f"{folder} holds the results themselves: name a copy of earlier ones")
    before, after = load(folder), load(RESULTS)
    if reason := difference(before, after):
        raise SystemExit(f"these can't be compared: {reason}")
    found = changes(before, after)
    if not found:
        raise SystemExit(f"nothing to compare: {folder} and {RESULTS} have no figure in common")
    for change in found:
        print(change)
    if missing := sorted(set(before) ^ set(after)):
        print(f"not compared, for one side hasn't measured them: {', '.join(missing)}")
    return 1 if any(change.factor > limit for change in found) else 0


def load(folder: Path) -> dict[str, Any]:
    """Read the results in a folder, by name; raises SystemExit where there is none."""
    if not folder.is_dir():
        raise SystemExit(f"there is no folder {folder} with results")
    return {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}


def table(result: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Flatten a result into aligned rows of name and value."""
    for name, value in result.items():
        if isinstance(value, Mapping):
            yield from table(value, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}".ljust(40), str(value).rjust(14)


def keep(name: str, result: Mapping[str, Any]) -> None:
    """Write a result to its file, in place of the last one."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(result, indent=2) + "\n")
    print(f"written to {path}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="default: all; `report` writes the document, `compare FOLDER` compares",
    )
    parser.add_argument(
        "--limit", type=float, default=1.15, help="how much worse `compare` lets pass (1.15)"
    )
    parser.add_argument("--megabytes", type=int, default=700, help="size of the data (700)")
    parser.add_argument("--pairs", type=int, default=5, help="runs of each side (5)")
    parser.add_argument(
        "--operations", type=int, default=1_000_000, help="calls of fifty threads (1000000)"
    )
    parser.add_argument(
        "--quick", action="store_true", help="small sizes: does it work? keeps nothing"
    )
    return parser


def _settings(options: argparse.Namespace, measure: Callable[..., object]) -> dict[str, int]:
    """Return those of the options that a benchmark knows."""
    sizes = {name: getattr(options, name) for name in ("megabytes", "pairs", "operations")}
    if options.quick:
        sizes = {"megabytes": 50, "pairs": 1, "operations": 50_000}
    return {name: sizes[name] for name in inspect.signature(measure).parameters if name in sizes}


if __name__ == "__main__":
    main()
