"""What `restore` says: the plan before it, the question, the result after it."""

import sys
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from backup_worker.cli.output import human_age, human_size, print_fields, print_json
from backup_worker.cli.restore_point import Located, match_lines, point_fields, point_lines
from backup_worker.errors import UsageError
from backup_worker.manifest import Manifest
from backup_worker.restore import lost_journal
from backup_worker.restore.directory import is_file_target
from backup_worker.restore.journal import Journal
from backup_worker.restore.live import Outcome, Plan
from redis_ha.connection import Address

# Redis loads a log as the default user (multi.c, execCommand): switched off is well, powerless is
# not.
_ABOUT_PERMISSIONS = (
    "note: where this is loaded the default user must have all permissions (it may be off):"
    " else Redis skips the transactions in it, and says nothing"
)

LOST_JOURNAL = (
    "Where no journal is open: the settings given are put back, and the cluster holds what its"
    " master holds now."
)


def print_plan(fields: dict[str, Any], *, as_json: bool) -> None:
    """Say what a live restore would replace by what."""
    if as_json:
        print_json(fields)
    else:
        show_plan(fields)


def plan_fields(plan: Plan, located: Located | None, *, values: bool) -> dict[str, Any]:
    """Return a plan as JSON can carry it (from the container to the host)."""
    data = plan.data
    return {
        "snapshot": data.id,
        "taken": _taken(data.taken_at),
        "engine": f"{data.engine.name} {data.engine.version}",
        "rdb_bytes": data.rdb.size,
        "master": str(plan.master),
        "nodes": [str(node.address) for node in plan.seen.nodes],
        "missing": [str(address) for address in plan.missing],
        "keys_now": plan.keys,
        "point": None if located is None else point_fields(located, values=values),
    }


def _taken(at: datetime | None) -> str:
    if at is None:
        return "not known"
    return f"{at:%Y-%m-%d %H:%M:%S} UTC, {human_age(at)} ago"


def show_plan(fields: dict[str, Any]) -> None:
    """Print a plan for a person."""
    size = human_size(fields["rdb_bytes"])
    point = fields["point"]
    since = "that point" if point else "then"
    lines = {
        "snapshot": f"{fields['snapshot']} ({size}, {fields['engine']})",
        "taken": fields["taken"],
        **(point_lines(point) if point else {}),
        "into": f"master {fields['master']}, data nodes {', '.join(fields['nodes'])}",
        "replaces": f"{fields['keys_now']} keys; what was written since {since} is lost",
    }
    if fields["missing"]:
        lines["without"] = f"{', '.join(fields['missing'])} (no answer)"
    print_fields(lines)
    for line in match_lines(point) if point else ():
        click.echo(line)


def print_match(located: Located, *, values: bool) -> None:
    """Show on standard error what a point lies before, if it was found by that."""
    for line in match_lines(point_fields(located, values=values)):
        click.echo(line, err=True)


def print_lost(master: Address, keys: int, *, down_after: int, min_replicas: int) -> None:
    """Say what taking back a restore whose journal is lost does."""
    print_fields(
        {
            "restore": "its journal is lost; it must not be running any more, anywhere",
            "master": f"{master}, {keys} keys: what it holds now stays",
            "settings": f"down-after {down_after} ms, min-replicas-to-write {min_replicas}",
        }
    )


def print_undo(journal: Journal) -> None:
    """Say what an undo with an identity may do."""
    safety = journal.safety_snapshot or "none was taken"
    print_fields(
        {
            "restore": f"{journal.snapshot}, interrupted at `{journal.stage.value}`",
            "undo": "the data from before comes back; if it is gone, the safety snapshot",
            "safety": safety,
        }
    )


def confirm(question: str, *, from_stdin: bool) -> None:
    """Ask; ends the command (click.Abort) unless the answer is yes.

    Raises UsageError when nobody can be asked; `from_stdin`: the key comes that way.
    """
    if from_stdin or not sys.stdin.isatty():
        raise UsageError(
            operation="ask",
            subject="whether to go on",
            cause="standard input is no terminal",
            hint="add --yes to go on without being asked",
        )
    click.confirm(question, abort=True, err=True)


def print_outcome(outcome: Outcome, *, as_json: bool) -> None:
    """Say what the cluster holds now."""
    if as_json:
        print_json(asdict(outcome) | {"master": str(outcome.master)})
        return
    seconds = ", ".join(f"{phase} {spent:.1f} s" for phase, spent in outcome.seconds.items())
    lines = {
        "master": f"{outcome.master}, {outcome.keys} keys",
        "holds": _held(outcome),
        "seconds": seconds,
    }
    if outcome.left_out:
        lines["without"] = f"{', '.join(outcome.left_out)} (no answer)"
    if outcome.safety_snapshot and outcome.snapshot not in {None, outcome.safety_snapshot}:
        lines["before"] = f"`backup-worker restore {outcome.safety_snapshot}` brings it back"
    print_fields(lines)


def print_files(manifest: Manifest, target: str, *, located: Located | None, as_json: bool) -> None:
    """Say what was written where, or would be."""
    point = None if located is None else point_fields(located, values=False)
    if as_json:
        fields = {"snapshot": manifest.id, "output": target, "rdb_bytes": manifest.rdb.size}
        print_json(fields | {"point": point, "contents": manifest.contents is not None})
    else:
        lines = point_lines(point) if point else {}
        print_fields({"snapshot": manifest.id, **lines, "output": target})
        if point and point["segments"] and not is_file_target(Path(target)):
            click.echo(_ABOUT_PERMISSIONS, err=True)


def _held(outcome: Outcome) -> str:
    if outcome.snapshot is None:
        return "the data from before the restore"
    if outcome.snapshot == lost_journal.NAME:
        return "what its master held"
    point = outcome.point
    log = f" and the log up to {point.replid[:12]}:{point.offset}" if point else ""
    return f"{outcome.snapshot}{log}"
