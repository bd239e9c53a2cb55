"""`backup-worker snapshot`: take one now."""

import click

from backup_worker.cli import output
from backup_worker.cli.describe import describe
from backup_worker.cli.session import Session, pass_session
from backup_worker.manifest import Manifest


def take(session: Session) -> str:
    """Take a snapshot with progress on a terminal; return its id."""
    return _take(session).id


@click.command("snapshot", short_help="Take a snapshot now.")
@click.option("--json", "as_json", is_flag=True, help="Print the snapshot as JSON.")
@pass_session
def command(session: Session, as_json: bool) -> None:
    """Take a snapshot from a replica, encrypted, read back from the store and signed.

    The master is never asked for it, and the worker can't open what it wrote: only the
    recipients' identities can.

    \b
    Examples:
      backup-worker snapshot
      id=$(backup-worker snapshot --json | jq -r .id)
    """
    session.forward()
    manifest = _take(session)
    if as_json:
        output.print_json(describe(manifest))
        return
    size = output.human_size
    click.echo(
        f"{manifest.id}\tverified\t{size(manifest.stored.size)}"
        f" (RDB {size(manifest.rdb.size)}) from {manifest.source} in {manifest.seconds:.1f} s"
    )


def _take(session: Session) -> Manifest:
    from backup_worker.snapshot import take_snapshot  # noqa: PLC0415 - not to forward it

    access, destination = session.access, session.destination
    with output.progress() as report:
        return take_snapshot(access, destination, report=report)
