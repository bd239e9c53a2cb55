"""SIGTERM as an exception, so that what was begun is undone on the way out."""

import signal
from types import FrameType


class Terminated(BaseException):
    """SIGTERM arrived. Like KeyboardInterrupt it passes every `except Exception`."""


def raise_on_sigterm() -> None:
    """Turn the first SIGTERM into Terminated; later ones don't break into the cleaning up."""
    signal.signal(signal.SIGTERM, _terminate)


def _terminate(_number: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Terminated
