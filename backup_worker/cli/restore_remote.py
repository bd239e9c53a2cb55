"""`restore` on the operator's machine, for a worker that runs in a container.

The key is read here and piped in, the question is asked here, and files end up here; what is in
the container never sees the key's file, and leaves no decrypted file behind.
"""

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import click

from backup_worker import remote
from backup_worker.cli import restore_file
from backup_worker.cli import restore_text as texts
from backup_worker.cli.identity import read_identity
from backup_worker.cli.restore_config import print_differences
from backup_worker.cli.restore_display import display
from backup_worker.cli.restore_here import identity_source, require_pipe
from backup_worker.cli.restore_request import Request
from backup_worker.cli.session import Session
from backup_worker.config import WorkerConfig
from backup_worker.contents import document as contents
from backup_worker.contents import files as contents_files
from backup_worker.log.plan import AtOffset
from backup_worker.manifest import contents_key
from backup_worker.progress import Progress, Report
from backup_worker.restore import directory, rdb_file

_CHUNK = 1024 * 1024


def run(session: Session, request: Request) -> None:
    """Do what was asked for in the container; ends with the container's exit code."""
    config = session.config
    request = replace(request, identity=identity_source(session, request))
    if request.output == "-":
        require_pipe()
    if request.config:
        _show_differences(config, request)
    elif request.from_file is not None:
        _from_file(config, request, request.from_file)
    elif request.output == "-" or request.dry_run:
        _forward(config, request)
    elif request.output is not None:
        _into_files(config, request, Path(request.output))
    else:
        _forward(config, _ask(config, request))


def arguments(request: Request) -> list[str]:
    """Return the command line for the container: nothing is asked there; the key comes in by pipe.

    A dry run gets one only to find a point in the log. Times are named absolutely: the zone and
    the clock are those of the machine where they were written.
    """
    flags = {
        "--yes": True,
        "--identity=-": _needs_key(request),
        "--dry-run": request.dry_run,
        "--force": request.force,
        "--no-safety-snapshot": request.no_safety_snapshot,
        "--resume": request.resume,
        "--undo": request.undo,
        "--json": request.as_json,
        "--output=-": request.output is not None,
        "--values": request.values,
        "--config": request.config,
        "--from=-": request.from_file is not None,
    }
    words = [word for word, wanted in flags.items() if wanted]
    words.append(f"--timeout={request.timeout}")
    if request.at is not None:
        words.append(f"--at={request.at.isoformat()}")
    if (wanted := request.offset) is not None:
        words.append(f"--offset={wanted.replid + ':' if wanted.replid else ''}{wanted.offset}")
    if request.down_after is not None:
        words.append(f"--down-after={request.down_after}")
    if request.min_replicas is not None:
        words.append(f"--min-replicas={request.min_replicas}")
    if request.from_name is not None:
        words.append(f"--from-name={request.from_name}")
    if request.before_command is not None:
        words.append(f"--before-command={request.before_command}")
    return ["restore", *words, *([request.snapshot] if request.snapshot else [])]


def _ask(config: WorkerConfig, request: Request) -> Request:
    """Show what would happen, as the container sees it, and ask; return what was agreed to."""
    if request.yes or request.resume or _undoes_unasked(request):
        return request
    if request.tells_settings:
        click.echo(texts.LOST_JOURNAL)
    elif request.undo:
        click.echo("If the data from before is gone, the safety snapshot is loaded instead.")
    else:
        plan = _plan(config, request, _key(replace(request, dry_run=True)))
        texts.show_plan(plan)
        request = pinned(request, plan)
    texts.confirm("Replace it?", from_stdin=request.identity == "-")
    return request


def _undoes_unasked(request: Request) -> bool:
    """Without a key an undo loads nothing, and with a journal it is known what comes back."""
    return request.undo and request.identity is None and not request.tells_settings


def pinned(request: Request, plan: dict[str, Any]) -> Request:
    """Name the point that was shown: another command may match by the time it is done."""
    point = plan["point"]
    if point is None:
        return request
    offset = AtOffset(point["offset"], point["timeline"])
    return replace(request, snapshot=plan["snapshot"], offset=offset, at=None, before_command=None)


def _from_file(config: WorkerConfig, request: Request, source: str) -> None:
    """Stream a file in by standard input; it is looked at here first, to name it as it is here."""
    if source == restore_file.STDIN:
        restore_file.require_piped()
        if not (request.yes or request.dry_run):
            texts.confirm("Replace it?", from_stdin=True)
        raise click.exceptions.Exit(remote.run(config, arguments(request)))
    rdb_file.describe(restore_file.content(source), source)
    request = replace(request, from_name=source)
    if not (request.yes or request.dry_run):
        with Path(source).open("rb") as file:
            texts.show_plan(_plan(config, request, file))
        texts.confirm("Replace it?", from_stdin=False)
    with Path(source).open("rb") as file:
        code = remote.run(config, arguments(request), stdin=file)
    raise click.exceptions.Exit(code)


def _plan(config: WorkerConfig, request: Request, stdin: bytes | BinaryIO) -> dict[str, Any]:
    """Return what a dry run there would do; `stdin` is the key, or the file of --from."""
    asked = replace(request, dry_run=True, as_json=True)
    if not (_needs_key(asked) or request.from_file):
        stdin = b""
    plan: dict[str, Any] = json.loads(_output(config, arguments(asked), stdin=stdin))
    return plan


def _output(config: WorkerConfig, words: Sequence[str], *, stdin: bytes | BinaryIO) -> bytes:
    """Return what a command in the container prints; ends with its exit code when that isn't 0."""
    with _process(config, words, stdin=stdin) as process:
        output = b"".join(iter(lambda: _read(process), b""))
    _require_success(process)
    return output


def _show_differences(config: WorkerConfig, request: Request) -> None:
    """Show here, in colour, what is found there."""
    asked = replace(request, as_json=True)
    found = json.loads(_output(config, arguments(asked), stdin=_key(asked)))
    print_differences(found, as_json=request.as_json)


def _forward(config: WorkerConfig, request: Request) -> None:
    """Run it there, its output being ours."""
    code = remote.run(config, arguments(request), stdin=_key(request))
    raise click.exceptions.Exit(code)


def _into_files(config: WorkerConfig, request: Request, target: Path) -> None:
    """Stream the checked RDB out of the container into files here, what is beside it after it."""
    directory.check_target(target)
    key, files = _key(request), {}
    # Both are to be of one snapshot, whatever `latest` means by then.
    plan = _plan(config, request, key)
    request = replace(pinned(request, plan), snapshot=plan["snapshot"])
    if plan["contents"] and not directory.is_file_target(target):
        files = _beside(config, plan["snapshot"], key)
    with display() as report:
        directory.write(_received(config, request, key, report), target, beside=files)
    click.echo(f"written\t{target}" if not request.as_json else json.dumps({"output": str(target)}))


def _beside(config: WorkerConfig, snapshot: str, key: bytes) -> dict[str, bytes]:
    """Return the files that lie beside the data, as a local restore makes them.

    Without them, the container having said why, the data is written all the same.
    """
    words = ["show", snapshot, "--contents", "--identity=-"]
    with suppress(click.exceptions.Exit):
        payload = _output(config, words, stdin=key)
        return contents_files.files(contents.decode(payload, key=contents_key(snapshot)))
    return {}


def _received(
    config: WorkerConfig, request: Request, key: bytes, report: Report
) -> Iterator[bytes]:
    """Yield the RDB; ends with the container's exit code when that isn't 0, so nothing is kept."""
    done = 0
    with _process(config, arguments(request), stdin=key) as process:
        for chunk in iter(lambda: _read(process), b""):
            done += len(chunk)
            report(Progress("receive", done))
            yield chunk
    _require_success(process)


@contextmanager
def _process(
    config: WorkerConfig, words: Sequence[str], *, stdin: bytes | BinaryIO
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command in the container whose output is read here; it is ended with the block."""
    container = config.container or ""
    remote.require_running(container)
    environment = remote.operator_environment(config)
    command = remote.exec_command(container, words, names=sorted(environment), terminal=False)
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE if isinstance(stdin, bytes) else stdin,
        stdout=subprocess.PIPE,
        env=os.environ | environment,
    ) as process:
        try:
            # A command that ended at once reads nothing; its exit code tells why.
            with suppress(BrokenPipeError), process.stdin or nullcontext() as pipe:
                if pipe is not None and isinstance(stdin, bytes):
                    pipe.write(stdin)
            yield process
        except BaseException:
            process.kill()
            raise


def _read(process: subprocess.Popen[bytes]) -> bytes:
    return process.stdout.read(_CHUNK) if process.stdout is not None else b""


def _require_success(process: subprocess.Popen[bytes]) -> None:
    """End with the container's exit code; it has said why on standard error."""
    if process.returncode:
        raise click.exceptions.Exit(process.returncode)


def _key(request: Request) -> bytes:
    if request.identity is None or not _needs_key(request):
        return b""
    return read_identity(request.identity)


def _needs_key(request: Request) -> bool:
    return request.identity is not None and (request.has_point or not request.dry_run)
