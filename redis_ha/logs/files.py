"""Lines of log files: what was rotated away first; followed through rotation and truncation."""

import gzip
import os
import re
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from redis_ha.errors import BadSetting
from redis_ha.logs.line import Line
from redis_ha.logs.source import Window

_POLL_SECONDS = 0.2
_LONGEST_LINE = 1 << 20


@dataclass(frozen=True)
class FileSource:
    """One node's log file, whose times are this machine's local ones where they name no zone.

    `tell` hears in a sentence what could not be read; all other lines are given nevertheless.
    """

    node: str
    path: Path
    delay: float = 0.5
    tell: Callable[[str], None] = lambda _text: None

    @property
    def nodes(self) -> frozenset[str]:
        return frozenset({self.node})

    def node_of(self, _unit: str) -> str:
        return self.node

    def lines(self, window: Window, stop: threading.Event | None) -> Iterator[Line | None]:
        """Yield its lines, those of the rotated files before it included."""
        for old in self._rotated():
            yield from self._whole(old, since=window.since)
        if stop is None:
            yield from self._whole(self.path, since=None)
        else:
            yield from self._followed(stop)

    def _rotated(self) -> list[Path]:
        try:
            return rotated(self.path)
        except OSError as error:
            self.tell(_unread(self.path.parent, error))
            return []

    def _whole(self, path: Path, *, since: datetime | None) -> Iterator[Line]:
        """Yield what can be read; a file is cut off while logrotate packs it."""
        try:
            if since is None or _changed(path) >= since:
                yield from _all(path)
        except (OSError, EOFError, zlib.error) as error:
            self.tell(_unread(path, error))

    def _followed(self, stop: threading.Event) -> Iterator[Line | None]:
        try:
            yield from _follow(self.path, stop)
        except OSError as error:
            self.tell(_unread(self.path, error))


def find_files(
    texts: Sequence[str], *, tell: Callable[[str], None] = lambda _text: None
) -> list[FileSource]:
    """Read NODE=PATH; of a folder all its files named log or *.log. Raises BadSetting."""
    return [source for text in texts for source in _found(text, tell)]


def rotated(path: Path) -> list[Path]:
    """Give PATH.2.gz, PATH.1, ... of a file, the oldest first; one that is being packed once."""
    name = re.compile(re.escape(path.name) + r"\.(\d{1,6})(\.gz)?")
    found = [(m, each) for each in path.parent.iterdir() if (m := name.fullmatch(each.name))]
    # The packed one of two is not complete yet; it comes first, and the other takes its place.
    found.sort(key=lambda one: one[0][2] is None)
    chosen = {int(m[1]): each for m, each in found}
    return [chosen[number] for number in sorted(chosen, reverse=True)]


def _found(text: str, tell: Callable[[str], None]) -> list[FileSource]:
    node, equals, name = text.partition("=")
    if not (node and equals and name):
        raise _unusable(text, "it is not NODE=PATH")
    try:
        files = _files(Path(name))
        for file in files or ():
            file.open("rb").close()
    except OSError as error:
        raise _unusable(text, f"{error.filename}: {error.strerror}") from error
    if files is None:
        raise _unusable(text, "there is no such file or folder")
    if not files:
        raise _unusable(text, "the folder has no file named log or *.log")
    return [FileSource(node, file, tell=tell) for file in files]


def _files(path: Path) -> list[Path] | None:
    """Give the file, or those of a folder; None where there is neither."""
    if path.is_file():
        return [path]
    if not path.is_dir():
        return None
    return sorted(file for file in {*path.glob("*.log"), *path.glob("log")} if file.is_file())


def _unusable(text: str, cause: str) -> BadSetting:
    return BadSetting(
        operation="read", subject=f"--file {text}", cause=cause, hint="write --file redis-1=PATH"
    )


def _unread(path: Path, error: Exception) -> str:
    """Say what can't be read of a log, and that all else is shown."""
    cause = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return f"read {path}: {cause}; lines of it are missing here, all others are shown"


def _changed(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)


def _all(path: Path) -> Iterator[Line]:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rb") as file:
        while raw := file.readline(_LONGEST_LINE):
            yield _line(raw)


def _follow(path: Path, stop: threading.Event) -> Iterator[Line | None]:
    """Yield lines as they are written; a new file under the name is read from its beginning."""
    while not stop.is_set():
        if path.exists():
            with path.open("rb") as file:
                yield from _until_replaced(path, file, stop)
        else:
            stop.wait(_POLL_SECONDS)
            yield None


def _until_replaced(path: Path, file: BinaryIO, stop: threading.Event) -> Iterator[Line | None]:
    started = b""
    while not stop.is_set():
        gone = _is_gone(path, file)
        while raw := file.readline(_LONGEST_LINE):
            started += raw
            if raw.endswith(b"\n") or len(started) >= _LONGEST_LINE:
                yield _line(started)
                started = b""
        if gone:
            if started:
                yield _line(started)
            return
        yield None
        stop.wait(_POLL_SECONDS)


def _is_gone(path: Path, file: BinaryIO) -> bool:
    """Say whether the name has another file by now, or this one was cut."""
    try:
        now = path.stat()
    except FileNotFoundError:
        return True
    open_one = os.fstat(file.fileno())
    return now.st_ino != open_one.st_ino or now.st_size < file.tell()


def _line(raw: bytes) -> Line:
    return Line(raw.decode(errors="replace").rstrip("\r\n"))
