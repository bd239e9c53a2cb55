"""Pulumi's Python language host, for a machine where the official one is not to be had.

A gRPC LanguageRuntime server (pulumi/proto/language.proto) around the server that the pulumi
package itself holds for inline programs. One file that imports nothing of ours: it is copied
beside the pulumi binary and runs in the project's virtual environment.
"""

from __future__ import annotations

import os
import runpy
import signal
import subprocess
import sys
import threading
import traceback
from concurrent import futures
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf import empty_pb2
from pulumi import RunError
from pulumi.automation import _server
from pulumi.runtime import stack
from pulumi.runtime.proto import language_pb2, language_pb2_grpc, plugin_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PARENT_POLL_SECONDS = 1.0
MESSAGE_LIMIT = 400 * 1024 * 1024  # bytes; what the engine itself allows


class Host(_server.LanguageServer):
    """Runs the program that each request names; `stopped` is set when the engine is done."""

    def __init__(self, engine: str) -> None:
        super().__init__(lambda: None)
        self.engine = engine
        self.stopped = threading.Event()

    def GetPluginInfo(self, _request: Any, _context: Any) -> Any:  # noqa: N802
        """Name the pulumi package's version, as the official host does."""
        return plugin_pb2.PluginInfo(version=version("pulumi"))

    def Run(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Run the entry point; an error is shown once, here, and bails the engine out."""
        os.chdir(request.info.program_directory)
        sys.argv = [request.info.entry_point, *request.args]
        request.args[:] = [self.engine]
        self.program = lambda: run_program(request.info.entry_point)
        response = super().Run(request, context)  # type: ignore[no-untyped-call]
        response.bail = bool(response.error)
        return response

    def InstallDependencies(self, request: Any, context: Any) -> Iterator[Any]:  # noqa: N802
        """Install requirements.txt into the environment that this host runs in."""
        command = [sys.executable, "-m", "pip", "install", "-r", "requirements.txt"]
        done = subprocess.run(
            command, cwd=request.info.program_directory, capture_output=True, check=False
        )
        yield language_pb2.InstallDependenciesResponse(stdout=done.stdout, stderr=done.stderr)
        if done.returncode:
            context.abort(grpc.StatusCode.INTERNAL, f"pip install ended with {done.returncode}")

    def Cancel(self, _request: Any, _context: Any) -> Any:  # noqa: N802
        """Leave: the engine sends this at the end of every run and on ^C."""
        self.stopped.set()
        return empty_pb2.Empty()


def run_program(entry_point: str) -> None:
    """Run the user's program as `python entry_point` would; sys.exit(0) is success."""
    try:
        runpy.run_path(entry_point, run_name="__main__")
    except SystemExit as stop:
        if stop.code not in {0, None}:
            raise RunError(f"Program exited with code {stop.code}") from None


async def run_in_stack(program: Callable[[], None]) -> None:
    """Run the program and wait for its outputs; say errors as Pulumi's own host does.

    Errors: RunError with its message alone, others as RunError with the program's traceback.
    """
    try:
        await stack.run_in_stack(program)
    except (RunError, grpc.RpcError):
        raise
    except Exception as error:  # noqa: BLE001  whatever the user's program raises
        shown = user_traceback(error, Path.cwd())
        raise RunError(f"Program failed with an unhandled exception:\n{shown}") from None


def user_traceback(error: BaseException, program: Path) -> str:
    """Format `error` from the first frame inside the program's directory on."""
    files = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
    ours = (i for i, file in enumerate(files) if _belongs_to(Path(file), program))
    limit = next((i - len(files) for i in ours), None)
    return "".join(traceback.format_exception(error, limit=limit))


def _belongs_to(file: Path, program: Path) -> bool:
    return file.parent == program or (file.is_relative_to(program) and ".venv" not in file.parts)


def serve(engine: str) -> None:
    """Serve on a free port of 127.0.0.1 until Cancel or until the parent process is gone."""
    parent = os.getppid()
    options = [
        ("grpc.max_send_message_length", MESSAGE_LIMIT),
        ("grpc.max_receive_message_length", MESSAGE_LIMIT),
    ]
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4), options=options)
    host = Host(engine)
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(host, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    while os.getppid() == parent and not host.stopped.wait(PARENT_POLL_SECONDS):
        pass
    server.stop(grace=0.1).wait()


def main() -> None:
    """Serve the engine whose address is the last argument; ^C is the engine's to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # The server's own words for an error are those of inline programs.
    setattr(_server, "run_in_stack", run_in_stack)  # noqa: B010
    serve(sys.argv[-1])
    sys.stdout.flush()
    os._exit(0)  # a program blocked in its own thread must not keep the host alive


if __name__ == "__main__":
    main()
