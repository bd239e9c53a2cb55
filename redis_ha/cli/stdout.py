"""Standard output that may be closed or full: what can't be written is told from other failures."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any, TextIO, cast


class OutputLost(OSError):
    """What was printed could not be written."""


class _Telling:
    """A stream whose failures to write are OutputLost; everything else is the stream's own."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with _told():
            return self._stream.write(text)

    def flush(self) -> None:
        with _told():
            self._stream.flush()


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputLost(error.errno, error.strerror) from error


@contextmanager
def telling() -> Iterator[None]:
    """Have standard output raise OutputLost, at the end of the block for what is still unwritten.

    Does nothing where it is closed (`>&-`): then nobody wants it.
    """
    if sys.stdout is None:
        yield
        return
    with redirect_stdout(cast("TextIO", _Telling(sys.stdout))):
        yield
        sys.stdout.flush()


def give_up() -> None:
    """Throw away what is still unwritten: Python would try again at its end, and exit with 120."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
