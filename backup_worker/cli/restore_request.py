"""What was asked of `restore`, and which options go together."""

from dataclasses import dataclass

from backup_worker.errors import UsageError


@dataclass(frozen=True)
class Request:
    """The command line, checked."""

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


def check(request: Request) -> None:
    """Raise UsageError for options that don't go together."""
    going_on = request.resume or request.undo
    if request.resume and request.undo:
        raise _usage("--resume and --undo exclude each other", "name one of them")
    if going_on and (request.snapshot or request.output or request.dry_run):
        raise _usage(
            "an interrupted restore knows its snapshot and its target",
            "give --resume or --undo without SNAPSHOT, --output and --dry-run",
        )
    if not going_on and not request.snapshot:
        raise _usage("no snapshot was named", "name one, or `latest`")


def _usage(cause: str, hint: str) -> UsageError:
    return UsageError(operation="read", subject="the command line", cause=cause, hint=hint)
