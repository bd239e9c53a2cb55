"""`backup-worker snapshot`: take one now."""

from typing import TYPE_CHECKING

import click

from backup_worker.catalog import Entry
from backup_worker.cli import output
from backup_worker.cli.describe import describe
from backup_worker.cli.session import Session, pass_session
from backup_worker.errors import SnapshotCorrupt

if TYPE_CHECKING:
    from backup_worker.snapshot import Taken


@click.command("snapshot", short_help="Take a snapshot now.")
@click.option("--json", "as_json", is_flag=True, help="Print the snapshot as JSON.")
@pass_session
def command(session: Session, as_json: bool) -> None:
    """Take a snapshot from a replica, encrypted, read back from the store and signed.

    The master is never asked for it, and the worker can't open what it wrote: only the
    recipients' identities can. Then it is proven: opened by a one-time key, which is forgotten
    at the end, and loaded into a scratch server. Exit code 4 when that fails; where no server can
    run it stays `not proven`, and the reason is told.

    \b
    Examples:
      backup-worker snapshot
      id=$(backup-worker snapshot --json | jq -r .id)
    """
    session.forward()
    taken = _take(session)
    manifest = taken.manifest
    entry = Entry(manifest.id, manifest.taken_at, manifest.stored.size, manifest, proof=taken.proof)
    if as_json:
        output.print_json(describe(entry))
    else:
        size, state = output.human_size, entry.state
        click.echo(
            f"{manifest.id}\t{state}\t{size(manifest.stored.size)}"
            f" (RDB {size(manifest.rdb.size)}) from {manifest.source} in {manifest.seconds:.1f} s"
        )
    if taken.unproven:
        click.echo(f"not proven: {taken.unproven}", err=True)
    if entry.failed and taken.proof is not None:
        raise SnapshotCorrupt(
            operation="prove",
            subject=f"snapshot {entry.id}",
            cause=taken.proof.cause,
            hint="take another; if it fails again, see the source's log",
        )


def _take(session: Session) -> "Taken":
    from backup_worker.snapshot import take_snapshot  # noqa: PLC0415 - not to forward it

    access, destination, proving = session.access, session.destination, session.proving
    with output.progress() as report:
        return take_snapshot(access, destination, proving=proving, report=report)
