"""`backup-worker list`: the snapshots in the store, newest first."""

import click

from backup_worker.cli import output
from backup_worker.cli.describe import STYLES, describe_entry
from backup_worker.cli.session import Session, pass_session

_HEADERS = ("SNAPSHOT", "STATE", "AGE", "STORED", "RDB", "OFFSET", "ENGINE", "NOTE")


@click.command("list", short_help="List the snapshots, newest first.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
@pass_session
def command(session: Session, as_json: bool) -> None:
    """List the snapshots in the store, newest first.

    A snapshot is `verified` when its manifest is signed by a trusted signer and its object was
    read back from the store; else it is `bad`, with the reason.

    \b
    Examples:
      backup-worker list
      backup-worker list --json | jq -r '.[0].id'
    """
    session.forward()
    found = [describe_entry(entry) | {"entry": entry} for entry in session.catalog.list().entries]
    if as_json:
        output.print_json([{k: v for k, v in row.items() if k != "entry"} for row in found])
        return
    rows = [
        (
            row["id"],
            row["state"],
            output.human_age(row["entry"].taken_at),
            output.human_size(row["size"]),
            output.human_size(row["rdb_size"]) if "rdb_size" in row else "-",
            str(row.get("offset", "-")),
            f"{row['engine']} {row['engine_version']}" if "engine" in row else "-",
            row.get("problem", ""),
        )
        for row in found
    ]
    output.print_table(_HEADERS, rows, styles=STYLES)
    if not rows:
        click.echo("no snapshots yet: `backup-worker snapshot` takes one", err=True)
