"""A Docker engine that answers: the one that is there, or Debian's, started by us."""

from __future__ import annotations

import enum
import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toolchain import apt, console
from toolchain.errors import Refused, ToolchainError
from toolchain.files import exclusive
from toolchain.host import Host, Task, as_root, output_of, perform

if TYPE_CHECKING:
    from pathlib import Path

    from toolchain.layout import Layout

STEP = "docker"
START_SECONDS = 60.0
POLL_SECONDS = 0.2
LOG_LINES = 5


class Action(enum.Enum):
    """What makes an engine answer here."""

    USE = "use the engine that answers"
    START_UNIT = "start docker.service"
    START_DAEMON = "start dockerd detached"
    INSTALL = "install docker.io, then start it"


@dataclass(frozen=True)
class Found:
    """What was found of Docker on this machine."""

    answer: str | None  # the server's version, when it answers
    problem: str  # what the client said when it doesn't
    cli: bool
    daemon: bool  # a dockerd is installed
    endpoint: str  # DOCKER_HOST or a chosen context's name, "" for the local default


def decide(found: Found, host: Host) -> Action:
    """Choose how an engine comes to answer.

    Errors: Refused where only the owner can help: a remote engine that is away, a socket that
    is closed to us, a system that we can't install on.
    """
    if found.answer:
        return Action.USE
    if found.endpoint:
        raise _refused(
            f"{found.endpoint} does not answer",
            "start that engine, or unset DOCKER_HOST / `docker context use default`",
        )
    if "permission denied" in found.problem.lower():
        raise _refused(
            "the engine runs but its socket is closed to this user",
            "add the user to the group (`sudo usermod -aG docker $USER`, then log in again)",
        )
    if host.system != "Linux":
        raise _refused(f"no engine answers on {host.system}", "install and start Docker Desktop")
    if not found.daemon:
        return Action.INSTALL
    return Action.START_UNIT if host.systemd else Action.START_DAEMON


def _refused(cause: str, hint: str) -> Refused:
    return Refused(operation="use", subject="Docker", cause=cause, hint=hint)


def look() -> Found:
    """Ask the docker client, if there is one, for its server."""
    cli = shutil.which("docker") is not None
    answer, problem = _ask() if cli else (None, "")
    return Found(
        answer=answer,
        problem=problem,
        cli=cli,
        daemon=shutil.which("dockerd", path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is not None,
        endpoint=os.environ.get("DOCKER_HOST", "") or (_context() if cli and not answer else ""),
    )


def _ask() -> tuple[str | None, str]:
    command = ["docker", "version", "--format", "{{.Server.Version}}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return None, str(error)
    return (done.stdout.strip(), "") if done.returncode == 0 else (None, done.stderr)


def _context() -> str:
    name = output_of(["docker", "context", "show"]) or "default"
    return "" if name == "default" else f"docker context {name}"


def ensure(layout: Layout, host: Host) -> None:
    """Make an engine answer; two racers start one.

    Errors: Refused as `decide` says; ToolchainError when the engine does not come up.
    """
    with exclusive(layout.cache / "docker.lock"):
        found = look()
        action = decide(found, host)
        if action is Action.INSTALL:
            apt.install(layout, host, ["docker.io"], why="no Docker engine is installed here")
            if not look().cli:  # from Debian 13 on the client is a package of its own
                apt.install(layout, host, ["docker-cli"], why="the engine needs its client")
            action = Action.START_UNIT if host.systemd else Action.START_DAEMON
        if action is not Action.USE:
            _start(action, layout, host)
            found = _wait_for_answer(layout)
    console.satisfied(STEP, f"engine {found.answer} answers")


def _start(action: Action, layout: Layout, host: Host) -> None:
    console.doing(STEP, action.value, why="it is installed but does not answer")
    if action is Action.START_UNIT:
        command = ["systemctl", "enable", "--now", "docker"]
        task = Task(operation="start", subject="docker.service", hint="see journalctl -u docker")
        perform(task, as_root(host, command, operation="start", subject="docker.service"))
        return
    command = as_root(host, ["dockerd"], operation="start", subject="dockerd")
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    with _log(layout).open("ab") as log:
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, "PATH": path},
        )


def _log(layout: Layout) -> Path:
    return layout.cache / "dockerd.log"


def _wait_for_answer(layout: Layout) -> Found:
    deadline = time.monotonic() + START_SECONDS
    while not (found := look()).answer:
        if "permission denied" in found.problem.lower() or time.monotonic() > deadline:
            break
        time.sleep(POLL_SECONDS)
    if found.answer:
        return found
    log = _log(layout)
    lines = log.read_text(errors="replace").splitlines()[-LOG_LINES:] if log.is_file() else []
    cause = " / ".join([found.problem.strip(), *lines])
    raise ToolchainError(
        operation="start",
        subject="Docker",
        cause=cause or f"no answer after {START_SECONDS:.0f} s",
        hint=f"see {log}; `docker info` must work for this user",
    )
