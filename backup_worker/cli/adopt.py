"""`backup-worker adopt`: what `redis-ha adopt` runs, in the worker's container or beside it."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from backup_worker import remote
from backup_worker import status as statuses
from backup_worker.adopt import conditions, live
from backup_worker.adopt.source import Source
from backup_worker.cli import adopt_text as texts
from backup_worker.cli.restore_display import display
from backup_worker.cli.restore_here import operator_target
from backup_worker.cli.restore_text import confirm
from backup_worker.cli.session import Session, pass_session
from backup_worker.errors import RefusedForSafety, UsageError
from backup_worker.manifest import Kind
from backup_worker.progress import Report
from backup_worker.restore import journal as journals
from backup_worker.restore.journal import Journal
from backup_worker.restore.loader import Target
from backup_worker.snapshot import take_snapshot
from redis_ha.connection import Address

# How the password and the text of the CA's certificate come in; never on a command line.
PASSWORD, CA = "REDIS_ADOPT_PASSWORD", "REDIS_ADOPT_CA"


@dataclass(frozen=True)
class Request:
    """The command line. `password` and `ca` are the contents, not the files."""

    address: Address | None
    user: str | None
    password: str | None
    ca: str | None
    tls: bool
    replace: bool
    dry_run: bool
    yes: bool
    resume: bool
    undo: bool
    force: bool
    timeout: float
    as_json: bool


@click.command("adopt", short_help="Take a live Redis over into the cluster.")
@click.argument("source", required=False, metavar="HOST:PORT")
@click.option("--user", metavar="NAME", help="The source's ACL user; else its default user.")
@click.option(
    "--password-file",
    metavar="FILE|-",
    help="Holds the source's password; - reads standard input."
    f"  [default: the variable {PASSWORD}]",
)
@click.option("--tls", is_flag=True, help="HOST:PORT is a TLS port.")
@click.option("--ca", metavar="FILE", help="The CA that signed the source's certificate.")
@click.option("--replace", is_flag=True, help="Replace what the cluster holds, after a snapshot.")
@click.option("--dry-run", is_flag=True, help="Check everything, change nothing.")
@click.option("--yes", "-y", is_flag=True, help="Don't ask.")
@click.option("--resume", is_flag=True, help="Finish an adoption that was interrupted.")
@click.option("--undo", is_flag=True, help="Take back an adoption that was interrupted.")
@click.option("--force", is_flag=True, help="With these: go on without who does not answer.")
@click.option(
    "--timeout",
    metavar="SECONDS",
    type=click.FloatRange(min=1),
    default=120.0,
    show_default=True,
    help="Take it back when nothing has moved for so long.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@pass_session
def command(
    session: Session,
    /,
    source: str | None,
    password_file: str | None,
    ca: str | None,
    **options: Any,
) -> None:
    """Bring the data of the Redis at HOST:PORT into the cluster while it serves.

    A server beside the backup worker replicates from it, plain or by TLS, and the data nodes
    replicate from that one; no process is restarted and no setting of a node changes. When all is
    in step the source's writes are held back, the last of them arrive, the source is closed and
    the cluster's master takes over: the pause is a second or two, and no acknowledged write is
    lost. The source then keeps its data, answers reads and refuses writes (READONLY) until it is
    stopped: started again it is an ordinary writable Redis.

    What fails on the way is taken back by itself. After a kill before the switch the source
    accepts writes again within 20 seconds, and --resume or --undo put the cluster in order. Where a
    replica was lost for good, --force with either goes on without it; --undo --force goes without
    the source, too.

    \b
    Examples:
      redis-ha adopt 10.0.0.5:6379 --dry-run
      redis-ha adopt 10.0.0.5:6379 --password-file old.password
      redis-ha adopt 10.0.0.5:6380 --tls --ca old-ca.crt --user admin --password-file -
      redis-ha adopt --undo
    """
    request = Request(
        address=_address(source, going_on=options["resume"] or options["undo"]),
        password=_password(password_file),
        ca=os.environ.get(CA) if ca is None else _read(Path(ca), "the CA's certificate"),
        **options,
    )
    if request.force and not (request.resume or request.undo):
        raise _usage("--force belongs to --resume and --undo", "all must be well to begin one")
    if request.tls and request.ca is None:
        raise _usage("--tls needs the source's CA", "add --ca FILE")
    if session.elsewhere:
        secrets = {PASSWORD: request.password or "", CA: request.ca or ""}
        words = texts.arguments(request)
        raise click.exceptions.Exit(remote.run(session.config, words, extra=secrets))
    _run(session, request)


def _run(session: Session, request: Request) -> None:
    target = operator_target(session, timeout=request.timeout)
    with journals.exclusive(target.state), _source(request, target) as source:
        if request.resume or request.undo:
            _go_on(target, request, source)
            return
        plan = live.prepare(target, source, replace=request.replace)
        if request.dry_run or not request.yes:
            texts.print_plan(plan, as_json=request.as_json and request.dry_run)
        conditions.require_none_refused(plan.findings, subject=str(source.address))
        if request.dry_run:
            return
        if not request.yes:
            confirm("Take it over?", from_stdin=False)
        with display() as report:
            outcome = live.adopt(
                target,
                plan,
                safety_snapshot=lambda report: _safety_snapshot(session, report),
                now=datetime.now(UTC),
                report=report,
            )
        statuses.note_restore(target.state, sum(outcome.seconds.values()))
        texts.print_outcome(outcome, as_json=request.as_json)


def _go_on(target: Target, request: Request, source: Source) -> None:
    journal = _open_adoption(target)
    with display() as report:
        if request.undo:
            left = live.undo(target, source, journal, force=request.force, report=report)
            texts.print_undone(journal, left, as_json=request.as_json)
            return
        outcome = live.resume(target, source, journal, force=request.force, report=report)
    texts.print_outcome(outcome, as_json=request.as_json)


def _open_adoption(target: Target) -> Journal:
    journal = journals.load(target.state)
    if journal is None or journal.source is None:
        raise RefusedForSafety(
            operation="resume or undo",
            subject="adoption",
            cause="none is open" if journal is None else "what is open is a restore",
            hint="`redis-ha adopt HOST:PORT` begins one"
            if journal is None
            else "`backup-worker restore --resume` finishes it, `--undo` takes it back",
        )
    return journal


@contextmanager
def _source(request: Request, target: Target) -> Iterator[Source]:
    """Give the source; one that is open is named by the journal."""
    address, user, tls = request.address, request.user, request.tls
    if address is None:
        before = _open_adoption(target).source
        if before is None:
            raise ValueError("an open adoption has a source")
        address, tls = before.address, before.tls
        user = user or before.username
    if tls and not request.ca:
        raise _usage(f"the source {address} is reached by TLS", "add --ca FILE")
    with tempfile.NamedTemporaryFile("w", dir=target.state, suffix=".pem") as file:
        file.write(request.ca or "")
        file.flush()
        yield Source(address, user, request.password or None, Path(file.name) if tls else None)


def _safety_snapshot(session: Session, report: Report) -> str:
    taken = take_snapshot(session.access, session.destination, kind=Kind.SAFETY, report=report)
    return taken.manifest.id


def _address(text: str | None, *, going_on: bool) -> Address | None:
    if text is None and going_on:
        return None
    host, colon, port = (text or "").rpartition(":")
    if text is None or going_on or not (colon and host and port.isdigit() and int(port) < 65536):
        raise _usage(
            "--resume and --undo know their source" if going_on else "no source HOST:PORT is named",
            "give either HOST:PORT, or --resume or --undo",
        )
    return Address(host.strip("[]"), int(port))


def _password(file: str | None) -> str | None:
    if file is None:
        return os.environ.get(PASSWORD) or None
    text = sys.stdin.readline() if file == "-" else _read(Path(file), "the password")
    return text.strip() or None


def _read(path: Path, what: str) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            operation=f"read {what} from",
            subject=str(path),
            cause=getattr(error, "strerror", None) or "it is no text",
            hint="name a readable file",
        ) from error


def _usage(cause: str, hint: str) -> UsageError:
    return UsageError(operation="read", subject="the command line", cause=cause, hint=hint)
