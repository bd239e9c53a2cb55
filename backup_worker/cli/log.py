"""`backup-worker log`: what the log covers, and the commands in it."""

from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

import click

from backup_worker import remote
from backup_worker.cli import output
from backup_worker.cli.identity import open_identities, read_identity
from backup_worker.cli.log_text import logged_fields, logged_line, print_left_out
from backup_worker.cli.moments import parse_moment
from backup_worker.cli.session import Session, pass_session
from backup_worker.errors import UsageError
from backup_worker.log.coverage import Coverage
from backup_worker.log.history import History, read_history
from backup_worker.log.listing import Filter, listed
from backup_worker.log.reading import SegmentReader
from backup_worker.log.search import LogSearch, Pattern
from backup_worker.log.times import milliseconds, rfc3339

_HEADERS = ("TIMELINE", "FROM", "TO", "FIRST", "LAST", "BYTES", "SEGMENTS", "STATE")
_STYLES = {"gap": "bold red", "restorable": "green"}


@dataclass(frozen=True)
class Asked:
    """The command line."""

    identity: str | None
    since: datetime | None
    until: datetime | None
    grep: str | None
    values: bool
    limit: int
    as_json: bool

    @property
    def filters(self) -> bool:
        """Whether it says which commands are wanted."""
        return any(one is not None for one in (self.since, self.until, self.grep))

    @property
    def lists_commands(self) -> bool:
        return self.identity is not None


@click.command("log", short_help="Show the log: what it covers, and its commands.")
@click.option(
    "--identity",
    metavar="FILE|-",
    help="The private key that opens the log; - reads standard input. Without it the coverage is"
    " shown.  [default with --since, --until or --grep: the file REDIS_BACKUP_IDENTITY]",
)
@click.option("--since", metavar="TIME", help="Only what came at or after that time.")
@click.option("--until", metavar="TIME", help="Only what came by that time.")
@click.option("--grep", metavar="PATTERN", help="Only commands that begin so: 'DEL user:*'.")
@click.option("--values", is_flag=True, help="Show values, not only their sizes.")
@click.option(
    "--limit",
    metavar="N",
    type=click.IntRange(min=0),
    default=100,
    show_default=True,
    help="The last N commands; 0 for all.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON: one object a command.")
@pass_session
def command(session: Session, /, *, since: str | None, until: str | None, **options: Any) -> None:
    """Show what the log covers, or with --identity the commands in it.

    Times are RFC 3339, a local date and time, or '10 minutes ago'. A command is shown with the
    time by which it had arrived, the place that `restore --offset` takes to end after it, its
    database, its name and first argument. What the servers say to each other
    (PING, REPLCONF, SELECT, Sentinel's hello) is left out unless --grep names it.

    \b
    Examples:
      backup-worker log
      backup-worker log --identity key.txt --since '10 minutes ago'
      backup-worker log --identity key.txt --grep 'DEL user:*' --values
    """
    now = datetime.now(UTC)
    asked = Asked(
        since=None if since is None else parse_moment(since, now=now),
        until=None if until is None else parse_moment(until, now=now),
        **options,
    )
    if asked.filters and asked.identity is None and session.config.identity is not None:
        asked = replace(asked, identity=str(session.config.identity))
    check(asked)
    if session.elsewhere:
        key = None if asked.identity is None else read_identity(asked.identity)
        code = remote.run(session.config, arguments(asked), stdin=key or b"")
        raise click.exceptions.Exit(code)
    identities = open_identities(asked.identity)
    history = read_history(session.catalog)
    print_left_out(history)
    if asked.lists_commands:
        _print_commands(history, identities, asked)
    else:
        _print_coverage(history.coverage(), as_json=asked.as_json)


def arguments(asked: Asked) -> list[str]:
    """Return the command line for the container; the key comes in by pipe, times are absolute."""
    words = ["log", f"--limit={asked.limit}"]
    words += ["--identity=-"] if asked.identity is not None else []
    words += [f"--since={asked.since.isoformat()}"] if asked.since is not None else []
    words += [f"--until={asked.until.isoformat()}"] if asked.until is not None else []
    words += [f"--grep={asked.grep}"] if asked.grep is not None else []
    words += ["--values"] if asked.values else []
    return words + (["--json"] if asked.as_json else [])


def check(asked: Asked) -> None:
    """Raise UsageError for what can't be listed."""
    if asked.filters and not asked.lists_commands:
        raise UsageError(
            operation="read",
            subject="the command line",
            cause="only a private key opens the log's commands",
            hint="add --identity FILE or set REDIS_BACKUP_IDENTITY, or leave --since, --until and"
            " --grep out",
        )
    if asked.grep is not None:
        Pattern.parse(asked.grep)


def _print_commands(history: History, identities: Any, asked: Asked) -> None:
    search = LogSearch(history, SegmentReader(history.log.store, identities))
    wanted = Filter(
        since_ms=None if asked.since is None else milliseconds(asked.since),
        until_ms=None if asked.until is None else milliseconds(asked.until),
        pattern=None if asked.grep is None else Pattern.parse(asked.grep),
        limit=asked.limit,
    )
    for one in listed(search, wanted):
        fields = logged_fields(one, values=asked.values)
        if asked.as_json:
            output.print_json(fields)
        else:
            click.echo(logged_line(fields))


def _print_coverage(found: Coverage, *, as_json: bool) -> None:
    if as_json:
        output.print_json(_coverage_fields(found))
        return
    rows = [
        (
            one.replid[:12],
            rfc3339(one.since_ms),
            rfc3339(one.until_ms),
            str(one.first),
            str(one.last),
            output.human_size(one.last - one.first + 1),
            str(one.segments),
            "log",
        )
        for one in found.stretches
    ]
    rows += [
        (gap.replid[:12], "-", "-", str(gap.first), str(gap.last), _size(gap), "0", "gap")
        for gap in found.gaps
    ]
    rows += [
        (
            one.replid[:12],
            rfc3339(one.since_ms),
            rfc3339(one.until_ms),
            str(one.first),
            str(one.last),
            _size(one),
            "-",
            "restorable",
        )
        for one in found.ranges
    ]
    output.print_table(_HEADERS, rows, styles=_STYLES)
    if not found.stretches:
        click.echo("no log yet: `backup-worker run` writes it", err=True)


def _size(one: Any) -> str:
    return output.human_size(one.last - one.first + 1)


def _coverage_fields(found: Coverage) -> dict[str, Any]:
    """Return the coverage for JSON, times as RFC 3339."""
    return {
        "stretches": [_timed(one) for one in found.stretches],
        "gaps": [asdict(one) for one in found.gaps],
        "restorable": [_timed(one) for one in found.ranges],
    }


def _timed(one: Any) -> dict[str, Any]:
    fields = asdict(one)
    since, until = fields.pop("since_ms"), fields.pop("until_ms")
    return fields | {"since": rfc3339(since), "until": rfc3339(until)}
