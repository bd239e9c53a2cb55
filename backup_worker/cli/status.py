"""`backup-worker status`: is the backup as it should be?"""

import json
import time
from datetime import UTC, datetime

import click

from backup_worker import status as statuses
from backup_worker.cli import output
from backup_worker.cli.session import Session, pass_session
from backup_worker.status import LogState, WorkerStatus

_NOT_RUNNING = "no worker runs on this state directory, or it is stuck"


@click.command("status", short_help="Say whether the backup is as it should be.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_session
def command(session: Session, as_json: bool) -> None:
    """Say what the running worker does, how far the log is, and what is wrong.

    Exit code 0 when all is well, 1 when there is trouble: no worker, no or an old snapshot, none
    proven, a log that is far behind or has a gap that no snapshot has closed yet.

    \b
    Examples:
      backup-worker status
      backup-worker status --json | jq .log.behind_seconds
    """
    session.forward()
    status = statuses.load(session.config.state, now=time.time())
    troubles = [_NOT_RUNNING] if status is None else status.troubles
    if as_json:
        known = {} if status is None else json.loads(statuses.encode(status))
        output.print_json(known | {"running": status is not None, "troubles": troubles})
    else:
        if status is not None:
            output.print_fields(_fields(status))
        for trouble in troubles:
            click.echo(click.style(f"trouble: {trouble}", fg="red"), err=True)
    if troubles:
        raise click.exceptions.Exit(1)


def _fields(status: WorkerStatus) -> dict[str, str]:
    role = f"{status.role} (term {status.term})" if status.term else status.role
    fields = {
        "worker": f"{status.worker}, {role}",
        "snapshot": f"{status.snapshot or 'none yet'}{_ago(status.snapshot_age)}",
        "proof": _ago(status.proof_age).removeprefix(", ") or "none yet",
    }
    durations = {
        "snapshot took": status.snapshot_seconds,
        "drill took": status.drill_seconds,
        "restore took": status.restore_seconds,
    }
    fields |= {name: f"{value:.1f} s" for name, value in durations.items() if value is not None}
    return fields | ({} if status.log is None else _log_fields(status.log))


def _log_fields(log: LogState) -> dict[str, str]:
    size = output.human_size
    return {
        "log": f"follows {log.source}" if log.source else "follows nobody",
        "log timeline": log.timeline or "none yet",
        "log behind": f"{log.behind_seconds:.0f} s, {size(log.behind_bytes)}",
        "spool": f"{size(log.spool_bytes)} in {log.spool_segments} segments",
        "gaps": f"{log.gaps} since the worker started",
    }


def _ago(age: float | None) -> str:
    if age is None:
        return ""
    now = datetime.now(UTC)
    moment = datetime.fromtimestamp(now.timestamp() - max(0.0, age), UTC)
    return f", {output.human_age(moment, now=now)} ago"
