"""What `adopt` says: what was found beforehand, what came of it; and its words for a container."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from backup_worker.adopt.conditions import Level
from backup_worker.adopt.live import Outcome, Plan
from backup_worker.cli.output import print_fields, print_json
from backup_worker.restore.journal import Journal

if TYPE_CHECKING:
    from backup_worker.cli.adopt import Request

_COLOURS = {Level.OK: "green", Level.WARNING: "yellow", Level.REFUSED: "red"}


def arguments(request: "Request") -> list[str]:
    """Return the command line for the container; passwords and certificates go another way."""
    flags = {
        "--tls": request.tls,
        "--replace": request.replace,
        "--dry-run": request.dry_run,
        "--yes": request.yes,
        "--resume": request.resume,
        "--undo": request.undo,
        "--force": request.force,
        "--json": request.as_json,
    }
    words = [word for word, wanted in flags.items() if wanted]
    if request.user is not None:
        words.append(f"--user={request.user}")
    address = [] if request.address is None else [str(request.address)]
    return ["adopt", *words, f"--timeout={request.timeout}", *address]


def print_plan(plan: Plan, *, as_json: bool) -> None:
    """Say what would be done and what was found."""
    if as_json:
        print_json(
            {
                "source": str(plan.source.address),
                "keys": plan.state.total,
                "bytes": plan.state.used_memory,
                "master": str(plan.master),
                "nodes": [str(node.address) for node in plan.seen.nodes],
                "findings": [asdict(one) for one in plan.findings],
            }
        )
        return
    nodes = ", ".join(str(node.address) for node in plan.seen.nodes)
    print_fields(
        {
            "source": f"{plan.source.address} ({plan.state.engine} {plan.state.version})",
            "into": f"master {plan.master}, data nodes {nodes}",
            "does": "copy and follow it, hold its writes back, close it, switch",
        }
    )
    for one in plan.findings:
        level = click.style(f"{one.level:<8}", fg=_COLOURS[one.level])
        click.echo(f"{level} {one.name:<12} {one.text}")


def print_outcome(outcome: Outcome, *, as_json: bool) -> None:
    """Say what the cluster holds now, and how the source was left."""
    if as_json:
        print_json(asdict(outcome) | {"master": str(outcome.master)})
        return
    seconds = ", ".join(f"{phase} {spent:.1f} s" for phase, spent in outcome.seconds.items())
    paused = "" if outcome.paused is None else f"; its writes were held back {outcome.paused:.1f} s"
    lines = {
        "master": f"{outcome.master}, {outcome.keys} keys",
        "closed": f"{outcome.source} refuses writes until it is restarted: stop it{paused}",
        "seconds": seconds,
    }
    if outcome.safety_snapshot:
        lines["before"] = f"`backup-worker restore {outcome.safety_snapshot}` brings it back"
    print_fields(lines)


def print_undone(journal: Journal, left: str, *, as_json: bool) -> None:
    """Say how both sides were left; `left` is what became of the source."""
    if as_json:
        print_json({"source": journal.snapshot, "undone": True, "left": left})
        return
    print_fields({"undone": f"{journal.snapshot}: {left}, the cluster as it was before"})
