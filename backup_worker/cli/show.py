"""`backup-worker show`: one snapshot in full."""

import json

import click

from backup_worker.catalog import require_manifest
from backup_worker.cli import output
from backup_worker.cli.describe import describe
from backup_worker.cli.identity import forward_with_identity, open_identities
from backup_worker.cli.session import Session, pass_session
from backup_worker.contents import document as contents
from backup_worker.contents import source as contents_source
from backup_worker.errors import UsageError


@click.command("show", short_help="Show one snapshot in full.")
@click.argument("snapshot")
@click.option(
    "--contents",
    "with_contents",
    is_flag=True,
    help="Print the cluster's configuration, users and sentinel state in it instead, as JSON.",
)
@click.option(
    "--identity",
    metavar="FILE|-",
    help="The private key that opens the contents; - reads standard input."
    "  [default: the file REDIS_BACKUP_IDENTITY]",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@pass_session
def command(
    session: Session, snapshot: str, with_contents: bool, identity: str | None, as_json: bool
) -> None:
    """Show everything known of SNAPSHOT: `latest`, an id, or the unique beginning of one.

    \b
    Examples:
      backup-worker show latest
      backup-worker show 20261124T08 --json
      backup-worker show latest --contents --identity key.txt | jq '.data_nodes[0].config'
    """
    if with_contents:
        _show_contents(session, snapshot, str(identity or session.config.identity or ""))
        return
    session.forward()
    entry = session.catalog.find_entry(snapshot)
    manifest = require_manifest(entry)
    fields = describe(entry)
    if as_json:
        output.print_json(fields)
        return
    proof = fields.pop("proof") or {}
    texts = {name: "" if value is None else str(value) for name, value in fields.items()}
    texts["recipients"] = ", ".join(manifest.recipients)
    output.print_fields(texts | {f"proof {name}": _text(value) for name, value in proof.items()})


def _show_contents(session: Session, snapshot: str, source: str) -> None:
    if not source:
        raise UsageError(
            operation="open",
            subject=f"the contents of {snapshot}",
            cause="no identity was given, and only it opens them",
            hint="add --identity FILE (from `backup-worker keygen`), or set REDIS_BACKUP_IDENTITY",
        )
    if session.elsewhere:
        forward_with_identity(session, source)
    manifest = session.catalog.find(snapshot)
    document = contents_source.read_of(session.store, manifest, open_identities(source))
    output.print_json(json.loads(contents.encode(document)))


def _text(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {part}" for name, part in value.items())
    return "" if value is None else str(value)
