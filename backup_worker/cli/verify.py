"""`backup-worker verify`: is what the store holds what was written, and can it be loaded?"""

from typing import TYPE_CHECKING, Any

import click

from backup_worker.cli import output
from backup_worker.cli.describe import STYLES, describe_proof
from backup_worker.cli.identity import forward_with_identity, open_identities
from backup_worker.cli.restore_display import display
from backup_worker.cli.session import Session, pass_session
from backup_worker.errors import SnapshotCorrupt, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backup_worker.progress import Report
    from backup_worker.proving.verification import Finding, Verifier

# The worker makes its own drill each hour: it is waited for.
_QUEUE_SECONDS = 120.0
_HEADERS = ("OBJECT", "STATE", "DIGEST", "KEYS", "NOTE")
_STYLES = {**STYLES, "good": "green", "corrupt": "bold red"}
_NAMED = 3
_WITHOUT_KEY = (
    "no identity was given: signatures and the hashes of stored objects are checked,"
    " nothing is decrypted or loaded"
)


@click.command("verify", short_help="Check snapshots and the log, and load them.")
@click.argument("snapshot", required=False)
@click.option("--all", "everything", is_flag=True, help="Check every snapshot and all of the log.")
@click.option(
    "--identity",
    metavar="FILE|-",
    help="The private key that opens the objects; - reads standard input."
    "  [default: the file REDIS_BACKUP_IDENTITY]",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
@pass_session
def command(
    session: Session, snapshot: str | None, everything: bool, identity: str | None, as_json: bool
) -> None:
    """Check SNAPSHOT (`latest`, an id, or the unique beginning of one), or --all.

    Each object is read back and compared with its signed manifest. With the private key it is
    decrypted, and a snapshot is loaded by a scratch server; what that one holds is compared with
    the proof there is, and the new proof is kept. With --all it says as well what is gone: holes in
    the log that the worker didn't tell of, and manifests that must have been there. Exit code 4
    when an object is corrupt or gone, after all were checked.

    \b
    Examples:
      backup-worker verify latest --identity key.txt
      backup-worker verify --all --identity - < key.txt
      backup-worker verify --all --json | jq '.[] | select(.state == "corrupt")'
    """
    if everything == bool(snapshot):
        raise UsageError(
            operation="read",
            subject="the command line",
            cause="a snapshot or --all is what can be verified",
            hint="name one of the two",
        )
    source = identity or session.config.identity
    if session.elsewhere:
        forward_with_identity(session, None if source is None else str(source))
    if source is None:
        click.echo(_WITHOUT_KEY, err=True)
    with display() as report:
        found = list(_findings(session, snapshot, source=source, report=report))
    _show(found, as_json=as_json)
    _require_good(found)


def _findings(
    session: Session, snapshot: str | None, *, source: object, report: "Report"
) -> "Iterator[Finding]":
    verifier = _verifier(session, source, report)
    if snapshot is None:
        yield from verifier.everything()
    else:
        entry = session.catalog.find_entry(snapshot)
        yield verifier.snapshot(entry)


def _verifier(session: Session, source: object, report: "Report") -> "Verifier":
    from backup_worker.proving.drill import Proving  # noqa: PLC0415 - not to forward it
    from backup_worker.proving.verification import Verifier  # noqa: PLC0415

    return Verifier(
        session.catalog,
        open_identities(None if source is None else str(source)),
        Proving(session.config.state, queue=_QUEUE_SECONDS),
        session.signer,
        report,
        session.config.retention,
    )


def _show(found: "list[Finding]", *, as_json: bool) -> None:
    if as_json:
        output.print_json([_fields(one) for one in found])
        return
    rows = [
        (
            one.name,
            _state(one),
            one.proof.held.digest if one.proof and one.proof.held else "-",
            str(one.proof.held.total) if one.proof and one.proof.held else "-",
            "; ".join([*(f"{bad.key}: {bad.cause}" for bad in one.problems), *_note(one)]),
        )
        for one in found
    ]
    output.print_table(_HEADERS, rows, styles=_STYLES)


def _fields(one: "Finding") -> dict[str, Any]:
    return {
        "name": one.name,
        "state": _state(one),
        "problems": [{"object": bad.key, "cause": bad.cause} for bad in one.problems],
        "proof": describe_proof(one.proof) if one.proof else None,
        "note": one.note,
    }


def _state(one: "Finding") -> str:
    if not one.good:
        return "corrupt"
    return "proven" if one.proof else "good"


def _note(one: "Finding") -> list[str]:
    return [one.note] if one.note else []


def _require_good(found: "list[Finding]") -> None:
    bad = [problem for one in found for problem in one.problems]
    if not bad:
        return
    more = f" and {len(bad) - _NAMED} more" if len(bad) > _NAMED else ""
    raise SnapshotCorrupt(
        operation="verify",
        subject=", ".join(problem.key for problem in bad[:_NAMED]) + more,
        cause=bad[0].cause,
        hint="restore from what is proven, and take a new snapshot",
    )
