"""Lines of a container, by `docker logs`; followed through restarts and replacements."""

import os
import select
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from redis_ha.errors import Unreachable
from redis_ha.logs.line import Line
from redis_ha.logs.source import Window, utc_stamp

_SILENCE_SECONDS = 0.2
# How soon a container that ended, or that is being replaced, is looked for again.
_AGAIN_SECONDS = 0.5
_CHUNK, _LONGEST_LINE = 1 << 16, 1 << 20


@dataclass(frozen=True)
class DockerSource:
    """One node's container. The daemon stamps each line in UTC."""

    node: str
    container: str
    delay: float = 0.5

    @property
    def nodes(self) -> frozenset[str]:
        return frozenset({self.node})

    def node_of(self, _unit: str) -> str:
        return self.node

    def lines(self, window: Window, stop: threading.Event | None) -> Iterator[Line | None]:
        """Yield its lines; raises Unreachable when Docker has no such log and none is awaited."""
        seen, complaint = "", ""
        while True:
            for raw in _printed(self._command(window, seen, follow=stop is not None), stop):
                stamp, _, text = (raw or "").partition(" ")
                received = utc_stamp(stamp)
                if raw is None:
                    yield None
                elif received is None:
                    complaint = raw
                # What was read before a restart comes again: `--since` includes its moment.
                elif stamp > seen:
                    seen = stamp
                    yield Line(text, received)
            if stop is None:
                if complaint:
                    raise self._refused(complaint)
                return
            if stop.wait(_AGAIN_SECONDS):
                return
            yield None

    def _command(self, window: Window, seen: str, *, follow: bool) -> list[str]:
        since = seen or (window.since.isoformat() if window.since else "")
        words = ["docker", "logs", "--timestamps"]
        words += ["--follow"] if follow else []
        words += ["--since", since] if since else []
        words += ["--until", window.until.isoformat()] if window.until else []
        return [*words, self.container]

    def _refused(self, complaint: str) -> Unreachable:
        return Unreachable(
            operation="read the log of",
            subject=self.node,
            cause=complaint.removeprefix("Error response from daemon: "),
            hint="see `docker ps --all`, and that its log driver is json-file or local",
        )


def _printed(command: list[str], stop: threading.Event | None) -> Iterator[str | None]:
    """Run a command and yield the lines that it prints, None while it is silent."""
    with _running(command) as descriptor:
        rest = b""
        while stop is None or not stop.is_set():
            if not select.select([descriptor], [], [], _SILENCE_SECONDS)[0]:
                yield None
                continue
            chunk = os.read(descriptor, _CHUNK)
            *lines, rest = (rest + chunk).split(b"\n")
            if len(rest) > _LONGEST_LINE or (rest and not chunk):
                lines, rest = [*lines, rest], b""
            for line in lines:
                yield line.decode(errors="replace")
            if not chunk:
                return


@contextmanager
def _running(command: list[str]) -> Iterator[int]:
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            # What the container wrote there, in its place among the other lines.
            stderr=subprocess.STDOUT,
            # ^C is for us, and we end it.
            start_new_session=True,
        )
    except FileNotFoundError as error:
        raise Unreachable(
            operation="read the log of",
            subject=command[-1],
            cause="there is no docker command here",
            hint="run it where the containers are, or give --file NODE=PATH",
        ) from error
    with process:
        try:
            yield process.stdout.fileno() if process.stdout else -1
        finally:
            process.terminate()
