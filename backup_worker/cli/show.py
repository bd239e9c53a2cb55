"""`backup-worker show`: one snapshot in full."""

import click

from backup_worker.cli import output
from backup_worker.cli.describe import describe
from backup_worker.cli.session import Session, pass_session


@click.command("show", short_help="Show one snapshot in full.")
@click.argument("snapshot")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_session
def command(session: Session, snapshot: str, as_json: bool) -> None:
    """Show everything known of SNAPSHOT: `latest`, an id, or the unique beginning of one.

    \b
    Examples:
      backup-worker show latest
      backup-worker show 20261124T08 --json
    """
    session.forward()
    fields = describe(session.catalog.find(snapshot))
    if as_json:
        output.print_json(fields)
        return
    texts = {name: str(value) for name, value in fields.items()}
    texts["recipients"] = ", ".join(fields["recipients"])
    output.print_fields(texts)
