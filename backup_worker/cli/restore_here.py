"""`restore` where the cluster is reached directly: in the worker's container or beside it."""

import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import age
from backup_worker import status as statuses
from backup_worker.cli import restore_file
from backup_worker.cli import restore_text as texts
from backup_worker.cli.identity import open_identities
from backup_worker.cli.log_text import print_left_out
from backup_worker.cli.restore_config import beside, show_differences
from backup_worker.cli.restore_display import display
from backup_worker.cli.restore_point import Located, locate
from backup_worker.cli.restore_request import Request
from backup_worker.cli.session import Session
from backup_worker.errors import BackupError, RefusedForSafety, UsageError
from backup_worker.log.history import read_history
from backup_worker.manifest import Kind, Manifest
from backup_worker.progress import Report
from backup_worker.restore import directory, live, rdb_file
from backup_worker.restore import journal as journals
from backup_worker.restore.files import unwritable
from backup_worker.restore.journal import Journal
from backup_worker.restore.loader import OpenData, Target
from backup_worker.restore.replay import Opener
from backup_worker.snapshot import take_snapshot

_COPY = 1024 * 1024


def run(session: Session, request: Request) -> None:
    """Do what was asked for and print the result."""
    restore = Restore(session, request, open_identities(identity_source(session, request)))
    if request.config:
        show_differences(session, restore.manifest, restore.identities, as_json=request.as_json)
    elif request.output is not None:
        restore.into_files(request.output)
    elif request.resume or request.undo:
        restore.go_on()
    elif request.from_file is not None:
        restore.file_into_cluster(request.from_file)
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
        """The snapshot asked for; its signature was verified."""
        return self.session.catalog.find(self.request.snapshot or "")

    @cached_property
    def target(self) -> Target:
        """The cluster as operator; raises UsageError naming what is not set."""
        return operator_target(self.session, timeout=self.request.timeout)

    @cached_property
    def opener(self) -> Opener:
        """Opens what the store holds with the keys given."""
        return Opener(self.session.catalog, self.identities, self.session.config.state)

    @property
    def open_data(self) -> OpenData | None:
        """How to write what the scratch server loads; None without an identity."""
        return self.opener.write if self.identities else None

    @cached_property
    def located(self) -> Located | None:
        """The point asked for and the way there; None for a snapshot as it is."""
        if not self.request.has_point:
            return None
        base = self.manifest if self.request.snapshot else None
        history = read_history(self.session.catalog)
        print_left_out(history)
        return locate(history, self.request, self.identities, base=base)

    def take_snapshot(self, report: Report) -> str:
        """Take the safety snapshot and return its id; it is not proven, time matters now."""
        try:
            taken = take_snapshot(
                self.session.access,
                self.session.destination,
                kind=Kind.SAFETY,
                report=lambda step: report(replace(step, phase=live.SAFETY_SNAPSHOT)),
            )
        except BackupError as error:
            raise type(error)(
                operation="take the safety snapshot: " + error.operation,
                subject=error.subject,
                cause=error.cause,
                hint=f"{error.hint}; or go without one by --no-safety-snapshot",
            ) from error
        return taken.manifest.id

    def into_files(self, output: str) -> None:
        """Write a directory, a file, or standard output."""
        if output == "-":
            require_pipe()
        else:
            directory.check_target(Path(output))
        located = self.located
        manifest = located.replay.base if located else self.manifest
        if located and output != "-":
            texts.print_match(located, values=self.request.values)
        if not self.request.dry_run:
            with display() as report:
                if output == "-":
                    _to_stdout(self._rdb(manifest, located, report))
                    return
                self._write(manifest, located, Path(output), report)
        texts.print_files(manifest, output, located=located, as_json=self.request.as_json)

    def _rdb(self, manifest: Manifest, located: Located | None, report: Report) -> Iterator[bytes]:
        if located is None or not located.replay.pieces:
            return self.opener.rdb(manifest, report)
        return self.opener.saved(located.history, located.replay, report)

    def _write(
        self, manifest: Manifest, located: Located | None, target: Path, report: Report
    ) -> None:
        files = beside(self.session.catalog, manifest, self.identities)
        replays = located is not None and bool(located.replay.pieces)
        if located is None or not replays or directory.is_file_target(target):
            directory.write(self._rdb(manifest, located, report), target, beside=files)
            return
        log = self.opener.log(located.history, located.replay, report)
        directory.write_with_log(self.opener.rdb(manifest, report), log, target, beside=files)

    def into_cluster(self) -> None:
        """Restore into the live cluster, after asking."""
        request = self.request
        with journals.exclusive(self.target.state):
            located = self.located
            plan = live.prepare(
                self.target,
                located.replay.base if located else self.manifest,
                force=request.force,
                replay=located.replay if located else None,
            )
            if self._agreed(plan, located):
                self._replace(plan, self.opener.write)

    def file_into_cluster(self, source: str) -> None:
        """Restore a plain file into the live cluster, after asking."""
        request, target = self.request, self.target
        name = request.from_name or ("standard input" if source == restore_file.STDIN else source)
        with journals.exclusive(target.state):
            plan = restore_file.prepare(
                target, source, name, dry_run=request.dry_run, force=request.force
            )
            if self._agreed(plan):
                plan = restore_file.kept(plan, source, target.state)
                self._replace(plan, restore_file.open_kept(target.state))

    def _agreed(self, plan: live.Plan, located: Located | None = None) -> bool:
        """Show the plan and ask where that is wanted; say whether to go on."""
        request = self.request
        fields = texts.plan_fields(plan, located, values=request.values)
        if request.dry_run:
            texts.print_plan(fields, as_json=request.as_json)
        elif not request.yes:
            texts.print_plan(fields, as_json=False)
            texts.confirm("Replace it?", from_stdin="-" in (request.identity, request.from_file))
        return not request.dry_run

    def _replace(self, plan: live.Plan, open_data: OpenData) -> None:
        request = self.request
        with display() as report:
            outcome = live.restore(
                self.target,
                plan,
                open_data=open_data,
                safety_snapshot=None if request.no_safety_snapshot else self.take_snapshot,
                now=datetime.now(UTC),
                force=request.force,
                report=report,
            )
        statuses.note_restore(self.target.state, sum(outcome.seconds.values()))
        texts.print_outcome(outcome, as_json=request.as_json)

    def go_on(self) -> None:
        """Finish or take back the restore that is open."""
        request, target = self.request, self.target
        with journals.exclusive(target.state):
            journal = journals.load(target.state)
            if journal is None and request.undo and request.force:
                self._undo_lost()
                return
            if journal is None:
                raise RefusedForSafety(
                    operation="resume" if request.resume else "undo",
                    subject="restore",
                    cause="none is open",
                    hint="`backup-worker restore SNAPSHOT` begins one",
                )
            if journal.source is not None:
                raise RefusedForSafety(
                    operation="resume" if request.resume else "undo",
                    subject="restore",
                    cause=f"what is open is an adoption of {journal.source.address}",
                    hint="`redis-ha adopt --resume` finishes it, `--undo` takes it back",
                )
            open_data = self._data_to_go_on(journal)
            if request.undo and open_data is not None and not request.yes:
                texts.print_undo(journal)
                texts.confirm("Go on?", from_stdin=request.identity == "-")
            way = live.resume if request.resume else live.undo
            with display() as report:
                outcome = way(
                    target, journal, open_data=open_data, force=request.force, report=report
                )
            texts.print_outcome(outcome, as_json=request.as_json)

    def _undo_lost(self) -> None:
        """Take back what a restore left whose journal is lost, by the settings given."""
        request, target = self.request, self.target
        master, seen = live.see_lost(target)
        down_after, min_replicas = request.down_after, request.min_replicas
        if down_after is None or min_replicas is None:
            raise _settings_wanted()
        if not request.yes:
            keys = seen.node(master).keys
            texts.print_lost(master, keys, down_after=down_after, min_replicas=min_replicas)
            texts.confirm("Go on?", from_stdin=request.identity == "-")
        with display() as report:
            outcome = live.undo_lost(
                target,
                down_after=down_after,
                min_replicas=min_replicas,
                now=datetime.now(UTC),
                report=report,
            )
        texts.print_outcome(outcome, as_json=request.as_json)

    def _data_to_go_on(self, journal: Journal) -> OpenData | None:
        """A plain file's copy is needed to resume only: an undo loads the safety snapshot."""
        if self.request.resume and rdb_file.is_file(journal.snapshot):
            return restore_file.open_kept(self.target.state)
        return self.open_data


def operator_target(session: Session, *, timeout: float) -> Target:
    """Return the cluster as operator; raises UsageError naming what is not set."""
    config, access = session.config, session.access
    if config.operator is None:
        raise _missing("the operator's credentials", "REDIS_OPERATOR_USERNAME and _PASSWORD")
    if config.scratch is None:
        raise _missing(
            "where the scratch server listens",
            "REDIS_BACKUP_SCRATCH_HOST and _PORT, REDIS_BACKUP_TLS_CERT and _KEY,"
            " REDIS_REPLICA_USERNAME and _PASSWORD",
        )
    access = replace(access, credentials=config.operator)
    return Target(access, config.scratch, config.state, timeout)


def identity_source(session: Session, request: Request) -> str | None:
    """Say where the private key is: --identity, else REDIS_BACKUP_IDENTITY.

    Raises UsageError when there is none and nothing can be done without.
    """
    if request.from_file is not None:
        return None
    source = request.identity or session.config.identity
    if source is None and not (request.resume or request.undo or request.dry_run):
        raise UsageError(
            operation="restore",
            subject=request.snapshot or "",
            cause="no identity was given, and only it opens a snapshot",
            hint="add --identity FILE (from `backup-worker keygen`), or set REDIS_BACKUP_IDENTITY",
        )
    return None if source is None else str(source)


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


def _settings_wanted() -> UsageError:
    return UsageError(
        operation="undo",
        subject="the restore whose journal is lost",
        cause="the settings from before stood in the journal",
        hint="add --down-after MS and --min-replicas N: the stack's downAfterMs and"
        " minReplicasToWrite",
    )


def _missing(what: str, settings: str) -> UsageError:
    return UsageError(
        operation="read",
        subject="settings",
        cause=f"{what} is not set",
        hint=f"set {settings}; with --output no cluster is needed",
    )
