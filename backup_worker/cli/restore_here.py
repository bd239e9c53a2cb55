"""`restore` where the cluster is reached directly: in the worker's container or beside it."""

import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import age
from backup_worker.catalog import LATEST, choose
from backup_worker.cli import restore_text as texts
from backup_worker.cli.restore_display import display
from backup_worker.cli.restore_request import Request
from backup_worker.cli.session import Session
from backup_worker.errors import BackupError, RefusedForSafety, UsageError
from backup_worker.manifest import Manifest
from backup_worker.restore import directory, live, safety
from backup_worker.restore import journal as journals
from backup_worker.restore.files import unwritable
from backup_worker.restore.loader import OpenRdb, Target
from backup_worker.restore.opening import opened, write_checked
from backup_worker.restore.progress import Progress, Report
from backup_worker.snapshot import take_snapshot
from backup_worker.transform.encryption import read_identities

_COPY = 1024 * 1024


def run(session: Session, request: Request) -> None:
    """Do what was asked for and print the result."""
    restore = Restore(session, request, _identities(identity_source(session, request)))
    if request.output is not None:
        restore.into_files(request.output)
    elif request.resume or request.undo:
        restore.go_on()
    else:
        restore.into_cluster()


@dataclass(frozen=True)
class Restore:
    """What the ways to restore have in common: the catalogue, the key, the cluster."""

    session: Session
    request: Request
    identities: tuple[age.Identity, ...]

    @cached_property
    def manifest(self) -> Manifest:
        """The snapshot asked for; its signature was verified.

        `latest` is never a safety snapshot: that one holds what a restore was to get rid of.
        """
        name = self.request.snapshot or ""
        entries = self.session.catalog.list().entries
        if name == LATEST:
            aside = safety.known(self.session.config.state)
            entries = tuple(entry for entry in entries if entry.id not in aside)
        return choose(entries, name)

    @cached_property
    def target(self) -> Target:
        """The cluster as operator; raises UsageError naming what is not set."""
        config = self.session.config
        access = self.session.access
        if config.operator is None:
            raise _missing("the operator's credentials", "REDIS_OPERATOR_USERNAME and _PASSWORD")
        if config.scratch is None:
            raise _missing(
                "where the scratch server listens",
                "REDIS_BACKUP_SCRATCH_HOST and _PORT, REDIS_BACKUP_TLS_CERT and _KEY,"
                " REDIS_REPLICA_USERNAME and _PASSWORD",
            )
        access = replace(access, credentials=config.operator)
        return Target(access, config.scratch, config.state, self.request.timeout)

    @property
    def open_rdb(self) -> OpenRdb | None:
        """How to write a snapshot's checked RDB to a path; None without an identity."""
        return self.write_rdb if self.identities else None

    def write_rdb(self, snapshot: str, path: Path, report: Report) -> None:
        """Write a snapshot's checked RDB to a path."""
        write_checked(self.content(self.session.catalog.find(snapshot), report), path)

    def content(self, manifest: Manifest, report: Report) -> Iterator[bytes]:
        """Yield a snapshot's RDB; complete and unchanged once it ended without an error."""
        size = manifest.stored.size
        with closing(self.session.store.get(manifest.object_key)) as stored:
            yield from opened(
                stored,
                manifest,
                self.identities,
                on_progress=lambda done: report(Progress("decrypt", done, size)),
            )

    def take_snapshot(self, report: Report) -> str:
        """Take the safety snapshot, make a note that it is one, return its id."""
        try:
            manifest = take_snapshot(
                self.session.access,
                self.session.destination,
                report=lambda step: report(replace(step, phase=live.SAFETY_SNAPSHOT)),
            )
        except BackupError as error:
            raise type(error)(
                operation="take the safety snapshot: " + error.operation,
                subject=error.subject,
                cause=error.cause,
                hint=f"{error.hint}; or go without one by --no-safety-snapshot",
            ) from error
        safety.remember(self.session.config.state, manifest.id)
        return manifest.id

    def into_files(self, output: str) -> None:
        """Write a directory, a file, or standard output."""
        if output == "-":
            require_pipe()
        else:
            directory.check_target(Path(output))
        manifest = self.manifest
        if not self.request.dry_run:
            with display() as report:
                content = self.content(manifest, report)
                if output == "-":
                    _to_stdout(content)
                    return
                directory.write(content, Path(output))
        texts.print_files(manifest, output, as_json=self.request.as_json)

    def into_cluster(self) -> None:
        """Restore into the live cluster, after asking."""
        request = self.request
        with journals.exclusive(self.target.state):
            plan = live.prepare(self.target, self.manifest, force=request.force)
            if request.dry_run:
                texts.print_plan(plan, as_json=request.as_json)
                return
            if not request.yes:
                texts.print_plan(plan, as_json=False)
                texts.confirm("Replace it?", from_stdin=request.identity == "-")
            with display() as report:
                outcome = live.restore(
                    self.target,
                    plan,
                    open_rdb=self.write_rdb,
                    safety_snapshot=None if request.no_safety_snapshot else self.take_snapshot,
                    now=datetime.now(UTC),
                    force=request.force,
                    report=report,
                )
            texts.print_outcome(outcome, as_json=request.as_json)

    def go_on(self) -> None:
        """Finish or take back the restore that is open."""
        request, target = self.request, self.target
        with journals.exclusive(target.state):
            journal = journals.load(target.state)
            if journal is None:
                raise RefusedForSafety(
                    operation="resume" if request.resume else "undo",
                    subject="restore",
                    cause="none is open",
                    hint="`backup-worker restore SNAPSHOT` begins one",
                )
            open_rdb = self.open_rdb
            if request.undo and open_rdb is not None and not request.yes:
                texts.print_undo(journal)
                texts.confirm("Go on?", from_stdin=request.identity == "-")
            way = live.resume if request.resume else live.undo
            with display() as report:
                outcome = way(target, journal, open_rdb=open_rdb, report=report)
            texts.print_outcome(outcome, as_json=request.as_json)


def identity_source(session: Session, request: Request) -> str | None:
    """Say where the private key is: --identity, else REDIS_BACKUP_IDENTITY.

    Raises UsageError when there is none and nothing can be done without.
    """
    source = request.identity or session.config.identity
    if source is None and not (request.resume or request.undo or request.dry_run):
        raise UsageError(
            operation="restore",
            subject=request.snapshot or "",
            cause="no identity was given, and only it opens a snapshot",
            hint="add --identity FILE (from `backup-worker keygen`), or set REDIS_BACKUP_IDENTITY",
        )
    return None if source is None else str(source)


def _identities(source: str | None) -> tuple[age.Identity, ...]:
    """Read the private keys at once: a bad file is refused before anybody is asked."""
    if source is None:
        return ()
    text = read_identity(source).decode(errors="replace")
    return read_identities(text, source="standard input" if source == "-" else source)


def _to_stdout(content: Iterable[bytes]) -> None:
    """Write it out once all of it was checked; meanwhile it lies in a file without a name."""
    try:
        with tempfile.TemporaryFile() as file:
            for chunk in content:
                file.write(chunk)
            file.seek(0)
            shutil.copyfileobj(file, sys.stdout.buffer, _COPY)
            sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise unwritable(Path(tempfile.gettempdir()), error) from error


def require_pipe() -> None:
    """Refuse (UsageError) to write an RDB to a terminal."""
    if sys.stdout.isatty():
        raise UsageError(
            operation="write",
            subject="the RDB to standard output",
            cause="it is a terminal",
            hint="redirect it: `backup-worker restore latest --output - > dump.rdb`",
        )


def read_identity(source: str) -> bytes:
    """Read an identity file, or standard input for `-`; raises UsageError."""
    if source == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(source).read_bytes()
    except OSError as error:
        raise UsageError(
            operation="read",
            subject=f"identity file {source}",
            cause=error.strerror or str(error),
            hint="name a readable file that `backup-worker keygen` or age-keygen made",
        ) from error


def _missing(what: str, settings: str) -> UsageError:
    return UsageError(
        operation="read",
        subject="settings",
        cause=f"{what} is not set",
        hint=f"set {settings}; with --output no cluster is needed",
    )
