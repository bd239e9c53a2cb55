"""`backup-worker run`: the process in the worker's container."""

import logging
import socket
import time
from pathlib import Path
from typing import NoReturn

import click

from backup_worker.cli.session import Session, pass_session
from backup_worker.cli.signals import Terminated

_HEALTH_FILE = "/run/redis-ha/health"


@click.command("run", short_help="Take snapshots on schedule, for ever.")
@click.option(
    "--health-file",
    type=click.Path(path_type=Path),
    default=_HEALTH_FILE,
    envvar="REDIS_BACKUP_HEALTH_FILE",
    show_default=True,
    help="Where to say how it goes; the first line begins with `ok` when it goes well.",
)
@click.option("--node", default=None, help="This worker's name in the log [default: host name].")
@pass_session
def command(session: Session, health_file: Path, node: str | None) -> None:
    """Follow the stream, and take a snapshot each REDIS_BACKUP_INTERVAL seconds.

    Several may run on one store: one works, the others stand by and take over within a minute of
    its death. The first snapshot is taken at once, unless the store holds one that is younger
    than the interval; each is proven, and past ones are pruned. A gap in the log is followed by a
    snapshot at once. A failed round is tried again after 2 s, then twice as long each time, up to
    5 minutes. Events go to standard output, one JSON object a line. SIGTERM ends it, leaving
    nothing half done.

    \b
    Example:
      backup-worker run --health-file ./health
    """
    from redis_ha import eventlog  # noqa: PLC0415 - not to show --help

    name = node or socket.gethostname()
    eventlog.configure(name, component="worker")
    try:
        _run(session, health_file, name)
    except (Terminated, KeyboardInterrupt):
        eventlog.emit("stopped")


def _run(session: Session, health_file: Path, name: str) -> NoReturn:
    from backup_worker.assembly import Settings, parts  # noqa: PLC0415
    from backup_worker.lease.worker_id import worker_id  # noqa: PLC0415
    from backup_worker.proving import drill  # noqa: PLC0415
    from backup_worker.restore import journal  # noqa: PLC0415
    from backup_worker.restore.leftovers import sweep_saved  # noqa: PLC0415
    from backup_worker.worker import Worker  # noqa: PLC0415
    from redis_ha.eventlog import emit  # noqa: PLC0415

    config = session.config
    if not config.enabled:
        emit("backups-off", level=logging.WARNING, setting="REDIS_BACKUP_ENABLED")
        _idle(health_file)
    recipients = session.recipients
    settings = Settings(session.access, config, session.trusted)
    opened = parts(settings, session.open_destination, session.lease_store)
    warn_of_open_restore(config.state)
    with worker_id(config.state) as me:
        drill.clear(config.state)
        journal.clear(config.state)
        sweep_saved(config.state)
        emit(
            "started",
            worker=me,
            interval=config.interval.total_seconds(),
            recipients=[str(key) for key in recipients],
        )
        Worker(opened, config, me, name, health_file).run()


def warn_of_open_restore(state: Path) -> None:
    """Say that a restore was interrupted: until it is ended Sentinel waits longer than usual.

    What a restore left unreadable is no reason to go without backups.
    """
    from backup_worker.errors import BackupError  # noqa: PLC0415
    from backup_worker.restore import journal  # noqa: PLC0415
    from redis_ha.eventlog import emit  # noqa: PLC0415

    try:
        open_restore = journal.load(state)
    except BackupError as error:
        emit("restore-interrupted", level=logging.ERROR, error=str(error))
        return
    if open_restore:
        emit(
            "restore-interrupted",
            level=logging.ERROR,
            snapshot=open_restore.snapshot,
            hint="end it with `backup-worker restore --resume` or `--undo`",
        )


def _idle(health_file: Path) -> NoReturn:
    from backup_worker.health import BEAT_SECONDS, Heartbeat  # noqa: PLC0415

    heart = Heartbeat({health_file: lambda: "ok backups are off"})
    while True:
        heart.sign_of_life()
        heart.write()
        time.sleep(BEAT_SECONDS)
