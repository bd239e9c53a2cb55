"""`backup-worker restore`: a snapshot back into the live cluster, a directory or a file."""

from datetime import UTC, datetime
from typing import Any

import click

from backup_worker.cli import restore_here, restore_remote
from backup_worker.cli.moments import parse_moment, parse_offset
from backup_worker.cli.restore_request import Request, check
from backup_worker.cli.session import Session, pass_session
from backup_worker.restore.journal import SHORTEST_HOLD


@click.command("restore", short_help="Put a snapshot back.")
@click.argument("snapshot", required=False)
@click.option(
    "--identity",
    metavar="FILE|-",
    help="The private key that opens the snapshot; - reads standard input."
    "  [default: the file REDIS_BACKUP_IDENTITY]",
)
@click.option(
    "--output",
    "-o",
    metavar="DIR|FILE.rdb|-",
    help="Write files that stock Redis starts from instead, or the RDB to standard output.",
)
@click.option(
    "--from",
    "from_file",
    metavar="FILE.rdb|-",
    help="Restore a plain RDB file instead of a snapshot; - reads standard input.",
)
@click.option("--from-name", hidden=True)
@click.option(
    "--at",
    metavar="TIME",
    help="Replay the log up to then: RFC 3339, a local date and time, or '10 minutes ago'.",
)
@click.option(
    "--offset",
    metavar="[REPLID:]N",
    help="Replay the log up to that offset, as `log` prints it.",
)
@click.option(
    "--before-command",
    metavar="PATTERN",
    help="Replay the log up to the last command that begins so: FLUSHALL, 'DEL user:*'.",
)
@click.option(
    "--config",
    is_flag=True,
    help="Only show how configuration, users and sentinels differ from the live ones.",
)
@click.option("--values", is_flag=True, help="Show the values of the commands found.")
@click.option("--yes", "-y", is_flag=True, help="Don't ask.")
@click.option("--dry-run", is_flag=True, help="Check everything, change nothing.")
@click.option("--force", is_flag=True, help="Go on without the replicas that do not answer.")
@click.option("--no-safety-snapshot", is_flag=True, help="Don't snapshot what is replaced.")
@click.option(
    "--timeout",
    metavar="SECONDS",
    type=click.FloatRange(min=1),
    default=120.0,
    show_default=True,
    help="Take it back when nothing has moved for so long.",
)
@click.option("--resume", is_flag=True, help="Finish a restore that was interrupted.")
@click.option("--undo", is_flag=True, help="Take back a restore that was interrupted.")
@click.option(
    "--down-after",
    metavar="MS",
    type=click.IntRange(1, SHORTEST_HOLD - 1),
    help="With --undo --force, the journal being lost: the stack's downAfterMs.",
)
@click.option(
    "--min-replicas",
    metavar="N",
    type=click.IntRange(0, 8),
    help="With --undo --force, the journal being lost: the stack's minReplicasToWrite.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@pass_session
def command(session: Session, /, **options: Any) -> None:
    """Put SNAPSHOT (an id, or `latest`) back, or the data of a point in time.

    With --at, --offset or --before-command the log after a snapshot is replayed up to there; the
    snapshot is chosen, unless SNAPSHOT names it. A transaction is replayed whole or not at all.

    Without --output it goes into the live cluster, and no process is restarted. First it is
    decrypted, checked and loaded into a scratch server, and a safety snapshot is taken of what
    will be replaced. Then the data nodes take the data over from the scratch server. From that
    moment until the switch, clients that write get READONLY, clients that read get the old data
    and for the moments of loading LOADING; what was written after the snapshot is gone at the
    end. Sentinel does not fail over meanwhile.

    A restore that fails on the way is taken back by itself. One that was killed is finished by
    --resume or taken back by --undo, from any point; if the old data is gone by then,
    --undo --identity FILE loads the safety snapshot. Where a replica was lost for good, --force
    with either goes on without it. Where the machine is lost on which it was killed, and the
    journal with it, --undo --force --down-after MS --min-replicas N puts these settings back and
    the replicas after the master.

    With --from a plain RDB file goes the same way, one that no store holds: neither signature
    nor key belong to it, the scratch server proves that it can be loaded. Until the restore has
    ended a copy of it lies in the worker's state directory, for --resume.

    \b
    Examples:
      backup-worker restore latest --identity key.txt
      backup-worker restore latest --identity key.txt --dry-run
      backup-worker restore 20261124T083000Z-1a2b3c4d --identity key.txt --output restored/
      backup-worker restore latest --identity - --output dump.rdb < key.txt
      backup-worker restore --at '10 minutes ago' --identity key.txt
      backup-worker restore --before-command FLUSHALL --identity key.txt
      backup-worker restore --offset 3f2a9c1e:48213 --identity key.txt --output restored/
      backup-worker restore latest --config --identity key.txt
      backup-worker restore --from dump.rdb
      backup-worker restore --resume --identity key.txt
    """
    request = _request(**options)
    check(request)
    (restore_remote if session.elsewhere else restore_here).run(session, request)


def _request(*, at: str | None, offset: str | None, **options: Any) -> Request:
    return Request(
        **options,
        at=None if at is None else parse_moment(at, now=datetime.now(UTC)),
        offset=None if offset is None else parse_offset(offset),
    )
