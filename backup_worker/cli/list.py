"""`backup-worker list`: the snapshots in the store, newest first."""

from datetime import UTC, datetime

import click

from backup_worker.catalog import TOLERANCE, Entry
from backup_worker.cli import output
from backup_worker.cli.describe import STYLES, describe
from backup_worker.cli.session import Session, pass_session

_HEADERS = (
    "SNAPSHOT",
    "KIND",
    "STATE",
    "PROOF",
    "AGE",
    "STORED",
    "RDB",
    "OFFSET",
    "ENGINE",
    "NOTE",
)


@click.command("list", short_help="List the snapshots, newest first.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
@pass_session
def command(session: Session, as_json: bool) -> None:
    """List the snapshots in the store, newest first.

    A snapshot is `proven` when its object was read back, decrypted and loaded by a server, and
    `failed` when that went wrong; the column PROOF says how long ago. Until then it is `not
    proven`: read back from the store whole, and signed by a trusted signer. What is not is `bad`,
    with the reason. `latest` means the newest that is neither failed, bad nor a safety snapshot,
    nor dated in the future.

    \b
    Examples:
      backup-worker list
      backup-worker list --json | jq -r '.[0].id'
    """
    session.forward()
    entries = session.catalog.list().entries
    if as_json:
        output.print_json([describe(entry) for entry in entries])
        return
    output.print_table(_HEADERS, [_row(entry) for entry in entries], styles=STYLES)
    if not entries:
        click.echo("no snapshots yet: `backup-worker snapshot` takes one", err=True)


def _row(entry: Entry) -> tuple[str, ...]:
    age, size = _age(entry.taken_at, datetime.now(UTC)), output.human_size(max(entry.size, 0))
    if entry.manifest is None:
        return (entry.id, "-", entry.state, "-", age, size, "-", "-", "-", entry.problem)
    manifest, proof = entry.manifest, entry.proof
    return (
        entry.id,
        manifest.kind.value,
        entry.state,
        output.human_age(proof.at) if proof else "-",
        age,
        size,
        output.human_size(manifest.rdb.size),
        str(manifest.replication.offset),
        f"{manifest.engine.name} {manifest.engine.version}",
        (proof.cause if proof else "") or entry.note,
    )


def _age(taken_at: datetime, now: datetime) -> str:
    if taken_at > now + TOLERANCE:
        return f"in {output.human_age(now, now=taken_at)}"
    return output.human_age(taken_at, now=now)
