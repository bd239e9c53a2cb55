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
from typing import Any

import click

from backup_worker import remote
from backup_worker.cli import restore_text as texts
from backup_worker.cli.restore_display import display
from backup_worker.cli.restore_here import identity_source, read_identity, require_pipe
from backup_worker.cli.restore_request import Request
from backup_worker.cli.session import Session
from backup_worker.config import WorkerConfig
from backup_worker.restore import directory
from backup_worker.restore.progress import Progress, Report

_CHUNK = 1024 * 1024


def run(session: Session, request: Request) -> None:
    """Do what was asked for in the container; ends with the container's exit code."""
    config = session.config
    request = replace(request, identity=identity_source(session, request))
    if request.output == "-":
        require_pipe()
    if request.output == "-" or request.dry_run:
        _forward(config, request)
    elif request.output is not None:
        _into_files(config, request, Path(request.output))
    else:
        _ask(config, request)
        _forward(config, request)


def arguments(request: Request) -> list[str]:
    """Return the command line for the container: nothing is asked there; the key comes in by pipe.

    A dry run needs no key and gets none.
    """
    flags = {
        "--yes": True,
        "--identity=-": request.identity is not None and not request.dry_run,
        "--dry-run": request.dry_run,
        "--force": request.force,
        "--no-safety-snapshot": request.no_safety_snapshot,
        "--resume": request.resume,
        "--undo": request.undo,
        "--json": request.as_json,
        "--output=-": request.output is not None,
    }
    words = [word for word, wanted in flags.items() if wanted]
    words.append(f"--timeout={request.timeout}")
    return ["restore", *words, *([request.snapshot] if request.snapshot else [])]


def _ask(config: WorkerConfig, request: Request) -> None:
    """Show what would happen, as the container sees it, and ask."""
    if request.yes or request.resume or (request.undo and request.identity is None):
        return
    if not request.undo:
        texts.show_plan(_plan(config, request))
    else:
        click.echo("If the data from before is gone, the safety snapshot is loaded instead.")
    texts.confirm("Replace it?", from_stdin=request.identity == "-")


def _plan(config: WorkerConfig, request: Request) -> dict[str, Any]:
    words = ["restore", "--dry-run", "--json", request.snapshot or ""]
    words += ["--force"] if request.force else []
    with _process(config, words, stdin=b"") as process:
        output = b"".join(iter(lambda: _read(process), b""))
    _require_success(process)
    plan: dict[str, Any] = json.loads(output)
    return plan


def _forward(config: WorkerConfig, request: Request) -> None:
    """Run it there, its output being ours."""
    code = remote.run(config, arguments(request), stdin=_key(request))
    raise click.exceptions.Exit(code)


def _into_files(config: WorkerConfig, request: Request, target: Path) -> None:
    """Stream the checked RDB out of the container into files here."""
    directory.check_target(target)
    with display() as report:
        directory.write(_received(config, request, report), target)
    click.echo(f"written\t{target}" if not request.as_json else json.dumps({"output": str(target)}))


def _received(config: WorkerConfig, request: Request, report: Report) -> Iterator[bytes]:
    """Yield the RDB; ends with the container's exit code when that isn't 0, so nothing is kept."""
    done = 0
    with _process(config, arguments(request), stdin=_key(request)) as process:
        for chunk in iter(lambda: _read(process), b""):
            done += len(chunk)
            report(Progress("receive", done))
            yield chunk
    _require_success(process)


@contextmanager
def _process(
    config: WorkerConfig, words: Sequence[str], *, stdin: bytes
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command in the container whose output is read here; it is ended with the block."""
    container = config.container or ""
    remote.require_running(container)
    environment = remote.operator_environment(config)
    command = remote.exec_command(container, words, names=sorted(environment), terminal=False)
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ | environment
    ) as process:
        try:
            # A command that ended at once reads nothing; its exit code tells why.
            with suppress(BrokenPipeError), process.stdin or nullcontext() as pipe:
                if pipe is not None:
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
    if request.identity is None or request.dry_run:
        return b""
    return read_identity(request.identity)
