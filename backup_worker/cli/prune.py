"""`backup-worker prune`: delete what is past its retention."""

from dataclasses import asdict
from datetime import UTC, datetime

import click

from backup_worker.cli import output
from backup_worker.cli.session import Session, pass_session
from backup_worker.errors import StoreUnreachable
from backup_worker.retention import Pruned, Verdict, plan_retention, prune

_STYLES = {"keep": "green", "delete": "yellow"}


@click.command("prune", short_help="Delete what is past its retention.")
@click.option("--dry-run", is_flag=True, help="Say what would go and why; delete nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_session
def command(session: Session, dry_run: bool, as_json: bool) -> None:
    """Delete snapshots older than REDIS_BACKUP_RETENTION hours, and unfinished transfers.

    The last good snapshot always stays. The worker prunes by itself after each snapshot.

    \b
    Examples:
      backup-worker prune --dry-run
      backup-worker prune
    """
    session.forward()
    catalog, window = session.catalog, session.config.retention
    verdicts = plan_retention(catalog.list(), now=datetime.now(UTC), window=window)
    pruned = Pruned((), ()) if dry_run else prune(catalog.store, verdicts)
    if as_json:
        output.print_json(
            {
                "dry_run": dry_run,
                "verdicts": [asdict(verdict) for verdict in verdicts],
                "deleted": list(pruned.deleted),
                "refused": dict(pruned.refused),
            }
        )
    else:
        output.print_table(("SNAPSHOT", "VERDICT", "REASON"), _rows(verdicts), styles=_STYLES)
    if pruned.refused:
        raise _refused(pruned)


def _rows(verdicts: list[Verdict]) -> list[tuple[str, str, str]]:
    return [(v.snapshot, "keep" if v.keep else "delete", v.reason) for v in verdicts]


def _refused(pruned: Pruned) -> StoreUnreachable:
    first, cause = pruned.refused[0]
    return StoreUnreachable(
        operation="delete",
        subject=f"{len(pruned.refused)} snapshots, the first {first}",
        cause=cause,
        hint="allow the worker to delete, or let the store expire objects by itself",
    )
