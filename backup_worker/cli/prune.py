"""`backup-worker prune`: delete what is past its retention."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

import click

from backup_worker.catalog import Listing
from backup_worker.cli import output
from backup_worker.cli.output import human_age
from backup_worker.cli.session import Session, pass_session
from backup_worker.errors import RefusedForSafety
from backup_worker.holdings import read_holdings
from backup_worker.log.segment import SegmentName
from backup_worker.pruning import Pruned, prune
from backup_worker.retention import Verdict, What, plan_retention

_STYLES = {"keep": "green", "delete": "yellow"}
_SHORT_ID = 12
# So many intervals old the newest snapshot may be, and an hour: a retention counts hours.
_YOUNG, _HARMLESS = 3, timedelta(hours=1)


@click.command("prune", short_help="Delete what is past its retention.")
@click.option("--dry-run", is_flag=True, help="Say what would go and why; delete nothing.")
@click.option("--yes", "-y", is_flag=True, help="Believe this machine's clock in any case.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, each log segment by itself.")
@pass_session
def command(session: Session, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Delete snapshots older than REDIS_BACKUP_RETENTION hours and the log before those that stay.

    What was never finished and old lease terms go too. The last proven snapshot, the last good one
    and the log after them always stay. The worker prunes by itself after each snapshot, three past
    ones at most; this command deletes all at once, by this machine's clock. By that clock the
    newest snapshot should be young: where it is older than three intervals (and an hour) nothing
    goes without --yes, for a clock that is ahead makes all snapshots old. A store that does not
    let the worker delete is no error: objects are marked there, and its own rules remove them.

    \b
    Examples:
      backup-worker prune --dry-run
      backup-worker prune
      backup-worker prune --yes
    """
    session.forward()
    catalog, window, now = session.catalog, session.config.retention, datetime.now(UTC)
    holdings = read_holdings(catalog)
    verdicts = plan_retention(holdings, now=now, window=window)
    if not (dry_run or yes) and not all(verdict.keep for verdict in verdicts):
        _require_young(holdings.snapshots, now=now, interval=session.config.interval)
    pruned = Pruned() if dry_run else prune(catalog.store, verdicts)
    if as_json:
        output.print_json({"dry_run": dry_run, **_as_json(verdicts, pruned)})
        return
    output.print_table(("KIND", "NAME", "VERDICT", "REASON"), list(_rows(verdicts)), styles=_STYLES)
    if pruned.marked:
        click.echo(_marked(pruned), err=True)
    if pruned.refused:
        click.echo(_told(pruned), err=True)


def _require_young(listing: Listing, *, now: datetime, interval: timedelta) -> None:
    """Refuse (RefusedForSafety) to delete by a clock that may be ahead of all that is there."""
    newest = max((entry.taken_at for entry in listing.entries if entry.good), default=now)
    if now - newest <= max(_YOUNG * interval, _HARMLESS):
        return
    raise RefusedForSafety(
        operation="prune",
        subject="the store",
        cause=f"by this machine's clock ({now:%Y-%m-%d %H:%M} UTC) the newest snapshot is"
        f" {human_age(newest, now=now)} old",
        hint="is the clock right? `prune --dry-run` shows what would go, `prune --yes` deletes it",
    )


def _as_json(verdicts: Sequence[Verdict], pruned: Pruned) -> dict[str, Any]:
    return {
        "verdicts": [
            {"kind": v.what, "name": v.name, "keep": v.keep, "reason": v.reason} for v in verdicts
        ],
        "deleted": [verdict.name for verdict in pruned.deleted],
        "marked": [verdict.name for verdict in pruned.marked],
        "refused": {verdict.name: cause for verdict, cause in pruned.refused},
        "untried": [verdict.name for verdict in pruned.untried],
    }


def _rows(verdicts: Sequence[Verdict]) -> Iterator[tuple[str, str, str, str]]:
    """Write a row each, and one for neighbouring segments that share a fate."""
    for (_, keep, reason, _), group in groupby(verdicts, key=_fate):
        alike = list(group)
        name = alike[0].name if len(alike) == 1 else _summary(alike)
        yield alike[0].what, name, "keep" if keep else "delete", reason


def _fate(verdict: Verdict) -> tuple[str, bool, str, str]:
    """Return what neighbours have to share to be told in one row."""
    if isinstance(verdict.subject, SegmentName):
        together = verdict.subject.replid
    else:
        together = "" if verdict.what is What.LEASE else verdict.subject
    return verdict.what, verdict.keep, verdict.reason, together


def _summary(alike: Sequence[Verdict]) -> str:
    first, last = alike[0].subject, alike[-1].subject
    if isinstance(first, str) or isinstance(last, str):
        return f"{len(alike)}: {alike[0].name} to {alike[-1].name}"
    where = first.replid[:_SHORT_ID]
    return f"{len(alike)} of {where}, {first.start}..{last.end}"


def _marked(pruned: Pruned) -> str:
    return (
        f"{len(pruned.marked)} are only marked, since this worker may not delete: the store's "
        "lifecycle rules remove what is marked."
    )


def _told(pruned: Pruned) -> str:
    first, cause = pruned.refused[0]
    left = len(pruned.refused) + len(pruned.untried)
    tried = left + len(pruned.deleted) + len(pruned.marked)
    return (
        f"{left} of {tried} stay: the store does not let this worker delete"
        f" ({first.name}: {cause}). Its own lifecycle rules have to expire them."
    )
