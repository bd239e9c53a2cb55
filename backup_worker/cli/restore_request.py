"""What was asked of `restore`, and which options go together."""

from dataclasses import dataclass
from datetime import datetime

from backup_worker.errors import UsageError
from backup_worker.log.plan import AtOffset


@dataclass(frozen=True)
class Request:
    """The command line, checked. `from_name` is what a file on standard input is called.

    `down_after` (ms) and `min_replicas` are put back where no journal says what they were.
    """

    snapshot: str | None
    identity: str | None
    output: str | None
    resume: bool
    undo: bool
    yes: bool
    dry_run: bool
    force: bool
    no_safety_snapshot: bool
    timeout: float
    as_json: bool
    at: datetime | None = None
    offset: AtOffset | None = None
    before_command: str | None = None
    values: bool = False
    config: bool = False
    from_file: str | None = None
    from_name: str | None = None
    down_after: int | None = None
    min_replicas: int | None = None

    @property
    def has_point(self) -> bool:
        """Whether the log is replayed up to some point after the snapshot."""
        return any(one is not None for one in (self.at, self.offset, self.before_command))

    @property
    def tells_settings(self) -> bool:
        """Whether a setting is given that would else stand in the journal."""
        return self.down_after is not None or self.min_replicas is not None


def check(request: Request) -> None:
    """Raise UsageError for options that don't go together."""
    going_on = request.resume or request.undo
    if request.resume and request.undo:
        raise _usage("--resume and --undo exclude each other", "name one of them")
    if request.tells_settings and not (request.undo and request.force):
        raise _usage(
            "--down-after and --min-replicas are for a restore whose journal is lost",
            "give both with --undo --force",
        )
    if going_on and (request.snapshot or request.output or request.dry_run or request.has_point):
        raise _usage(
            "an interrupted restore knows its snapshot, its point and its target",
            "give --resume or --undo without SNAPSHOT, --output, --dry-run and a point",
        )
    if request.from_file is not None and _not_with_a_file(request):
        raise _usage(
            "--from restores a plain file as it is: no store, no key and no log belong to it",
            "give it without SNAPSHOT, --identity, --output, --resume, --undo or a point",
        )
    if request.config and (going_on or request.output or request.has_point):
        raise _usage(
            "--config only compares, with what stands in one snapshot",
            "give it with SNAPSHOT alone",
        )
    points = (request.at, request.offset, request.before_command)
    if sum(one is not None for one in points) > 1:
        raise _usage("--at, --offset and --before-command exclude each other", "name one of them")
    if not (going_on or request.has_point or request.snapshot or request.from_file):
        raise _usage(
            "no snapshot was named",
            "name one, or `latest`, or a point with --at or --offset, or a file with --from",
        )


def _not_with_a_file(request: Request) -> bool:
    named = (request.snapshot, request.identity, request.output)
    others = (request.config, request.resume, request.undo, request.has_point)
    return any(one is not None for one in named) or any(others)


def _usage(cause: str, hint: str) -> UsageError:
    return UsageError(operation="read", subject="the command line", cause=cause, hint=hint)
